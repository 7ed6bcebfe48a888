"""One confusion matrix per split and the scores of each image, from a stream of label maps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from segpipe.data.classes import IGNORE_INDEX
from segpipe.evaluate.confusion import confusion_matrix
from segpipe.evaluate.per_image import ImageScore, score_image


@dataclass(frozen=True, slots=True)
class Measured:
    """The counts of all splits and the scores of all images."""

    matrices: dict[str, np.ndarray]  # int64 (C, C) by split, rows target
    images: tuple[ImageScore, ...]  # in the order of the stream


def measure(results: Iterable[tuple[str, str, np.ndarray, np.ndarray]], class_names: Sequence[str]) -> Measured:
    """Count the pixels of every image at its native size; only one image is in memory at a time.

    results: key, split, truth uint8 (H, W) and pred uint8 (H, W) of each image. Raises ValueError as confusion_matrix.
    """
    matrices: dict[str, np.ndarray] = {}
    images = []
    for key, split, truth, pred in results:
        matrix = confusion_matrix(truth, pred, len(class_names), IGNORE_INDEX)
        matrices[split] = matrices.get(split, 0) + matrix
        images.append(score_image(key, split, matrix, class_names))
    return Measured(matrices, tuple(images))
