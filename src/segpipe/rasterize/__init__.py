"""The stage rasterize: label maps and the packed images for training."""
