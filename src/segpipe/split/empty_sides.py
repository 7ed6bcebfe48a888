"""A split that leaves a side empty is refused, with the one change that gives every side an image of this data set."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from segpipe.core.errors import UserError
from segpipe.data.split_table import SIDES, TEST, TRAIN, VAL, Assignment
from segpipe.split import assign
from segpipe.split.assign import Plan, Pool

_SHARES = tuple(part / 20 for part in range(1, 20))
_BITS = (8, 6, 4, 2, 0)
Change = dict[str, Any]


def refuse(pool: Pool, plan: Plan, placed: Sequence[Assignment], near_bits: int, seed: int) -> None:
    """Raise UserError if no image, or none with a labelled pixel, is on a side that `plan` asks for.

    near_bits, seed: as for Pool.gather, which made `pool`.
    """
    missing = _missing(pool, plan, placed)
    if missing:
        sizes = Counter(row.group for row in placed)
        name, largest = sizes.most_common(1)[0]
        images = f"{len(placed)} image{'s' * (len(placed) != 1)} in {len(sizes)} group{'s' * (len(sizes) != 1)}"
        chain = (
            f", {largest} of them with {name}: equal, nearly equal, copies by their names, or of one scene"
            if largest > 1
            else ""
        )
        problem = f"no image is left for {' and '.join(missing)} ({images}{chain})"
        raise UserError(f"{problem}; {_remedy(pool, plan, near_bits, seed)}")


def _missing(pool: Pool, plan: Plan, placed: Sequence[Assignment]) -> list[str]:
    labelled = (pool.class_pixels > 0).sum(axis=1).tolist()
    used = {row.split for row, classes in zip(placed, labelled, strict=True) if classes}
    return [side for side in SIDES if side in _asked(pool, plan) and side not in used]


def _asked(pool: Pool, plan: Plan) -> set[str]:
    if plan.method == "source":
        held_out = {plan.source_roles[c.source_split or ""] for c in pool.candidates} | ({VAL} if plan.val else set())
    else:
        held_out = {side for side, share in ((VAL, plan.val), (TEST, plan.test)) if share}
    return {TRAIN} | held_out | ({VAL} if plan.folds else set())


def _remedy(pool: Pool, plan: Plan, near_bits: int, seed: int) -> str:
    """What to do, tried on this data set: as little as will do."""
    for words, settings, others in _pools(pool, near_bits, seed):
        for change in _changes(plan):
            new = replace(plan, **change)
            if _asked(others, new) - {TRAIN} and not _missing(others, new, assign.place(others, new)):
                settings |= {key: value for key, value in change.items() if value != getattr(plan, key)}
                keys = " and ".join(f"split.{key}: {value}" for key, value in settings.items())
                said = [*words, *([f"set {keys} in params.yaml"] if keys else []), "then every side has an image"]
                return ", ".join(said)
    return "add images that belong to none of these groups"


def _pools(pool: Pool, near_bits: int, seed: int) -> Iterator[tuple[list[str], Change, Pool]]:
    """The pool as it is, and as it would be with another setting, or after what the words say."""
    images = pool.candidates
    yield [], {}, pool
    if any(image.pin for image in images):
        free = tuple(replace(image, pin=None) for image in images)
        yield ["take lines out of the table that split.pins names"], {}, replace(pool, candidates=free)
    if any(image.empty for image in images):
        trained = tuple(replace(image, empty=False) for image in images)
        yield [], {"empty_masks": "keep"}, replace(pool, candidates=trained)
    for bits in _BITS:
        if bits < near_bits:
            others = Pool.gather(images, pool.class_pixels, bits, seed)
            yield ["if these are no copies of each other"], {"near_duplicate_bits": bits}, others
    if any(image.scene for image in images):
        alone = [replace(image, scene="") for image in images]
        yield ["name smaller scenes, or none"], {}, Pool.gather(alone, pool.class_pixels, near_bits, seed)


def _changes(plan: Plan) -> Iterator[Change]:
    """The settings as they are, and others, those first that leave most as it is."""
    yield {}
    if plan.method == "source":
        yield from ({"val": val} for val in _SHARES if plan.val < val < 1 - plan.test)
        yield {"val": 0}
    for kept in ({}, {"method": "balanced"}):
        yield dict(kept)
        yield from (
            kept | {"folds": folds, "fold": min(plan.fold, folds - 1)} for folds in range(plan.folds - 1, 1, -1)
        )
    yield {"method": "balanced", "test": 0}
    yield {"method": "balanced", "val": 0}
