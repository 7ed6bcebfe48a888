"""A source folder of any format written back in another, and the account of it in words."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from segpipe.convert import coco, labelme, target, voc, yolo
from segpipe.convert import index_masks as index_masks
from segpipe.convert.target import Target, Written
from segpipe.core.errors import UserError
from segpipe.data import photos
from segpipe.data.records import Dataset
from segpipe.ingest.names import AUTO
from segpipe.ingest.read import MaskOptions, read_source
from segpipe.validate import conflicts

_BY_FOLDERS = MaskOptions()

# A new target is one module with `write`, and its line here.
WRITERS: Mapping[str, Callable[[Dataset, Target], Written]] = {
    "coco": coco.write,
    "labelme": labelme.write,
    "masks": index_masks.write,
    "voc": voc.write,
    "yolo": yolo.write,
}
_WHERE = {
    "coco": "the records name them by their path in the source: use it as the image folder",
    "labelme": "imagePath leads from each file to the source's own",
    "masks": "masks have the photographs' paths: put those below images/",
    "voc": "put them into JPEGImages/ under the names in Annotations/",
    "yolo": "put them below images/ under the paths of labels/",
}


def convert(
    root: Path,
    out: Path,
    to: str,
    *,
    format: str = AUTO,
    masks: MaskOptions = _BY_FOLDERS,
    class_of: Mapping[str, str] | None = None,
    even_odd: bool = False,
    copy_images: bool = False,
) -> list[str]:
    """Write the source `root` to `out` in the format `to`, one of WRITERS; the lines that say what came of it.

    masks: how to read masks, and how to map over pictures; class_of: the class that each category becomes, of those
    that are written; even_odd: rings within others of the same object are holes. Raises UserError if `out` is not
    empty or in the source, or the source cannot be read as a whole.
    """
    target.check(root, out)
    dataset = read_source(root, format, masks)
    conflicts.refuse(dataset.conflicts, class_of)
    if class_of:
        dataset = target.of_classes(dataset, class_of)
    if even_odd:
        dataset = target.with_holes(dataset)
    try:
        written = WRITERS[to](dataset, Target(root, out, copy_images, masks.mapper))
    except OSError as error:
        raise UserError(f"{error.filename or out}: {error.strerror}; mend that, empty {out}, start anew") from error
    if not written.files:
        reasons = ", ".join(f"{count} {what}" for what, count in _largest(written.dropped))
        raise UserError(f"{root}: no photograph can be written as {to} ({reasons}); mend the source")
    return [f"{dataset.format} -> {to}: {out}", *_account(written), _photographs(written, to, copy_images)]


def _account(written: Written) -> list[str]:
    said = {
        "written": written.counts + Counter(pictures=len(written.files)),
        "changed": written.changed,
        "left out": written.dropped,
    }
    lines = [f"  {word}: {count} {what}" for word, counts in said.items() for what, count in _largest(counts)]
    return lines if any(written.dropped.values()) else [*lines, "  left out: nothing"]


def _largest(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(((what, count) for what, count in counts.items() if count), key=lambda pair: (-pair[1], pair[0]))


def _photographs(written: Written, to: str, copied: bool) -> str:
    if copied:
        return f"  photographs: {len(written.files)} copied"
    inside = sum(photos.is_embedded(Path(file)) for file in written.files)
    if inside and to == "labelme":
        return f"  photographs: {inside} stand inside the files as in the source, of others {_WHERE[to]}"
    told = f"; {inside} stand inside annotation files, of which only that makes files" if inside else ""
    return f"  photographs: not copied (--copy-images{told}); {_WHERE[to]}"
