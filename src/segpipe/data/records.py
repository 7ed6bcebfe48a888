"""What a source folder says, format by format made equal: images, instances, category names."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Any, Literal

Frame = Literal["viewed", "stored"]
Role = Literal["object", "crowd", "ignore"]
ShapeKind = Literal["region", "box", "line", "point"]
Note = tuple[str, str]  # the code of a finding that only a reader can see, and the rest in words
FLAGS = ("difficult", "occluded", "truncated")


class Record:
    """Base of frozen records that go from process to process by the thousand: how they pickle.

    The way that dataclasses bring along looks every field up anew for each record, which takes ten times as long.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        kind: Any = type(self)
        return from_values, (kind, _values_of(kind)(self))


def from_values(kind: Any, values: tuple[Any, ...]) -> Any:
    """A record of the values of its fields, in their order."""
    record = object.__new__(kind)
    for name, value in zip(_names_of(kind), values, strict=True):
        object.__setattr__(record, name, value)
    return record


@cache
def _names_of(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@cache
def _values_of(kind: Any, but: str = "") -> Callable[[object], Any]:
    return attrgetter(*(name for name in _names_of(kind) if name != but))


@dataclass(frozen=True, kw_only=True, slots=True)
class Rle(Record):
    """COCO run lengths of one mask: column-major, the first run counts zeros.

    size_hw: (height, width) in pixels; counts: the run lengths, or COCO's compressed string of them.
    """

    size_hw: tuple[int, int]
    counts: tuple[int, ...] | str


@dataclass(frozen=True, kw_only=True, slots=True)
class Image(Record):
    """One photograph of the source.

    key: unique, safe as a file name; file: POSIX path inside the source ("" if the record names none);
    width, height: pixels as the annotation declares them (None: it does not); split: the source's own
    (train, val, test) or None; annotated: some annotation file has a record of it; place: where that record
    stands; problem: a reason code if the record itself cannot be used, detail: that in words; notes: what only a reader
    can see, such as a photograph with several records.
    """

    key: str
    file: str
    width: int | None = None
    height: int | None = None
    split: str | None = None
    annotated: bool = True
    place: str = ""
    problem: str = ""
    detail: str = ""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance(Record):
    """One annotated object, drawn by exactly one of: rings, rle, or the pixels of mask_file equal to mask_value.

    kind: what the annotator drew: a region; a box, which says where the object is but not its outline (one ring, its
    four corners); a line (each of rings an open one, two points or more) or a point (rings of one point each).

    id: unique in the data set; image_key: "" if no image of the data set is named; category: a name of
    Dataset.categories, "" where unknown; rings: closed lines, each flat x, y, x, y ... in pixels, united;
    holes: closed lines whose insides are taken away from the united rings; even_odd: rings within each other leave
    holes instead, a pixel counts where an odd number of rings hold it;
    rings_refused: further rings of the record that are none (an odd count, under 6 numbers, no numbers of pixels);
    mask_file: POSIX path inside the source; role: `crowd` is a region of uncounted objects, `ignore` one that
    the source excludes from truth, both beneath every object unless layered: the source draws its shapes over each
    other, and this one covers what comes before it; flags: of FLAGS, what its annotator noted;
    area: square pixels as declared; place: where the record stands;
    problem: a reason code if the record cannot be used, detail: that in words; note: the code of a finding that only a
    reader can see.
    """

    id: str
    image_key: str
    category: str
    rings: tuple[tuple[float, ...], ...] = ()
    holes: tuple[tuple[float, ...], ...] = ()
    even_odd: bool = False
    rings_refused: int = 0
    rle: Rle | None = None
    mask_file: str = ""
    mask_value: int | None = None
    role: Role = "object"
    layered: bool = False
    kind: ShapeKind = "region"
    flags: tuple[str, ...] = ()
    area: float | None = None
    place: str = ""
    problem: str = ""
    detail: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict:
    """Two sides of a source that contradict each other over classes.

    kind: spelling: two names that may be one class; photograph: the same one, with objects of other classes on each
    side. categories: those that they contradict each other over; what: that in words, with both sides; remedy: what to
    do.
    """

    kind: Literal["spelling", "photograph"]
    categories: tuple[str, ...]
    what: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Everything one source says. images sorted by file, instances in the order of their files and records.

    format: the reader's name; categories: names in the source's own order; conflicts: between parts of the source.
    """

    format: str
    categories: tuple[str, ...]
    images: tuple[Image, ...]
    instances: tuple[Instance, ...]
    conflicts: tuple[Conflict, ...] = ()


def without_place(record: Image | Instance) -> tuple[Any, ...]:
    """The values of its fields but for where it stands in its file, which decides nothing; those of an Rle inside."""
    kind: Any = type(record)
    values: tuple[Any, ...] = _values_of(kind, "place")(record)
    return tuple(_values_of(Rle)(value) if isinstance(value, Rle) else value for value in values)


def by_image(instances: Iterable[Instance]) -> dict[str, list[Instance]]:
    """The instances of each image by its key, in their order; "" holds those that name no known image."""
    grouped: dict[str, list[Instance]] = {}
    for instance in instances:
        grouped.setdefault(instance.image_key, []).append(instance)
    return grouped


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo(Record):
    """A photograph that decodes. frame: which pixels are used; undecidable: both frames fit the declared size.

    width, height: in that frame; sha256: of its bytes; phash: `looks.hashes` of those pixels;
    background: its record has no object, and that is taken as the truth.
    """

    key: str
    file: str
    split: str | None
    width: int
    height: int
    frame: Frame
    orientation: int
    undecidable: bool
    sha256: str
    phash: str
    background: bool
