"""The conversion of a source folder of any format to another format, with a report in words."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from segpipe.convert import coco, index_masks, labelme, target, voc, yolo
from segpipe.convert.target import Target, Written
from segpipe.core.errors import UserError
from segpipe.core.plurals import counted
from segpipe.data import photos
from segpipe.data.records import Dataset
from segpipe.ingest.names import AUTO
from segpipe.ingest.read import MaskOptions, read_source
from segpipe.validate import conflicts

_DEFAULT_MASKS = MaskOptions()

# A new target is a module with a function `write`, and one line here
WRITERS: Mapping[str, Callable[[Dataset, Target], Written]] = {
    "coco": coco.write,
    "labelme": labelme.write,
    "masks": index_masks.write,
    "voc": voc.write,
    "yolo": yolo.write,
}
_PHOTOS = {
    "coco": "the records have their paths in the source: use the source as the image folder",
    "labelme": "imagePath in each file leads to the photo in the source",
    "masks": "the masks have the paths of the photos: put the photos under images/",
    "voc": "put them into JPEGImages/ with the names in Annotations/",
    "yolo": "put them under images/ with the paths of labels/",
}


def convert(
    root: Path,
    out: Path,
    to: str,
    *,
    format: str = AUTO,
    masks: MaskOptions = _DEFAULT_MASKS,
    class_of: Mapping[str, str] | None = None,
    even_odd: bool = False,
    copy_images: bool = False,
) -> list[str]:
    """Write the source `root` to the folder `out` in the format `to` (one of WRITERS), and return the report's lines.

    format: of the source; masks: how to read its masks, and how to map a function over images;
    class_of: the class of each category to write, None for all; even_odd: whether nested rings of an object are holes;
    copy_images: whether to copy the photos, too.
    Raises UserError if `out` is not empty or is in the source, or if the source as a whole cannot be used.
    """
    target.check_folders(root, out)
    dataset = read_source(root, format, masks)
    conflicts.refuse(dataset.conflicts, class_of)
    if class_of:
        dataset = target.with_classes(dataset, class_of)
    if even_odd:
        dataset = target.with_holes(dataset)
    try:
        written = WRITERS[to](dataset, Target(root, out, copy_images, masks.mapper))
    except OSError as error:
        remedy = f"fix this, empty {out}, and start again"
        raise UserError(f"{error.filename or out}: {error.strerror}; {remedy}") from error
    if not written.files:
        reasons = ", ".join(_lines(written.dropped))
        raise UserError(f"{root}: no image can be written as {to} ({reasons}); fix the source")
    return [f"{dataset.format} -> {to}: {out}", *_report(written), _photo_line(written, to, copy_images)]


def _report(written: Written) -> list[str]:
    parts = {
        "written": written.counts + Counter(image=len(written.files)),
        "changed": written.changed,
        "left out": written.dropped,
    }
    lines = [f"  {name}: {line}" for name, counter in parts.items() for line in _lines(counter)]
    return lines if any(written.dropped.values()) else [*lines, "  left out: nothing"]


def _lines(counter: Counter[str]) -> list[str]:
    """Each key of a counter of Written with its count, the largest count first."""
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    parts = ((count, key.partition(":")) for key, count in ordered if count)
    return [f"{counted(count, noun)}{colon}{text}" for count, (noun, colon, text) in parts]


def _photo_line(written: Written, to: str, copied: bool) -> str:
    if copied:
        return f"  photos: {len(written.files)} copied"
    embedded = sum(photos.is_embedded(Path(file)) for file in written.files)
    if embedded and to == "labelme":
        return f"  photos: {embedded} inside the annotation files as in the source; for the others, {_PHOTOS[to]}"
    note = f"; only this option saves the {counted(embedded, 'photo')} inside annotation files" if embedded else ""
    return f"  photos: not copied (--copy-images{note}); {_PHOTOS[to]}"
