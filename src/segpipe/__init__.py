"""From annotated photographs to a segmentation model one can trust."""
