"""Label maps drawn as text: '.' is 0, '#' 1, 'x' 255, a digit its number."""

import numpy as np

_VALUES = {".": 0, "#": 1, "x": 255} | {str(digit): digit for digit in range(10)}


def grid(drawing: str) -> np.ndarray:
    """The label map of a drawing with one line or word per row, uint8 (H, W).

    >>> grid(".#2 x..").tolist()
    [[0, 1, 2], [255, 0, 0]]
    """
    return np.array([[_VALUES[sign] for sign in line] for line in drawing.split()], np.uint8)
