"""A label map over its photo, and the edges of its regions."""

from collections.abc import Sequence

import numpy as np

from segpipe.data.classes import BACKGROUND_INDEX, IGNORE_INDEX

_OPACITY = 0.5
_UNPAINTED = (BACKGROUND_INDEX, IGNORE_INDEX)


def overlay(
    image: np.ndarray, label_map: np.ndarray, colours: Sequence[tuple[int, int, int]], strip_rows: int = 512
) -> np.ndarray:
    """A photo with each object tinted in its class's colour and its edge in full colour, uint8 (H, W, 3).

    image: uint8 (H, W, 3); label_map: uint8 (H, W); colours: 256 RGB colours by pixel value; strip_rows: rows blended
    at a time: their float numbers need sixteen times the memory of the image's rows.
    Background and ignored pixels do not change.
    """
    edge, palette = edges(label_map), np.array(colours, np.uint8)
    blended = np.empty_like(image)
    for top in range(0, len(image), strip_rows):
        rows = slice(top, top + strip_rows)
        alpha = np.where(edge[rows], np.float32(1), np.float32(_OPACITY))
        alpha[np.isin(label_map[rows], _UNPAINTED)] = 0
        tinted = image[rows] + (palette[label_map[rows]].astype(np.float32) - image[rows]) * alpha[..., None]
        blended[rows] = tinted.round()
    return blended


def edges(label_map: np.ndarray) -> np.ndarray:
    """The pixels on both sides of every edge, bool (H, W).

    label_map: any type (H, W). A pixel is on an edge if the pixel to its left, right, top or bottom has another value.

    >>> edges(np.array([[0, 0, 1, 1]])).tolist()
    [[False, True, True, False]]
    """
    on_edge = np.zeros(label_map.shape, bool)
    across = label_map[:, 1:] != label_map[:, :-1]
    down = label_map[1:] != label_map[:-1]
    on_edge[:, 1:] |= across
    on_edge[:, :-1] |= across
    on_edge[1:] |= down
    on_edge[:-1] |= down
    return on_edge
