"""Networks, their pretrained weights, and the model file."""
