"""From geometry to label maps: the pixel rule and who is on top."""
