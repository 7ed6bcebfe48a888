"""Pascal VOC: SegmentationClass and SegmentationObject PNGs, Annotations XML, ImageSets lists, labelmap.txt.

Source: Everingham et al., The PASCAL VOC Challenge 2012 Development Kit, sections 2, 3.4 and 4.2; labelmap.txt as CVAT
writes it, since VOC itself knows only its own twenty classes.
"""

from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from segpipe.convert import drawn as label_maps
from segpipe.convert.drawn import Drawing, Job
from segpipe.convert.target import Target, Written, pages, suffix
from segpipe.core.files import write_bytes, write_text
from segpipe.data.classes import IGNORE_INDEX, ClassTable
from segpipe.data.records import FLAGS, Dataset
from segpipe.ledger.rows import Row
from segpipe.masks import label_png, outlines, rle

_MOST_OBJECTS = IGNORE_INDEX - 1  # values 1..254; 255 is void
_MANY = "pictures of more than 254 objects lost their SegmentationObject"
_LISTS = "ImageSets/Segmentation"


def write(dataset: Dataset, target: Target) -> Written:
    """Write the tree; photographs, masks and lists go by the image's key, since VOC's folders are flat."""
    written = Written()
    categories = label_maps.check_names(dataset.categories, written)
    found = pages(dataset, target.root, written)
    jobs = label_maps.jobs(found, categories, target, {page.image.key: page.image.key for page in found})
    label_maps.each(_write, jobs, written, target)
    drawn = [job for job in jobs if (target.out / "SegmentationClass" / f"{job.place}.png").is_file()]
    written.changed[_MANY] = len(drawn) - len(list((target.out / "SegmentationObject").glob("*.png")))
    written.changed["outlines became pixels of their object"] = written.counts["objects"]
    _write_lists(drawn, target.out)
    write_text(target.out / "labelmap.txt", _labelmap(jobs[0].classes))
    return written


def _write(job: Job) -> list[Row]:
    drawing, rows = label_maps.draw(job)
    if drawing is None:
        return rows
    out, name = job.target.out, f"{job.place}.png"
    label_png.write(out / "SegmentationClass" / name, drawing.painted.label_map(), job.classes)
    objects = _objects(drawing)
    if objects is not None:
        label_png.write(out / "SegmentationObject" / name, objects, job.classes)
    write_bytes(out / "Annotations" / f"{job.place}.xml", _xml(job, drawing), durable=False)
    job.target.put_photograph(drawing.image.file, f"JPEGImages/{job.place}{suffix(drawing.image, job.target.root)}")
    return rows


def _objects(drawing: Drawing) -> np.ndarray | None:
    """The number of each object from 1, uint8 (H, W), in the XML's order; 0 nobody, 255 void; None if too many."""
    numbers = np.zeros(len(drawing.instances) + 1, np.int32)
    objects = _shown(drawing)
    if len(objects) > _MOST_OBJECTS:
        return None
    numbers[1:] = IGNORE_INDEX
    numbers[objects] = range(1, len(objects) + 1)
    return numbers[drawing.painted.owners()].astype(np.uint8)


def _shown(drawing: Drawing) -> list[int]:
    """The numbers from 1 of the instances that are objects and have a pixel; a box of any other would add pixels."""
    visible = drawing.painted.owned_px()
    return [i for i, it in enumerate(drawing.instances, start=1) if it.role == "object" and visible[i]]


def _xml(job: Job, drawing: Drawing) -> bytes:
    height, width = drawing.painted.painting.size_hw
    root = ElementTree.Element("annotation")
    _add(root, folder="JPEGImages", filename=f"{job.place}{suffix(drawing.image, job.target.root)}")
    _add(ElementTree.SubElement(root, "source"), image=drawing.image.file)
    _add(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
    _add(root, segmented=1)
    for number in _shown(drawing):
        instance = drawing.instances[number - 1]
        region = outlines.region(instance, (height, width), job.target.root)
        left, top, right, bottom = map(int, rle.bounds(region) or (0, 0, 1, 1))
        item = ElementTree.SubElement(root, "object")
        flags = {flag: int(flag in instance.flags) for flag in FLAGS}
        _add(item, name=instance.category, pose="Unspecified", **flags)
        # VOC counts pixels from 1, the last one included
        _add(ElementTree.SubElement(item, "bndbox"), xmin=left + 1, ymin=top + 1, xmax=right, ymax=bottom)
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8")
    return document + b"\n"


def _add(parent: ElementTree.Element, **texts: str | int) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = str(text)


def _write_lists(jobs: list[Job], out: Path) -> None:
    """One list a split; photographs without one go into default.txt, as CVAT does."""
    names: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        names[job.check.image.split or "default"].append(job.place)
    for split, own in names.items():
        write_text(out / _LISTS / f"{split}.txt", "".join(f"{name}\n" for name in own))


def _labelmap(classes: ClassTable) -> str:
    rows = [f"{name}:{','.join(map(str, classes.colours[i]))}::" for i, name in enumerate(classes.names)]
    return "\n".join(["# label:color_rgb:parts:actions", *rows]) + "\n"
