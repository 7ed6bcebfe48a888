"""Defects of annotation records."""

import numpy as np
from shapely.geometry import Polygon

from segpipe.demo.folder import Record
from segpipe.demo.planting import (
    FIRST_FREE_IMAGE_ID,
    Planting,
    assert_pixels,
    bbox_of,
    fields_of,
    has_host,
    host_of,
    is_pebble,
    is_polygon,
    middle,
    square,
    tenths,
    without,
)
from segpipe.demo.scenes import CLASSES, UNSELECTED
from segpipe.masks import raster, rle

_UNKNOWN_CATEGORY_ID = 44


def crossings(planting: Planting) -> None:
    """Rings that cross themselves: repaired."""
    ids = []
    for image in planting.take(2, has_host(planting)):
        host = host_of(planting, image)
        x, y, reach = middle(host)
        bow_tie = [x - reach, y - reach, x + reach, y + reach, x + reach, y - reach, x - reach, y + reach]
        ids.append(_add_inside(planting, image, host, bow_tie))
    why = "a bow-tie of two triangles, inside an object of its class"
    planting.about_annotations("bow_tie", ("repaired", "self_crossing"), ids, why)
    looped = [_loop(host_of(planting, image)) for image in planting.take(3, has_host(planting))]
    why = "two neighbouring points of a good outline are swapped: a small loop"
    planting.about_annotations("loop", ("repaired", "self_crossing"), looped, why)


def _loop(host: Record) -> int:
    """Swap the two neighbouring points of the outline that make it cross itself with the least change."""
    points = np.reshape(host["segmentation"][0], (-1, 2))
    area = Polygon(points).area
    tries = []
    for first in range(len(points) - 1):
        swapped = points.copy()
        swapped[[first, first + 1]] = points[[first + 1, first]]
        if not Polygon(swapped).is_valid:
            tries.append((abs(Polygon(swapped).area - area), first, swapped))
    host["segmentation"] = [min(tries, key=lambda attempt: attempt[:2])[2].ravel().tolist()]
    return int(host["id"])


def removed_rings(planting: Planting) -> None:
    """A valid ring and an invalid ring: repaired."""
    ids = []
    for image in planting.take(3, has_host(planting)):
        host = host_of(planting, image)
        x, y, reach = middle(host)
        host["segmentation"].append(tenths([x, y, x + reach, y]))
        ids.append(host["id"])
    why = "its second ring has only two points"
    planting.about_annotations("two_point_ring_too", ("repaired", "ring_removed"), ids, why)


def bad_rings(planting: Planting) -> None:
    """Invalid rings only: dropped."""
    two, odd = [], []
    seven = [10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0]
    for image in planting.take(2, has_host(planting)):
        two.append(planting.add(image_id=image["id"], **fields_of("brick", [[10.0, 10.0, 30.0, 30.0]], area=0.0)))
    for image in planting.take(2, has_host(planting)):
        odd.append(planting.add(image_id=image["id"], **fields_of("star", [seven], area=400.0)))
    outcome = ("dropped", "bad_ring")
    planting.about_annotations("two_point_ring", outcome, two, "its only ring has two points")
    planting.about_annotations("odd_ring", outcome, odd, "seven numbers cannot be points")


def bad_runs(planting: Planting) -> None:
    """Run lengths that do not fill the image: dropped."""
    ids = []
    for image, form in zip(planting.take(3, has_host(planting)), ("short", "long", "string"), strict=True):
        height, width = image["height"], image["width"]
        rest = height * width - 1100
        counts: list[int] | str = [1000, 100, rest - 40 if form == "short" else rest + 40]
        if form == "string":
            lower = raster.draw([[5.0, 5.0, 25.0, 5.0, 25.0, 25.0]], (height - 8, width))
            counts = rle.compressed(lower)["counts"].decode()
        segmentation = {"size": [height, width], "counts": counts}
        ids.append(planting.add(image_id=image["id"], **fields_of("ring", segmentation, area=100.0)))
    why = "the run lengths do not sum to height x width: too short, too long, a string made for an image of less height"
    planting.about_annotations("bad_rle", ("dropped", "bad_rle"), ids, why)


def no_area(planting: Planting) -> None:
    """Polygons that enclose no area: dropped."""
    ids = []
    lines = ([10.0, 20.4, 40.0, 20.4, 25.0, 20.4], [30.3, 10.0, 30.3, 40.0, 30.3, 22.0])
    for image, line in zip(planting.take(2, has_host(planting)), lines, strict=True):
        assert_pixels(line, image, wanted=False)
        ids.append(planting.add(image_id=image["id"], **fields_of("leaf", [line], area=0.0)))
    planting.about_annotations("zero_area", ("dropped", "zero_area"), ids, "all points are on one line")


def past_border(planting: Planting) -> None:
    """Objects whose outline leaves the image: clipped."""
    ids = []
    for image in planting.take(4, lambda image: _bordering(planting, image) is not None):
        record, grown = _bordering(planting, image) or ({}, [])
        record["segmentation"] = [grown]
        ids.append(record["id"])
    why = "the outline goes on 6 pixels past the border; inside the image it is exact"
    planting.about_annotations("past_border", ("clipped", "past_border"), ids, why)


def _bordering(planting: Planting, image: Record) -> tuple[Record, list[float]] | None:
    """A record of one ring with an edge on the image's border, and its ring with this edge moved outwards."""
    for record in filter(is_polygon, planting.annotations(image)):
        points = np.reshape(record["segmentation"][0], (-1, 2))
        for axis, border, step in ((0, 0, -6), (0, image["width"], 6), (1, 0, -6), (1, image["height"], 6)):
            on = np.flatnonzero((points[:, axis] == border) & (np.roll(points, -1, axis=0)[:, axis] == border))
            if len(on) == 1:
                ends = np.stack([points[on[0]], points[(on[0] + 1) % len(points)]])
                ends[:, axis] += step
                return record, tenths(np.insert(points, on[0] + 1, ends, axis=0).ravel().tolist())
    return None


def outside(planting: Planting) -> None:
    """Polygons outside the image: dropped."""
    first, second = planting.take(2, has_host(planting))
    right, bottom = first["width"] + 10.0, second["height"] + 10.0
    ids = [
        planting.add(image_id=first["id"], **fields_of("coin", [square(right, 20.0)], area=144.0)),
        planting.add(image_id=second["id"], **fields_of("star", [square(20.0, bottom)], area=144.0)),
        planting.add(image_id=second["id"], **fields_of("leaf", [square(-40.0, -40.0)], area=144.0)),
    ]
    planting.about_annotations("outside_frame", ("dropped", "outside_frame"), ids, "all of it is outside the image")


def unknown_ids(planting: Planting) -> None:
    """Records of an unknown image: dropped; of an unknown category: their pixels are ignored."""
    images = [FIRST_FREE_IMAGE_ID + 90_000 + i for i in range(5)]
    ids = [planting.add(image_id=number, **fields_of("brick", [square(20.0, 20.0)], area=144.0)) for number in images]
    planting.about_annotations("unknown_image", ("dropped", "unknown_image"), ids, "no image has its image_id")
    ids = []
    for image in planting.take(2, has_host(planting)):
        record = fields_of("brick", [square(20.0, 20.0)], area=144.0) | {"category_id": _UNKNOWN_CATEGORY_ID}
        ids.append(planting.add(image_id=image["id"], **record))
    planting.about_annotations(
        "unknown_category", ("ignored", "unknown_category"), ids, "no category has its category_id"
    )


def bad_records(planting: Planting) -> None:
    """Records with a key missing or of the wrong kind: dropped."""
    images = planting.take(3, has_host(planting))
    whole = {"image_id": images[0]["id"], **fields_of("coin", [square(20.0, 20.0)], area=144.0)}
    shapeless = without(without(whole, "segmentation"), "bbox")
    ids = [planting.add(**shapeless | {"image_id": image["id"]}) for image in images[:2]]
    ids.append(planting.add(**whole | {"image_id": images[2]["id"], "segmentation": "m 20 20 h 12"}))
    ids.append(planting.add(**without(whole, "category_id")))
    ids.append(planting.add(**without(whole, "image_id")))
    ids.append(planting.add(**whole | {"category_id": [1]}))
    why = (
        "no segmentation or bbox (2), text for segmentation (1); category_id missing (1) or a list (1); no image_id (1)"
    )
    planting.about_annotations("bad_record", ("dropped", "bad_record"), ids, why)


def hidden(planting: Planting) -> None:
    """An object recorded twice: the first record is hidden."""
    ids = []
    for image in planting.take(2, has_host(planting)):
        host = host_of(planting, image)
        planting.add(**without(host, "id"))
        ids.append(host["id"])
    why = "a later record repeats the object exactly and, of equal size, is on top"
    planting.about_annotations("drawn_twice", ("hidden", "covered"), ids, why)


def natural(planting: Planting) -> None:
    """Records that the scenes contain anyway: of a class that is not selected, and crowds."""
    pebbles = [record["id"] for record in planting.document.annotations if is_pebble(record)]
    why = f"{UNSELECTED} is annotated and not among the selected classes {', '.join(CLASSES)}"
    planting.about_annotations("class_not_selected", ("discarded", "class_not_selected"), pebbles, why)
    crowds = [record["id"] for record in planting.document.annotations if record.get("iscrowd") == 1]
    planting.about_annotations("crowd", ("ignored", "crowd"), crowds, "a heap of coins, annotated as one crowd")


def _add_inside(planting: Planting, image: Record, host: Record, ring: list[float]) -> int:
    """Add a ring of the host's class that covers some of the host's pixels and no others."""
    assert_pixels(ring, image, wanted=True)
    fields = {key: value for key, value in host.items() if key != "id"}
    size_hw = (image["height"], image["width"])
    area = rle.area_px(raster.draw([ring], size_hw))
    return planting.add(**fields | {"segmentation": [tenths(ring)], "area": area, "bbox": bbox_of(ring)})
