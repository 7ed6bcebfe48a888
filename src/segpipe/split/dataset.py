"""The split of a data set: its images and their groups, the assignment, its metrics, warnings and checks."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segpipe.core.errors import check_total
from segpipe.core.plurals import counted
from segpipe.data.records import Photo
from segpipe.data.split_table import Assignment
from segpipe.ledger.findings import Finding
from segpipe.ledger.rows import Row
from segpipe.split import empty_sides, leaks, pins, scenes, summary
from segpipe.split.assign import Candidate, Pool, assign
from segpipe.split.findings import check_totals, split_findings
from segpipe.split.leaks import Leak, find_leaks
from segpipe.split.settings import Split

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSplit:
    """The assignment of all images that are used."""

    rows: list[Assignment]  # in the order of the pool's candidates
    leaks: list[Leak]
    pool: Pool
    shares: pd.DataFrame  # of summary.shares
    class_names: Sequence[str]
    settings: Split
    seed: int

    def metrics(self) -> dict[str, Any]:
        """The content of metrics/split.json."""
        facts = summary.summary(self.rows, self.shares)
        return facts | {"leaks": leaks.counts(self.leaks, self.rows), "pinned": self._pinned}

    def class_csv(self) -> str:
        """The content of metrics/plots/split/classes.csv."""
        return summary.class_csv(self.shares)

    def log(self) -> None:
        """Log copies, pins and class shares; then warn of empty splits, missing classes, leaks and uneven shares."""
        for line in [*self._copy_lines(), *self._pin_lines(), *summary.share_table(self.shares)]:
            logger.info(line)
        images = self.rows, self.pool.class_pixels, self.class_names
        advice = summary.advice(*images) if self.settings.method == "content" else []
        for line in summary.warnings(*images) + leaks.lines(self.leaks, self.rows) + advice:
            logger.warning(line)

    def check(self) -> None:
        """Raise UserError if a split is empty or too many images leak."""
        empty_sides.check(self.pool, self.settings, self.rows, self.seed)
        leaks.check_limit(self.leaks, self.rows, self.settings.max_leaks)

    def findings(self, photos: Sequence[Photo]) -> list[Finding]:
        """The findings about `photos`, those that were split."""
        return split_findings(self.rows, photos, self.pool.fingerprints, self.settings.near_duplicate_bits)

    @property
    def _pinned(self) -> int:
        return sum(c.pin is not None for c in self.pool.candidates)

    def _copy_lines(self) -> list[str]:
        copies = [c for c in self.pool.candidates if c.copy_of]
        if not copies:
            return []
        originals = counted(len({c.copy_of for c in copies}), "image")
        figures = f"copies of {originals} by their names: {counted(len(copies), 'image')}"
        return [f"{figures} (first: {copies[0].key}); copies stay together"]

    def _pin_lines(self) -> list[str]:
        images, pinned = len(self.rows), self._pinned
        lines = [f"{pinned} of {images} images keep the split that is pinned in {self.settings.pins}"] if pinned else []
        if pinned < images and (self.settings.method == "balanced" or self.settings.folds):
            unpinned = counted(images - pinned, "image")
            lines.append(f"{unpinned} not pinned: new images may move them; `segpipe pin` keeps their split")
        return lines


def split(
    photos: Sequence[Photo],
    fingerprints: np.ndarray,
    class_pixels: np.ndarray,
    all_files: Mapping[str, str],
    class_names: Sequence[str],
    ledger: Sequence[Row],
    settings: Split,
    seed: int,
) -> DatasetSplit:
    """Assign every image.

    fingerprints: uint8 (N, FINGERPRINT_BYTES), class_pixels: int64 (N, C), in the order of `photos`; all_files: the
    file of every image of the source by its key.
    Raises UserError for an invalid table of pins or scenes, and for a split of the source without a role; LedgerError
    if the split and the ledger disagree.
    """
    check_total(len(photos) == len(class_pixels), f"{counted(len(photos), 'photo')} checked, {len(class_pixels)} drawn")
    candidates = _candidates(photos, class_pixels, all_files, settings)
    pool = Pool.gather(candidates, fingerprints, class_pixels, settings.near_duplicate_bits, seed)
    rows = assign(pool, settings)
    check_totals(rows, ledger)
    return DatasetSplit(
        rows=rows,
        leaks=find_leaks(pool, rows, settings.near_duplicate_bits),
        pool=pool,
        shares=summary.shares(rows, class_pixels, class_names),
        class_names=class_names,
        settings=settings,
        seed=seed,
    )


def _candidates(
    photos: Sequence[Photo], class_pixels: np.ndarray, all_files: Mapping[str, str], settings: Split
) -> list[Candidate]:
    pinned = pins.read(Path(settings.pins))
    files = {photo.key: photo.file for photo in photos}
    scene_of = scenes.scenes_of(files, all_files, settings.scene, Path(settings.scene_table), settings.scene_column)
    copies = scenes.copies(list(files.values()))
    return [
        Candidate(
            key=photo.key,
            sha256=photo.sha256,
            scene=scene_of[photo.key],
            source_split=photo.split,
            empty=settings.empty_masks == "leave_out" and not (photo.background or row[1:].any()),
            pin=pinned.get(photo.sha256),
            copy_of="" if scene_of[photo.key] else copy,  # a scene from params.yaml takes precedence over a name
        )
        for photo, copy, row in zip(photos, copies, class_pixels, strict=True)
    ]
