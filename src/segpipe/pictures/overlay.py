"""A label map laid over its photograph."""

from collections.abc import Sequence

import numpy as np

from segpipe.data.classes import BACKGROUND_INDEX, IGNORE_INDEX

_OPACITY = 0.5
_STRIP = 512  # rows blended at once: the numbers of a large picture take sixteen times its bytes
_UNPAINTED = (BACKGROUND_INDEX, IGNORE_INDEX)


def overlay(image: np.ndarray, label_map: np.ndarray, colours: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Tint each object of a photograph in its class's colour and draw its outline in full colour.

    image: uint8 (H, W, 3); label_map: uint8 (H, W); colours: 256 RGB colours by pixel value.
    Background and ignored pixels stay as they are. Returns uint8 (H, W, 3).
    """
    edges, palette = outlines(label_map), np.array(colours, np.uint8)
    blended = np.empty_like(image)
    for top in range(0, len(image), _STRIP):
        rows = slice(top, top + _STRIP)
        alpha = np.where(edges[rows], np.float32(1), np.float32(_OPACITY))
        alpha[np.isin(label_map[rows], _UNPAINTED)] = 0
        tinted = image[rows] + (palette[label_map[rows]].astype(np.float32) - image[rows]) * alpha[..., None]
        blended[rows] = tinted.round()
    return blended


def outlines(label_map: np.ndarray) -> np.ndarray:
    """Pixels with a neighbour of another class to the left, right, above or below; bool (H, W)."""
    edges = np.zeros(label_map.shape, bool)
    across = label_map[:, 1:] != label_map[:, :-1]
    down = label_map[1:] != label_map[:-1]
    edges[:, 1:] |= across
    edges[:, :-1] |= across
    edges[1:] |= down
    edges[:-1] |= down
    return edges
