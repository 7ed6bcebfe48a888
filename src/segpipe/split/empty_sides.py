"""The check that no split is empty. Its error names the smallest change that gives every split an image."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from segpipe.core.errors import UserError
from segpipe.core.plurals import counted
from segpipe.data.split_table import SIDES, TEST, TRAIN, VAL, Assignment
from segpipe.split.assign import Pool, assign
from segpipe.split.settings import Split

_SHARES = tuple(part / 20 for part in range(1, 20))
_BITS = (8, 6, 4, 2, 0)
Change = dict[str, Any]  # of settings, by their keys


def check(pool: Pool, settings: Split, placed: Sequence[Assignment], seed: int) -> None:
    """Raise UserError if a split that `settings` asks for has no image with a labelled pixel.

    placed: assign(pool, settings); seed: as for Pool.gather, which made `pool`.
    """
    missing = _missing(pool, settings, placed)
    if missing:
        sizes = Counter(row.group for row in placed)
        name, largest = sizes.most_common(1)[0]
        images = f"{counted(len(placed), 'image')} in {counted(len(sizes), 'group')}"
        group = (
            f", {largest} of them in the group of {name}: equal, nearly equal, copies by their names, or of one scene"
            if largest > 1
            else ""
        )
        problem = f"no image is left for {' and '.join(missing)} ({images}{group})"
        raise UserError(f"{problem}; {_remedy(pool, settings, seed)}")


def _missing(pool: Pool, settings: Split, placed: Sequence[Assignment]) -> list[str]:
    labelled = (pool.class_pixels > 0).sum(axis=1).tolist()
    used = {row.split for row, classes in zip(placed, labelled, strict=True) if classes}
    return [side for side in SIDES if side in _expected(pool, settings) and side not in used]


def _expected(pool: Pool, settings: Split) -> set[str]:
    """The splits that should have an image."""
    if settings.method == "source":
        roles = {settings.source_roles[c.source_split or ""] for c in pool.candidates}
        held_out = roles | ({VAL} if settings.val else set())
    else:
        held_out = {side for side, share in ((VAL, settings.val), (TEST, settings.test)) if share}
    return {TRAIN} | held_out | ({VAL} if settings.folds else set())


def _remedy(pool: Pool, settings: Split, seed: int) -> str:
    """The smallest change after which this data set has no empty split."""
    for condition, changed_keys, changed_pool in _pools(pool, settings.near_duplicate_bits, seed):
        for change in _changes(settings):
            changed = settings.model_copy(update=change)
            wanted = _expected(changed_pool, changed) - {TRAIN}
            if wanted and not _missing(changed_pool, changed, assign(changed_pool, changed)):
                keys = changed_keys | {key: value for key, value in change.items() if value != getattr(settings, key)}
                values = " and ".join(f"split.{key}: {value}" for key, value in keys.items())
                steps = [*condition, *([f"set {values} in params.yaml"] if keys else [])]
                return f"{', '.join(steps)}, then every split has an image"
    return "add images that do not belong to these groups"


def _pools(pool: Pool, near_bits: int, seed: int) -> Iterator[tuple[list[str], Change, Pool]]:
    """The unchanged pool, then changed ones: each with its condition or step in words, and its changed settings."""
    images, arrays = pool.candidates, (pool.fingerprints, pool.class_pixels)
    yield [], {}, pool
    if any(image.pin for image in images):
        unpinned = tuple(replace(image, pin=None) for image in images)
        yield ["remove rows from the table split.pins"], {}, replace(pool, candidates=unpinned)
    if any(image.empty for image in images):
        kept = tuple(replace(image, empty=False) for image in images)
        yield [], {"empty_masks": "keep"}, replace(pool, candidates=kept)
    for bits in _BITS:
        if bits < near_bits:
            regrouped = Pool.gather(images, *arrays, bits, seed)
            yield ["if these are not copies of each other"], {"near_duplicate_bits": bits}, regrouped
    if any(image.scene for image in images):
        without = [replace(image, scene="") for image in images]
        yield ["define smaller scenes, or none"], {}, Pool.gather(without, *arrays, near_bits, seed)


def _changes(settings: Split) -> Iterator[Change]:
    """Changes of the settings: first none, then those with the smallest effect."""
    yield {}
    if settings.method == "source":
        yield from ({"val": val} for val in _SHARES if settings.val < val < 1 - settings.test)
        yield {"val": 0}
    fewer_folds: list[Change] = [
        {"folds": folds, "fold": min(settings.fold, folds - 1)} for folds in range(settings.folds - 1, 1, -1)
    ]
    methods: tuple[Change, ...] = ({}, {"method": "balanced"})
    for method in methods:
        yield method
        yield from (method | folds for folds in fewer_folds)
    yield {"method": "balanced", "test": 0}
    yield {"method": "balanced", "val": 0}
