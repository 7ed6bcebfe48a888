"""From a picture to a class per pixel."""
