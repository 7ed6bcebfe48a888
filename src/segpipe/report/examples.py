"""What was found in a data set, code by code, with examples to look at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segpipe.data.records import Dataset, Frame, Image, Instance, Photo, by_image
from segpipe.ledger.findings import Finding, as_rows
from segpipe.ledger.reasons import FINDINGS, Reason, reason_of
from segpipe.ledger.rows import CLIPPED, DISCARDED, DROPPED, HIDDEN, IGNORED, KEPT, REPAIRED, SKIPPED, RecordKind, Row
from segpipe.pictures import thumbnails

_EXAMPLES = 6
_LISTED = 200
_ORDER = (
    DROPPED, REPAIRED, CLIPPED, HIDDEN, IGNORED, KEPT, SKIPPED,
    DISCARDED,
)  # fmt: skip
_OUTLINED = ("size_mismatch", *(reason.code for reason in FINDINGS))  # where the outlines prove the point
_NO_TWINS: Mapping[tuple[str, str], str] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One image or annotation. place: where its record stands; file: its picture, "" if there is none.

    thumbnail, twin: data: URIs, or "": of itself, and of the photograph that it is nearly equal to.
    """

    id: str
    place: str
    file: str
    category: str = ""
    detail: str = ""
    thumbnail: str = ""
    twin: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """All cases of one code: those with a picture, the others as far as they are listed, and how many are not."""

    reason: Reason
    kind: RecordKind
    count: int
    examples: tuple[Case, ...]
    others: tuple[Case, ...]
    unlisted: int


@dataclass(frozen=True, slots=True)
class Source:
    """What the cases are looked up in: the source's records by key and id, and its folder."""

    root: Path
    images: Mapping[str, Image]
    instances: Mapping[str, Instance]
    on_image: Mapping[str, Sequence[Instance]]
    photos: Mapping[str, Photo]


def source(root: Path, dataset: Dataset, drawn: Iterable[Instance], photos: Iterable[Photo]) -> Source:
    """Index a data set, its annotations as they are drawn where they are drawn."""
    as_drawn = {instance.id: instance for instance in drawn}
    instances = {instance.id: as_drawn.get(instance.id, instance) for instance in dataset.instances}
    on_image = by_image(instances.values())
    images = {image.key: image for image in dataset.images}
    return Source(root, images, instances, on_image, {photo.key: photo for photo in photos})


def account(rows: Iterable[Row], where: Source) -> list[Section]:
    """One section for each reason in the ledger: by verdict, photographs first, the most frequent first."""
    cases: dict[tuple[str, str, RecordKind], list[Row]] = {}
    for row in rows:
        if row.reason:
            cases.setdefault((row.verdict, row.reason, row.kind), []).append(row)
    order = sorted(cases, key=lambda key: (_ORDER.index(key[0]), key[2] != "image", -len(cases[key]), key))
    return [_section(reason_of(key[0], key[1]), cases[key], where) for key in order]


def notes(found: Sequence[Finding], rows: Sequence[Row], where: Source) -> list[Section]:
    """One section for each thing worth knowing that is no defect, in the order of their words."""
    twin_of = {(finding.code, finding.id): finding.twin for finding in found if finding.kind == "image"}
    of_code: dict[str, list[Row]] = {}
    for row in as_rows(found, rows):
        of_code.setdefault(row.reason, []).append(row)
    return [_section(reason, of_code[reason.code], where, twin_of) for reason in FINDINGS if reason.code in of_code]


def _section(
    reason: Reason, rows: Sequence[Row], where: Source, twin_of: Mapping[tuple[str, str], str] = _NO_TWINS
) -> Section:
    pictured = ((row, _thumbnail(row, where)) for row in _spread(rows))
    examples = {
        row.id: replace(
            _case(row, where), thumbnail=shown, twin=_photograph(twin_of.get((row.reason, row.id), ""), where)
        )
        for row, shown in pictured
        if shown
    }
    others = [_case(row, where) for row in rows if row.id not in examples]
    return Section(
        reason=reason,
        kind=rows[0].kind,
        count=len(rows),
        examples=tuple(examples.values()),
        others=tuple(others[:_LISTED]),
        unlisted=max(0, len(others) - _LISTED),
    )


def _spread(rows: Sequence[Row]) -> list[Row]:
    """A few of them, evenly from the first to the last, one a photograph as long as there are enough photographs."""
    firsts = list({row.image_key: row for row in reversed(rows)}.values())[::-1]
    pool = firsts if len(firsts) >= _EXAMPLES else rows
    count = min(_EXAMPLES, len(pool))
    return [pool[i * len(pool) // count] for i in range(count)]


def _case(row: Row, where: Source) -> Case:
    image = where.images.get(row.image_key)
    return Case(
        id=row.id,
        place=row.place or row.id,
        file=image.file if image else "",
        category=row.category,
        detail="; ".join(filter(None, [row.detail, _measured(row)])),
    )


def _measured(row: Row) -> str:
    drawn = f"{row.px_before:,} pixels" if row.px_before else ""
    if row.reason != "self_crossing":
        return drawn
    return f"{drawn}, corrected {row.area_after:,.0f}" if row.area_after is not None else f"{drawn}, correction unknown"


def _thumbnail(row: Row, where: Source) -> str:
    if row.kind == "image":
        return _photograph(row.image_key, where, outlined=row.reason in _OUTLINED)
    if not (image := _readable(row.image_key, where)):
        return ""
    return thumbnails.of_annotation(where.root, image.file, _frame(image.key, where), where.instances[row.id])


def _photograph(key: str, where: Source, outlined: bool = False) -> str:
    if not (image := _readable(key, where)):
        return ""
    outlines = where.on_image.get(key, ()) if outlined else ()
    return thumbnails.of_photograph(where.root, image.file, _frame(key, where), outlines)


def _readable(key: str, where: Source) -> Image | None:
    image = where.images.get(key)
    return image if image and image.file and not image.problem else None  # else it may lead outside the source


def _frame(key: str, where: Source) -> Frame:
    photo = where.photos.get(key)
    return photo.frame if photo else "viewed"
