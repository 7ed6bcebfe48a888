"""Reasons and findings of a data set, each with example images."""

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
_OUTLINED = ("size_mismatch", *(reason.code for reason in FINDINGS))  # photos that need their outlines as proof
_NO_OTHERS: Mapping[tuple[str, str], str] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One image or annotation that has a code."""

    id: str
    place: str  # of its record, such as "a.json: images[3]"
    file: str  # its photo, "" if there is none
    category: str = ""
    detail: str = ""
    thumbnail: str = ""  # a data: URI, or ""
    other_thumbnail: str = ""  # of the photo that it nearly equals, a data: URI, or ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cases:
    """All cases of one code."""

    reason: Reason
    kind: RecordKind
    count: int
    examples: tuple[Case, ...]  # with a thumbnail each
    others: tuple[Case, ...]  # without
    unlisted: int  # cases that are neither in examples nor in others


@dataclass(frozen=True, slots=True)
class Lookup:
    """The records of a source folder, by key or id."""

    root: Path
    images: Mapping[str, Image]
    instances: Mapping[str, Instance]
    on_image: Mapping[str, Sequence[Instance]]
    photos: Mapping[str, Photo]


def lookup_of(root: Path, dataset: Dataset, drawn: Iterable[Instance], photos: Iterable[Photo]) -> Lookup:
    """Index a data set. drawn: the drawn instances; they replace those of the data set."""
    as_drawn = {instance.id: instance for instance in drawn}
    instances = {instance.id: as_drawn.get(instance.id, instance) for instance in dataset.instances}
    on_image = by_image(instances.values())
    images = {image.key: image for image in dataset.images}
    return Lookup(root, images, instances, on_image, {photo.key: photo for photo in photos})


def of_ledger(rows: Iterable[Row], lookup: Lookup) -> list[Cases]:
    """The cases of each reason in the ledger: by verdict, images before annotations, the most frequent first."""
    cases: dict[tuple[str, str, RecordKind], list[Row]] = {}
    for row in rows:
        if row.reason:
            cases.setdefault((row.verdict, row.reason, row.kind), []).append(row)
    order = sorted(cases, key=lambda key: (_ORDER.index(key[0]), key[2] != "image", -len(cases[key]), key))
    return [_cases(reason_of(key[0], key[1]), cases[key], lookup) for key in order]


def of_findings(findings: Sequence[Finding], rows: Sequence[Row], lookup: Lookup) -> list[Cases]:
    """The cases of each finding, in the order of FINDINGS. rows: the ledger."""
    other_of = {(finding.code, finding.id): finding.twin for finding in findings if finding.kind == "image"}
    of_code: dict[str, list[Row]] = {}
    for row in as_rows(findings, rows):
        of_code.setdefault(row.reason, []).append(row)
    return [_cases(reason, of_code[reason.code], lookup, other_of) for reason in FINDINGS if reason.code in of_code]


def _cases(
    reason: Reason, rows: Sequence[Row], lookup: Lookup, other_of: Mapping[tuple[str, str], str] = _NO_OTHERS
) -> Cases:
    """other_of: by code and image key the key of the photo that the image nearly equals."""
    examples: dict[str, Case] = {}
    for row in _spread(rows):
        if thumbnail := _thumbnail(row, lookup):
            other = _photo_thumbnail(other_of.get((row.reason, row.id), ""), lookup)
            examples[row.id] = replace(_case(row, lookup), thumbnail=thumbnail, other_thumbnail=other)
    others = [_case(row, lookup) for row in rows if row.id not in examples]
    return Cases(
        reason=reason,
        kind=rows[0].kind,
        count=len(rows),
        examples=tuple(examples.values()),
        others=tuple(others[:_LISTED]),
        unlisted=max(0, len(others) - _LISTED),
    )


def _spread(rows: Sequence[Row]) -> list[Row]:
    """A few rows, evenly spaced from the first to the last; of different photos if there are enough photos."""
    firsts = list({row.image_key: row for row in reversed(rows)}.values())[::-1]
    pool = firsts if len(firsts) >= _EXAMPLES else rows
    count = min(_EXAMPLES, len(pool))
    return [pool[i * len(pool) // count] for i in range(count)]


def _case(row: Row, lookup: Lookup) -> Case:
    image = lookup.images.get(row.image_key)
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


def _thumbnail(row: Row, lookup: Lookup) -> str:
    if row.kind == "image":
        return _photo_thumbnail(row.image_key, lookup, outlined=row.reason in _OUTLINED)
    if not (image := _readable(row.image_key, lookup)):
        return ""
    return thumbnails.of_annotation(lookup.root, image.file, _frame(image.key, lookup), lookup.instances[row.id])


def _photo_thumbnail(key: str, lookup: Lookup, outlined: bool = False) -> str:
    if not (image := _readable(key, lookup)):
        return ""
    outlines = lookup.on_image.get(key, ()) if outlined else ()
    return thumbnails.of_photo(lookup.root, image.file, _frame(key, lookup), outlines)


def _readable(key: str, lookup: Lookup) -> Image | None:
    image = lookup.images.get(key)
    return image if image and image.file and not image.problem else None  # a problem: the path may leave the source


def _frame(key: str, lookup: Lookup) -> Frame:
    photo = lookup.photos.get(key)
    return photo.frame if photo else "viewed"
