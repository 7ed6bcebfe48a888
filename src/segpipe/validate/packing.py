"""The photos of a shard at training size: decoded, or taken from the results of earlier runs.

A packed photo is named by its file and by everything else that decides its pixels. So a changed annotation decodes no
photo, and neither does a new division into shards.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from segpipe.core import shards
from segpipe.core.errors import AnnotationError, UserError
from segpipe.data import photos
from segpipe.data.preprocessing import Fit, fit_pil_image, stored_windows
from segpipe.data.records import Image, Photo
from segpipe.data.rgb import Change
from segpipe.data.store import row_writer
from segpipe.validate.photo import Seen, decode

_ROWS = "rows.npy"
_CHANGED = "has changed while validate reads it; run `dvc repro` again"


@dataclass(frozen=True, slots=True)
class Packed:
    """A photo with its rows, uint8 (h, w, 3) each; an image that is not used has none."""

    seen: Seen
    rows: Iterable[np.ndarray]


@contextmanager
def packer(
    folder: Path, root: Path, fit: Fit, version: str, earlier: Iterable[Path]
) -> Iterator[Callable[[Image, str, bool], Seen]]:
    """A function that packs the photos of a shard one after the other into `folder`, and returns the facts about each.

    Its arguments: the record; `content_of` the photo; whether the image is used, so that its rows are written. It
    raises AnnotationError as `decode`, and UserError if the file has changed since `content_of`.
    root: the source folder; version: hash of the code that decides pixels; earlier: the folders of earlier results.
    """
    known = {name: packed for result in earlier for name, packed in _read(result, version)}
    packed_so_far: list[tuple[str, int, Seen]] = []

    def pack(image: Image, content: str, is_used: bool) -> Seen:
        name = shards.key_of(version, repr(fit), content, (image.width, image.height))
        packed = known.get(name)
        if packed is None or (is_used and not packed.seen.fingerprint):
            packed = _decoded(root, image, content, fit if is_used else None)
        elif not is_used:
            packed = Packed(replace(packed.seen, fingerprint=b""), [])
        row_count = 0
        for row in packed.rows:
            add(row)
            row_count += 1
        packed_so_far.append((name, row_count, packed.seen))
        return replace(packed.seen, photo=replace(packed.seen.photo, key=image.key, file=image.file, split=image.split))

    with row_writer(folder / _ROWS, (*fit.size_hw, 3)) as add:
        yield pack
    lines = [
        [name, row_count, asdict(seen) | {"fingerprint": seen.fingerprint.hex()}]
        for name, row_count, seen in packed_so_far
    ]
    _seen_file(folder, version).write_text(json.dumps(lines), encoding="utf-8")


def rows_file(folder: Path) -> Path:
    """The rows in the folder of a result, in the order in which the photos were packed."""
    return folder / _ROWS


def content_of(path: Path) -> str:
    """The SHA-256 of a photo's bytes in hex; of a file that cannot be read, the problem."""
    try:
        return photos.sha256_of(path)
    except AnnotationError as error:
        return str(error)


def _decoded(root: Path, image: Image, content: str, fit: Fit | None) -> Packed:
    """The photo with its rows; without `fit`, it has none."""
    path = root / image.file
    try:
        seen, pixels = decode(root, image, with_fingerprint=fit is not None)
    except AnnotationError as error:
        if content_of(path) == content:
            raise
        raise UserError(f"{path}: {_CHANGED}") from error
    if seen.photo.sha256 != content:
        raise UserError(f"{path}: {_CHANGED}")
    if fit is None:
        return Packed(seen, [])
    windows = stored_windows((pixels.height, pixels.width), fit)
    return Packed(seen, (fit_pil_image(pixels, fit, window) for window in windows))


def _seen_file(folder: Path, version: str) -> Path:
    """The file with the facts about a result's photos. Another version of the code may have other facts."""
    return folder / f"seen-{version[:16]}.json"


def _read(folder: Path, version: str) -> Iterator[tuple[str, Packed]]:
    """The packed photos in the folder of a result by their names; none if another version of the code packed them."""
    path = _seen_file(folder, version)
    if not path.is_file():
        return
    rows, start = np.load(folder / _ROWS, mmap_mode="r"), 0
    for name, row_count, seen in json.loads(path.read_text(encoding="utf-8")):
        photo, changes = Photo(**seen["photo"]), tuple(Change(**change) for change in seen["changes"])
        yield name, Packed(Seen(photo, changes, bytes.fromhex(seen["fingerprint"])), rows[start : start + row_count])
        start += row_count
