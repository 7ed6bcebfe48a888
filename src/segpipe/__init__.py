"""From annotated photos to a segmentation model that can be trusted."""
