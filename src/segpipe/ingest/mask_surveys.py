"""Surveys of masks: the values that a mask stores, with their pixel counts. Each mask is decoded once."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segpipe.core.errors import AnnotationError
from segpipe.masks.mask_files import Stored, colour_of, read_stored


@dataclass(frozen=True, slots=True)
class Survey:
    """The values that one mask stores, or why it cannot be read."""

    size_hw: tuple[int, int] | None = None
    pixels: tuple[tuple[int, int], ...] = ()  # (value, pixel count), values ascending
    problem: str = ""
    coloured: bool = False  # whether the values are colour numbers
    palette: tuple[int, ...] = ()  # of a palette image: the colour number of each value

    @property
    def is_grey(self) -> bool:
        """Whether all colours are grey: some tools write the class number into all three channels."""
        return self.coloured and all(len(set(colour_of(value))) == 1 for value, _ in self.pixels)


def survey(path: Path) -> Survey:
    """The survey of one mask file; its problem, if the file cannot be read."""
    try:
        return survey_of(read_stored(path))
    except AnnotationError as error:
        return Survey(problem=str(error))


def survey_of(stored: Stored) -> Survey:
    """The survey of a decoded mask."""
    values, counts = _counted(stored.values)
    pixels = tuple(zip(values.tolist(), counts.tolist(), strict=True))
    return Survey(stored.values.shape, pixels, coloured=stored.coloured, palette=stored.palette)


def _counted(stored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values and their counts, as np.unique returns them; for 8 and 16 bits bincount is many times faster."""
    if stored.dtype.itemsize > 2:
        return np.unique(stored, return_counts=True)
    counts = np.bincount(stored.ravel())
    values = np.flatnonzero(counts)
    return values, counts[values]
