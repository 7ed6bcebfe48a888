"""Label maps drawn by hand: '.' 0, '#' 1, digits themselves, 'x' 255."""

import numpy as np

_VALUES = {".": 0, "#": 1, "x": 255} | {str(digit): digit for digit in range(10)}


def grid(drawing: str) -> np.ndarray:
    """A drawing, one line a row, as uint8 (H, W)."""
    return np.array([[_VALUES[sign] for sign in line] for line in drawing.split()], np.uint8)
