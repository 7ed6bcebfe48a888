"""The records of a source, in one form for all formats: images, instances, category names."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Frame = Literal["viewed", "stored"]  # pixels with the EXIF orientation applied, or as they are in the file
# crowd: a region of uncounted objects; ignore: a region that the source excludes from the truth.
# Both are below every object, unless the instance is layered.
Role = Literal["object", "crowd", "ignore"]
ShapeKind = Literal["region", "box", "line", "point"]  # box: where the object is, not its outline; one ring
Note = tuple[str, str]  # code and text of a finding that only a reader can see
FLAGS = ("difficult", "occluded", "truncated")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rle:
    """COCO's run lengths of one mask, down the columns; the first run counts zeros."""

    size_hw: tuple[int, int]  # height and width in pixels
    counts: tuple[int, ...] | str  # the run lengths, or COCO's compressed string of them


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """One image of the source, as its annotation files describe it."""

    key: str  # unique, safe as a file name
    file: str  # POSIX path of the photo inside the source; "" if the record names none

    # declared by the source
    width: int | None = None  # pixels
    height: int | None = None
    split: str | None = None  # train, val or test
    annotated: bool = True  # some annotation file has a record of it

    # the position of the record, and its problem
    place: str = ""
    problem: str = ""  # reason code if the record itself cannot be used
    detail: str = ""  # the problem in words
    notes: tuple[Note, ...] = ()  # findings that only a reader can see, such as several records of one photo


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """One annotated object. Its shape is exactly one of: rings, rle, the pixels of mask_file that equal mask_value."""

    id: str  # unique in the data set
    image_key: str  # "" if the record names no image of the data set
    category: str  # one of Dataset.categories; "" if unknown

    # shape; rings and holes are flat x, y, x, y ... in pixels
    rings: tuple[tuple[float, ...], ...] = ()  # closed lines, united; of a `line`: open lines; of a `point`: points
    holes: tuple[tuple[float, ...], ...] = ()  # closed lines, subtracted from the united rings
    even_odd: bool = False  # rings are not united: a pixel counts if an odd number of rings contain it
    rings_refused: int = 0  # invalid rings of the record: an odd count, under 6 numbers, or not numbers of pixels
    rle: Rle | None = None
    mask_file: str = ""  # POSIX path inside the source
    mask_value: int | None = None

    # declared by the source
    role: Role = "object"
    layered: bool = False  # the source draws its shapes over each other: this one covers the earlier ones
    kind: ShapeKind = "region"
    flags: tuple[str, ...] = ()  # of FLAGS
    area: float | None = None  # square pixels, as declared

    # the position of the record, and its problem
    place: str = ""
    problem: str = ""  # reason code if the record cannot be used
    detail: str = ""  # the problem in words
    note: str = ""  # code of a finding that only a reader can see


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict:
    """Two parts of a source that contradict each other about classes."""

    kind: Literal["spelling", "photograph"]  # two names that may be one class; one photo with different classes
    categories: tuple[str, ...]  # the names in question
    what: str  # the conflict in words, with both parts
    remedy: str  # what to do


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """All records of one source."""

    format: str  # the reader's name
    categories: tuple[str, ...]  # names, in the source's order
    images: tuple[Image, ...]  # sorted by file
    instances: tuple[Instance, ...]  # in the order of their files and records
    conflicts: tuple[Conflict, ...] = ()


def by_image(instances: Iterable[Instance]) -> dict[str, list[Instance]]:
    """The instances by image key, in their order; "": instances that name no known image."""
    grouped: dict[str, list[Instance]] = {}
    for instance in instances:
        grouped.setdefault(instance.image_key, []).append(instance)
    return grouped


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """An image whose photo can be decoded."""

    # as in Image
    key: str
    file: str
    split: str | None

    # the pixels that are used
    width: int
    height: int
    frame: Frame
    orientation: int  # EXIF orientation, 1..8
    undecidable: bool  # both frames fit the declared size

    # content
    sha256: str  # of the photo's bytes, in hex
    background: bool  # its record has no object, and this counts as the truth
