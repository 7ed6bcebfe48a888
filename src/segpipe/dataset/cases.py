"""What was found in a data set, code by code, with examples to look at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segpipe.dataset import findings, ledger, thumbnails
from segpipe.dataset.checks import Photo
from segpipe.dataset.ledger import Kind, Row
from segpipe.dataset.reasons import FINDINGS, Reason, reason_of
from segpipe.dataset.validation import Validated
from segpipe.records import Dataset, Image, Instance, by_image

_EXAMPLES = 6
_LISTED = 200
_ORDER = (
    ledger.DROPPED, ledger.REPAIRED, ledger.CLIPPED, ledger.HIDDEN, ledger.IGNORED, ledger.KEPT, ledger.SKIPPED,
    ledger.DISCARDED,
)  # fmt: skip
_OUTLINED = ("size_mismatch", *(reason.code for reason in FINDINGS))  # where the outlines prove the point


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One image or annotation. place: where its record stands; file: its picture, "" if there is none.

    thumbnail: a data: URI, or "".
    """

    place: str
    file: str
    category: str = ""
    detail: str = ""
    thumbnail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """All cases of one code: those with a picture, the others as far as they are listed, and how many are not."""

    reason: Reason
    kind: Kind
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


def source(root: Path, dataset: Dataset, validated: Validated) -> Source:
    """Index a data set, its annotations as they are drawn where they are drawn."""
    drawn = {instance.id: instance for instance in validated.instances}
    instances = {instance.id: drawn.get(instance.id, instance) for instance in dataset.instances}
    on_image = by_image(instances.values())
    images = {image.key: image for image in dataset.images}
    return Source(root, images, instances, on_image, {photo.key: photo for photo in validated.photos})


def account(rows: Iterable[Row], where: Source) -> list[Finding]:
    """One finding for each reason in the ledger: by verdict, photographs first, the most frequent first."""
    cases: dict[tuple[str, str, Kind], list[Row]] = {}
    for row in rows:
        if row.reason:
            cases.setdefault((row.verdict, row.reason, row.kind), []).append(row)
    order = sorted(cases, key=lambda key: (_ORDER.index(key[0]), key[2] != "image", -len(cases[key]), key))
    return [_finding(reason_of(cases[key][0]), cases[key], where) for key in order]


def notes(found: Sequence[findings.Finding], rows: Sequence[Row], where: Source) -> list[Finding]:
    """One finding for each thing worth knowing that is no defect, in the order of their words."""
    noted = findings.as_rows(found, rows)
    of_code: dict[str, list[Row]] = {}
    for row in noted:
        of_code.setdefault(row.reason, []).append(row)
    return [_finding(reason, of_code[reason.code], where) for reason in FINDINGS if reason.code in of_code]


def _finding(reason: Reason, rows: Sequence[Row], where: Source) -> Finding:
    examples = {row.id: replace(_case(row, where), thumbnail=_thumbnail(row, where)) for row in _spread(rows)}
    examples = {id_: case for id_, case in examples.items() if case.thumbnail}
    others = [_case(row, where) for row in rows if row.id not in examples]
    return Finding(
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
        place=row.place or row.id,
        file=image.file if image else "",
        category=row.category,
        detail="; ".join(filter(None, [row.detail, _measured(row)])),
    )


def _measured(row: Row) -> str:
    drawn = f"{row.px_before:,} pixels" if row.px_before else ""
    return f"{drawn}, corrected {row.area_after:,.0f}" if row.reason == "self_crossing" else drawn


def _thumbnail(row: Row, where: Source) -> str:
    image = where.images.get(row.image_key)
    if not image or not image.file or image.problem:  # such a file may lead outside the source
        return ""
    photo = where.photos.get(image.key)
    frame = photo.frame if photo else "viewed"
    if row.kind == "annotation":
        return thumbnails.of_annotation(where.root, image.file, frame, where.instances[row.id])
    outlines = where.on_image.get(image.key, ()) if row.reason in _OUTLINED else ()
    return thumbnails.of_photograph(where.root, image.file, frame, outlines)
