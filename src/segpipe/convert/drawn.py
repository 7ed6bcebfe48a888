"""Photographs drawn as the pipeline draws them, for targets that hold pixels: one picture at a time, in any process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segpipe.convert.target import Page, Target, Written
from segpipe.core.errors import UserError
from segpipe.data import classes
from segpipe.data.classes import BACKGROUND, ClassTable
from segpipe.data.preprocessing import Fit
from segpipe.data.records import Image, Instance
from segpipe.ingest.mask_classes import meaning_in_file
from segpipe.ledger.policies import Policies
from segpipe.ledger.rows import DISCARDED, DROPPED, HIDDEN, IGNORED, KEPT, Row, with_visible_px
from segpipe.masks.painting import SMALLER_ON_TOP
from segpipe.rasterize.image import DrawTask, Painted, paint
from segpipe.validate.image import CheckTask, check
from segpipe.validate.judge import Rules

_FIT = Fit("stretch", (32, 32))  # of a drawing task; nothing is fitted here


@dataclass(frozen=True, slots=True)
class Job:
    """One photograph to check, draw and write. place: where in the target, without suffix; copy: and its file."""

    check: CheckTask
    categories: tuple[str, ...]
    target: Target
    place: str

    @property
    def classes(self) -> ClassTable:
        """Background and the categories, in the source's order."""
        return classes.class_table(self.categories, "multiclass")


@dataclass(frozen=True, slots=True)
class Drawing:
    """instances: those that are drawn; owners: integer (H, W), 0 nobody, i + 1 instances[i]; label_map: uint8."""

    image: Image
    instances: tuple[Instance, ...]
    painted: Painted


def jobs(found: Sequence[Page], categories: tuple[str, ...], target: Target, place_of: dict[str, str]) -> list[Job]:
    """One job a photograph: all classes count, crowds are ignored, boxes are regions, lines and points nothing."""
    bare = replace(target, mapper=map)  # a job goes to other processes
    rules = Rules({name: name for name in categories}, Policies())
    return [
        Job(
            CheckTask(target.root, page.image, page.instances, rules, keep_empty=True),
            categories,
            bare,
            place_of[page.image.key],
        )
        for page in found
    ]


def each(write: Callable[[Job], list[Row]], waiting: Sequence[Job], written: Written, target: Target) -> None:
    """Run `write` over the jobs, and count what its ledger rows say."""
    rows = [row for own in target.mapper(write, waiting) for row in own]
    verdicts = (DROPPED, DISCARDED, HIDDEN)
    for row in rows:
        if row.verdict in verdicts:
            written.dropped[f"{'photograph' if row.kind == 'image' else row.kind}: {row.reason}"] += 1
        elif row.kind == "annotation":
            written.counts["regions to ignore" if row.verdict == IGNORED else "objects"] += 1
            written.changed["objects lost pixels beneath others"] += _is_covered(row)
    kept = {row.id for row in rows if row.kind == "image" and row.verdict == KEPT}
    written.files[:] = [job.check.image.file for job in waiting if job.check.image.key in kept]


def draw(job: Job) -> tuple[Drawing | None, list[Row]]:
    """The photograph drawn, None if it cannot be used, and its ledger rows with the pixels that show."""
    checked = check(job.check)
    if checked.photo is None:
        return None, list(checked.rows)
    task = DrawTask(
        root=job.target.root,
        photo=checked.photo,
        instances=checked.instances,
        indices=classes.class_indices(job.categories, "multiclass"),
        classes=job.classes,
        priority=SMALLER_ON_TOP,
        fit=_FIT,
        position=0,
        masks=Path(),
        store=Path(),
    )
    painted = paint(task)
    visible_px = dict(zip((i.id for i in checked.instances), painted.owned_px()[1:].tolist(), strict=True))
    rows = [
        with_visible_px(row, visible_px[row.id]) if row.kind == "annotation" and row.id in visible_px else row
        for row in checked.rows
    ]
    return Drawing(job.check.image, checked.instances, painted), rows


def _is_covered(row: Row) -> bool:
    return row.verdict != IGNORED and row.px_after is not None and row.px_after < (row.px_before or 0)


def check_names(categories: Sequence[str], written: Written) -> tuple[str, ...]:
    """The categories that masks can hold, all but background; counts those that a file of class names says otherwise.

    Raises UserError for a name that such a file cannot hold at all.
    """
    for name in categories:
        if ":" in name or name.startswith("#") or len(name.splitlines()) != 1:
            problem = f"class {name!r} cannot stand in a file of class names (':' ends a name, '#' begins a comment)"
            raise UserError(f"{problem}; rename it in the source, or leave it out by --classes")
        if meaning_in_file(name.strip()) != name:
            written.changed[f"class {name!r} reads as {meaning_in_file(name.strip())} in a file of names"] += 1
    return tuple(name for name in categories if name != BACKGROUND)
