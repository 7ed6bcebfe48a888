"""The sample sheets of the model report: the worst, the median and the best images with their predictions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segpipe.core.files import atomic_write
from segpipe.data.classes import ClassTable
from segpipe.evaluate.per_image import ImageScore, caption
from segpipe.pictures.sheets import sheet

ImageTruthPred = tuple[np.ndarray, np.ndarray, np.ndarray]  # as for sheets.sheet


@dataclass(frozen=True, slots=True)
class SampleSheet:
    """One sheet: its file name, and the scores of its image."""

    file: str
    score: ImageScore


def draw(
    folder: Path,
    results: Iterable[ImageTruthPred],
    chosen: Mapping[str, Sequence[ImageScore]],
    classes: ClassTable,
    count: int,
) -> dict[str, list[SampleSheet]]:
    """Draw folder/<group>-<number>.png for each chosen image, and delete other sheets. Returns the sheets by group.

    results: one for each chosen image, in the order of `chosen`; count: the number of images that were compared.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    remaining = iter(results)
    sheets: dict[str, list[SampleSheet]] = {}
    for group, scores in chosen.items():
        sheets[group] = []
        for number, score in enumerate(scores, start=1):
            image, truth, pred = next(remaining)
            drawn = SampleSheet(f"{group}-{number}.png", score)
            with atomic_write(folder / drawn.file) as part:
                lines = caption(score, f"{group} {number} of {count}")
                sheet(image, truth, pred, classes, lines).save(part, "PNG")
            sheets[group].append(drawn)
    return sheets
