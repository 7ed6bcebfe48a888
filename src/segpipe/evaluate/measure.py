"""Label maps streamed into one confusion matrix per split, and each picture's own scores on the way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from segpipe.data.classes import IGNORE_INDEX
from segpipe.evaluate.confusion import confusion_matrix
from segpipe.evaluate.per_image import ImageScore, score_image


@dataclass(frozen=True, slots=True)
class Measured:
    """matrices: int64 (C, C) by split, rows target; images: a row per picture, as they came."""

    matrices: dict[str, np.ndarray]
    images: tuple[ImageScore, ...]


def measure(results: Iterable[tuple[str, str, np.ndarray, np.ndarray]], class_names: Sequence[str]) -> Measured:
    """Count every picture: (key, split, truth uint8 (H, W), pred uint8 (H, W)), at its native size.

    Memory does not grow with the number of pixels. Raises ValueError as confusion_matrix does.
    """
    matrices: dict[str, np.ndarray] = {}
    images = []
    for key, split, truth, pred in results:
        matrix = confusion_matrix(truth, pred, len(class_names), IGNORE_INDEX)
        matrices[split] = matrices.get(split, 0) + matrix
        images.append(score_image(key, split, matrix, class_names))
    return Measured(matrices, tuple(images))
