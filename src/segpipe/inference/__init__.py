"""Inference: from an image to the class of every pixel."""
