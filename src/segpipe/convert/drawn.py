"""Images drawn by the pipeline's rules, one at a time and in any process, for targets that store pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from segpipe.convert.target import AnnotatedImage, Target, Written
from segpipe.core.errors import UserError
from segpipe.data import classes
from segpipe.data.classes import BACKGROUND, ClassTable
from segpipe.data.records import Image, Instance
from segpipe.ingest.mask_classes import meaning_in_file
from segpipe.ledger.policies import Policies
from segpipe.ledger.rows import DISCARDED, DROPPED, HIDDEN, IGNORED, KEPT, Row, with_visible_px
from segpipe.masks.painting import SMALLER_ON_TOP
from segpipe.rasterize.image import DrawTask, Painted, paint
from segpipe.validate.image import CheckTask, check
from segpipe.validate.judge import Rules


@dataclass(frozen=True, slots=True)
class ConversionJob:
    """One image to check, draw and write."""

    check: CheckTask
    categories: tuple[str, ...]
    target: Target
    stem: str  # the path in the target without suffix

    @property
    def classes(self) -> ClassTable:
        """Background and the categories, in the source's order."""
        return classes.class_table(self.categories, "multiclass")


@dataclass(frozen=True, slots=True)
class Drawing:
    """One drawn image."""

    image: Image
    instances: tuple[Instance, ...]  # those that are drawn
    painted: Painted  # owner i + 1 is instances[i]


def jobs(
    images: Sequence[AnnotatedImage], categories: tuple[str, ...], target: Target, stems: dict[str, str]
) -> list[ConversionJob]:
    """One job per image. All classes count, crowds are ignored, boxes are regions, lines and points are dropped.

    stems: the path in the target without suffix, by image key.
    """
    picklable = replace(target, mapper=map)  # a job goes to another process
    rules = Rules({name: name for name in categories}, Policies())
    return [
        ConversionJob(
            CheckTask(target.root, annotated.image, annotated.instances, rules, keep_empty=True),
            categories,
            picklable,
            stems[annotated.image.key],
        )
        for annotated in images
    ]


def write_each(
    write: Callable[[ConversionJob], list[Row]], jobs: Sequence[ConversionJob], written: Written, target: Target
) -> None:
    """Run `write` on every job, and count the ledger rows that it returns."""
    rows = [row for of_image in target.mapper(write, jobs) for row in of_image]
    for row in rows:
        if row.verdict in (DROPPED, DISCARDED, HIDDEN):
            written.dropped[f"{row.kind}: {row.reason}"] += 1
        elif row.kind == "annotation":
            written.counts["ignored region" if row.verdict == IGNORED else "object"] += 1
            written.changed["object: without the pixels under other objects"] += _is_partly_hidden(row)
    kept = {row.id for row in rows if row.kind == "image" and row.verdict == KEPT}
    written.files[:] = [job.check.image.file for job in jobs if job.check.image.key in kept]


def draw(job: ConversionJob) -> tuple[Drawing | None, list[Row]]:
    """The drawn image (None if it cannot be used) and its ledger rows with the visible pixels."""
    checked = check(job.check)
    if checked.photo is None:
        return None, list(checked.rows)
    indices = classes.class_indices(job.categories, "multiclass")
    task = DrawTask(job.target.root, checked.photo, checked.instances, indices, SMALLER_ON_TOP)
    painted = paint(task)
    visible_px = dict(zip((i.id for i in checked.instances), painted.owned_px()[1:].tolist(), strict=True))
    rows = [
        with_visible_px(row, visible_px[row.id]) if row.kind == "annotation" and row.id in visible_px else row
        for row in checked.rows
    ]
    return Drawing(job.check.image, checked.instances, painted), rows


def _is_partly_hidden(row: Row) -> bool:
    return row.verdict != IGNORED and row.px_after is not None and row.px_after < (row.px_before or 0)


def check_names(categories: Sequence[str], written: Written) -> tuple[str, ...]:
    """The categories of the masks: all but background. Names with another meaning in a file of names are counted.

    Raises UserError for a name that such a file cannot store.
    """
    for name in categories:
        if ":" in name or name.startswith("#") or len(name.splitlines()) != 1:
            problem = f"class {name!r} cannot be in a file of class names (':' ends a name, '#' starts a comment)"
            raise UserError(f"{problem}; rename it in the source, or leave it out with --classes")
        meaning = meaning_in_file(name.strip())
        if meaning != name:
            written.changed[f"class: {name!r} means {meaning} in a file of class names"] += 1
    return tuple(name for name in categories if name != BACKGROUND)
