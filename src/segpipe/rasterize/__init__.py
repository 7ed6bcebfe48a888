"""The stage rasterize: a label map for each image, and the packed images for training."""
