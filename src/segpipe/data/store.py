"""The store: all images and label maps at training size, in files that can be memory-mapped.

An image has one row, or one row per tile. A shard is a group of images; its rows are in one file of each folder, in the
same order. R rows, of which R_s in shard s; N images, C classes:

photos/index.json         the image key of each row in the order of the source, and the Fit
photos/places.npy         int32 (R, 2)          the shard of each row, and its number in the files of the shard
photos/boxes.npy          int32 (R, 4)          the part of its image that a row shows, in native pixels: top, left,
                                                bottom, right
photos/00000.npy ...      uint8 (R_s, h, w, 3)  RGB, exactly what `fit_image` returns
labels/classes.json       ClassTable
labels/00000.npy ...      uint8 (R_s, h, w)     class_index or ignore_index
labels/row_pixels.npy     int64 (R, C)          native pixels of each class in the part that a row shows
labels/class_pixels.npy   int64 (N, C)          native pixels of each class in each whole image
"""

import hashlib
import json
import resource
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import write_array_header_1_0

from segpipe.core.errors import UserError
from segpipe.core.files import atomic_write, write_json
from segpipe.data.classes import ClassTable
from segpipe.data.preprocessing import Fit

_OTHER_FILES = 512  # that a training may open


def shard_file(folder: Path, shard: int) -> Path:
    """The file of a shard in `folder`, photos or labels."""
    return folder / f"{shard:05}.npy"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of memory-mapped shard files, indexed as one array: they are read from disk when they are used."""

    row_shape: tuple[int, ...]
    shards: Mapping[int, np.ndarray]  # uint8 (R_s, *row_shape) by shard
    places: np.ndarray  # int (R, 2): the shard of each row, and the row in it

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, ...]:
        """(R, *row_shape)."""
        return len(self.places), *self.row_shape

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Always uint8."""
        return np.dtype(np.uint8)

    def __getitem__(self, index: "int | slice | np.ndarray") -> np.ndarray:
        """A copy of the rows that numpy selects with this index of the first axis."""
        places = self.places[index]
        rows = np.empty((*places.shape[:-1], *self.row_shape), np.uint8)
        for row, (shard, number) in zip(rows.reshape(-1, *self.row_shape), places.reshape(-1, 2).tolist(), strict=True):
            row[...] = self.shards[shard][number]
        return rows


@dataclass(frozen=True, slots=True)
class Store:
    """An open store of R rows, in the order of the source."""

    keys: tuple[str, ...]  # the image key of each row
    classes: ClassTable
    fit: Fit
    images: Rows  # uint8 (R, h, w, 3) RGB
    labels: Rows  # uint8 (R, h, w), class_index or ignore_index
    boxes: np.ndarray  # int32 (R, 4): the part of its image that a row shows: top, left, bottom, right in native pixels
    row_pixels: np.ndarray  # int64 (R, C)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each row: its image key; a tile also has its place in the image."""
        rows_of = Counter(self.keys)
        boxes = self.boxes.tolist()
        return tuple(
            f"{key} (x {left}-{right}, y {top}-{bottom})" if rows_of[key] > 1 else key
            for key, (top, left, bottom, right) in zip(self.keys, boxes, strict=True)
        )

    @classmethod
    def open(cls, photos: Path, labels: Path) -> "Store":
        """Open the store in two folders. Raises FileNotFoundError, and UserError for a file that is not whole."""
        index = json.loads((photos / "index.json").read_text(encoding="utf-8"))
        places, fit = np.load(photos / "places.npy"), Fit(**index["fit"] | {"size_hw": tuple(index["fit"]["size_hw"])})
        return cls(
            keys=tuple(index["keys"]),
            classes=ClassTable.read(labels / "classes.json"),
            fit=fit,
            images=_rows(photos, places, (*fit.size_hw, 3)),
            labels=_rows(labels, places, fit.size_hw),
            boxes=np.load(photos / "boxes.npy"),
            row_pixels=np.load(labels / "row_pixels.npy"),
        )

    def content_hash(self) -> str:
        """SHA-256 in hex over all rows in order, and all facts about them; equal for any number of shards."""
        digests = np.empty((len(self.keys), hashlib.sha256().digest_size), np.uint8)
        in_files = np.lexsort(self.images.places.T[::-1])  # the disk reads each file from its start to its end
        for row in in_files.tolist():
            pixels = hashlib.sha256(self.images[row].data.cast("B"))
            pixels.update(self.labels[row].data.cast("B"))
            digests[row] = np.frombuffer(pixels.digest(), np.uint8)
        whole = hashlib.sha256(json.dumps([self.keys, self.classes.names, asdict(self.fit)]).encode())
        for facts in (self.boxes, self.row_pixels, digests):
            whole.update(facts.tobytes())
        return whole.hexdigest()


def _rows(folder: Path, places: np.ndarray, row_shape: tuple[int, ...]) -> Rows:
    numbers, counts = (each.tolist() for each in np.unique(places[:, 0], return_counts=True))
    _allow_open_files(2 * len(numbers) + _OTHER_FILES)
    shapes = {shard: (count, *row_shape) for shard, count in zip(numbers, counts, strict=True)}
    return Rows(row_shape, {shard: _mapped(shard_file(folder, shard), shapes[shard]) for shard in shapes}, places)


def _allow_open_files(count: int) -> None:
    """Let this process open so many files, if the system's limit allows it: a memory map keeps its file open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def _mapped(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        rows: np.ndarray = np.load(path, mmap_mode="r")
    except (EOFError, ValueError) as error:  # it is cut short
        raise UserError(f"{path}: is damaged ({error}); run `dvc repro`, which writes it again") from error
    if rows.shape != shape:  # validate ran again and rasterize did not, for example
        raise UserError(
            f"{path}: has the shape {rows.shape} instead of {shape}; run `dvc repro`, which writes it again"
        )
    return rows


@contextmanager
def row_writer(path: Path, row_shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that appends a row, uint8 row_shape, to an .npy file; their number need not be known before."""
    count = 0

    def add(row: np.ndarray) -> None:
        nonlocal count
        file.write(np.ascontiguousarray(row).data)
        count += 1

    def write_header() -> None:
        """The header has the same length for any number of rows: numpy leaves space for that."""
        file.seek(0)
        write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (count, *row_shape)})

    with path.open("wb") as file:
        write_header()
        yield add
        write_header()


def write_index(photos: Path, keys: Sequence[str], places: np.ndarray, boxes: np.ndarray, fit: Fit) -> None:
    """Write the order of the rows. keys: the image of each row; places: int (R, 2); boxes: int (R, 4); as above."""
    write_json(photos / "index.json", {"keys": list(keys), "fit": asdict(fit)})
    _save(photos / "places.npy", places.astype(np.int32))
    _save(photos / "boxes.npy", boxes.astype(np.int32))


def write_pixels(labels: Path, row_pixels: np.ndarray, class_pixels: np.ndarray) -> None:
    """Write the pixel counts. row_pixels: int64 (R, C); class_pixels: int64 (N, C); both in the order of the source."""
    _save(labels / "row_pixels.npy", row_pixels)
    _save(labels / "class_pixels.npy", class_pixels)


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_write(path) as part, part.open("wb") as file:
        np.save(file, array)
