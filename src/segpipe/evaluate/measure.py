"""One confusion matrix per split and the scores of each image, from a stream of label maps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.core.files import write_json
from segpipe.data.classes import IGNORE_INDEX
from segpipe.evaluate import score_tables, scores
from segpipe.evaluate.confusion import confusion_matrix
from segpipe.evaluate.per_image import ImageScore, detection_scores, score_image

SPLITS = ("test", "val")  # the first that has images is the headline


@dataclass(frozen=True, slots=True)
class Measured:
    """The counts of all splits and the scores of all images."""

    matrices: dict[str, np.ndarray]  # int64 (C, C) by split, rows target
    images: tuple[ImageScore, ...]  # in the order of the stream

    def write(self, folder: Path, class_names: Sequence[str]) -> dict[str, Any]:
        """Write the stage's files into `folder`: the summaries, which are returned, the tables and the plots."""
        matrices = {split: self.matrices[split] for split in SPLITS if split in self.matrices}
        headline = next(iter(matrices.values()))
        score_tables.write_confusion(folder / "confusion.csv", matrices, class_names)
        score_tables.write_per_image(folder / "per_image.csv", self.images, class_names)
        score_tables.write_class_plot(folder / "plots/evaluate/classes.csv", headline, class_names)
        score_tables.write_confusion_plot(folder / "plots/evaluate/confusion.csv", headline, class_names)
        summaries = {
            split: scores.summary(matrix, class_names) | detection_scores(i for i in self.images if i.split == split)
            for split, matrix in matrices.items()
        }
        write_json(folder / "evaluate.json", summaries)
        return summaries


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
