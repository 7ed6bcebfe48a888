"""From shapes to label maps: geometry, run lengths, the pixel rule, painting order."""
