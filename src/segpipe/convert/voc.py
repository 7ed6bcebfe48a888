"""Pascal VOC: SegmentationClass and SegmentationObject PNGs, Annotations XML, ImageSets lists, labelmap.txt.

Source: Everingham et al., The PASCAL VOC Challenge 2012 Development Kit, sections 2, 3.4 and 4.2; labelmap.txt as CVAT
writes it, since VOC itself has a fixed list of twenty classes.
"""

from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from segpipe.convert.drawn import ConversionJob, Drawing, check_names, draw, jobs, write_each
from segpipe.convert.target import Target, Written, annotated_images, suffix
from segpipe.core.files import write_bytes, write_text
from segpipe.data.classes import IGNORE_INDEX, ClassTable
from segpipe.data.records import FLAGS, Dataset
from segpipe.ledger.rows import Row
from segpipe.masks import label_png, outlines, rle

_MAX_OBJECTS = IGNORE_INDEX - 1  # values 1..254; 255 is void
_TOO_MANY = "image: more than 254 objects, so without SegmentationObject"
_LISTS = "ImageSets/Segmentation"


def write(dataset: Dataset, target: Target) -> Written:
    """Write the tree. Photos, masks and lists use the image's key as name, since VOC's folders are flat."""
    written = Written()
    categories = check_names(dataset.categories, written)
    images = annotated_images(dataset, target.root, written)
    keys = {annotated.image.key: annotated.image.key for annotated in images}
    all_jobs = jobs(images, categories, target, keys)
    write_each(_write, all_jobs, written, target)
    drawn = [job for job in all_jobs if (target.out / "SegmentationClass" / f"{job.stem}.png").is_file()]
    written.changed[_TOO_MANY] = len(drawn) - len(list((target.out / "SegmentationObject").glob("*.png")))
    written.changed["object: as pixels of the object"] = written.counts["object"]
    _write_lists(drawn, target.out)
    write_text(target.out / "labelmap.txt", _labelmap(all_jobs[0].classes))
    return written


def _write(job: ConversionJob) -> list[Row]:
    drawing, rows = draw(job)
    if drawing is None:
        return rows
    out, name = job.target.out, f"{job.stem}.png"
    label_png.write(out / "SegmentationClass" / name, drawing.painted.label_map(), job.classes)
    objects = _objects(drawing)
    if objects is not None:
        label_png.write(out / "SegmentationObject" / name, objects, job.classes)
    write_bytes(out / "Annotations" / f"{job.stem}.xml", _xml(job, drawing), durable=False)
    job.target.copy_photo(drawing.image.file, f"JPEGImages/{job.stem}{suffix(drawing.image, job.target.root)}")
    return rows


def _objects(drawing: Drawing) -> np.ndarray | None:
    """The number of the object at each pixel, uint8 (H, W); None if there are too many.

    Objects count from 1 in the XML's order, 0 is background, 255 is void.
    """
    numbers = np.zeros(len(drawing.instances) + 1, np.int32)
    objects = _visible_objects(drawing)
    if len(objects) > _MAX_OBJECTS:
        return None
    numbers[1:] = IGNORE_INDEX
    numbers[objects] = range(1, len(objects) + 1)
    return numbers[drawing.painted.owners()].astype(np.uint8)


def _visible_objects(drawing: Drawing) -> list[int]:
    """The numbers, from 1, of the instances that are visible objects; the box of a hidden object would add pixels."""
    visible = drawing.painted.owned_px()
    return [i for i, instance in enumerate(drawing.instances, start=1) if instance.role == "object" and visible[i]]


def _xml(job: ConversionJob, drawing: Drawing) -> bytes:
    height, width = drawing.painted.painting.size_hw
    root = ElementTree.Element("annotation")
    _add(root, folder="JPEGImages", filename=f"{job.stem}{suffix(drawing.image, job.target.root)}")
    _add(ElementTree.SubElement(root, "source"), image=drawing.image.file)
    _add(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
    _add(root, segmented=1)
    for number in _visible_objects(drawing):
        instance = drawing.instances[number - 1]
        region = outlines.region(instance, (height, width), job.target.root)
        left, top, right, bottom = map(int, rle.bounds(region) or (0, 0, 1, 1))
        item = ElementTree.SubElement(root, "object")
        flags = {flag: int(flag in instance.flags) for flag in FLAGS}
        _add(item, name=instance.category, pose="Unspecified", **flags)
        # VOC counts pixels from 1 and includes the last one
        _add(ElementTree.SubElement(item, "bndbox"), xmin=left + 1, ymin=top + 1, xmax=right, ymax=bottom)
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8")
    return document + b"\n"


def _add(parent: ElementTree.Element, **texts: str | int) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = str(text)


def _write_lists(jobs: list[ConversionJob], out: Path) -> None:
    """Write one list per split; images without a split are in default.txt, as in CVAT."""
    names: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        names[job.check.image.split or "default"].append(job.stem)
    for split, stems in names.items():
        write_text(out / _LISTS / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))


def _labelmap(classes: ClassTable) -> str:
    rows = [f"{name}:{','.join(map(str, classes.colours[i]))}::" for i, name in enumerate(classes.names)]
    return "\n".join(["# label:color_rgb:parts:actions", *rows]) + "\n"
