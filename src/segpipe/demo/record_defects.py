"""Defects of annotation records."""

import numpy as np
from shapely.geometry import Polygon

from segpipe.demo.folder import Record
from segpipe.demo.planting import (
    FIRST_FREE_IMAGE_ID,
    Plot,
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


def crossings(plot: Plot) -> None:
    """Rings that cross themselves: repaired."""
    ids = []
    for image in plot.take(2, has_host(plot)):
        host = host_of(plot, image)
        x, y, reach = middle(host)
        bow_tie = [x - reach, y - reach, x + reach, y + reach, x + reach, y - reach, x - reach, y + reach]
        ids.append(_add_inside(plot, image, host, bow_tie))
    why = "a bow-tie of two triangles, inside an object of its class"
    plot.about_annotations("bow_tie", ("repaired", "self_crossing"), ids, why)
    looped = [_loop(host_of(plot, image)) for image in plot.take(3, has_host(plot))]
    why = "two neighbouring points of a good outline are swapped: a small loop"
    plot.about_annotations("loop", ("repaired", "self_crossing"), looped, why)


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


def removed_rings(plot: Plot) -> None:
    """A good ring with a useless one beside it: repaired."""
    ids = []
    for image in plot.take(3, has_host(plot)):
        host = host_of(plot, image)
        x, y, reach = middle(host)
        host["segmentation"].append(tenths([x, y, x + reach, y]))
        ids.append(host["id"])
    why = "beside its good ring it has one of two points"
    plot.about_annotations("two_point_ring_too", ("repaired", "ring_removed"), ids, why)


def bad_rings(plot: Plot) -> None:
    """Only useless rings: dropped."""
    two, odd = [], []
    seven = [10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0]
    for image in plot.take(2, has_host(plot)):
        two.append(plot.add(image_id=image["id"], **fields_of("brick", [[10.0, 10.0, 30.0, 30.0]], area=0.0)))
    for image in plot.take(2, has_host(plot)):
        odd.append(plot.add(image_id=image["id"], **fields_of("star", [seven], area=400.0)))
    outcome = ("dropped", "bad_ring")
    plot.about_annotations("two_point_ring", outcome, two, "its only ring has two points")
    plot.about_annotations("odd_ring", outcome, odd, "seven numbers cannot be points")


def bad_runs(plot: Plot) -> None:
    """Run lengths that do not fill the picture: dropped."""
    ids = []
    for image, form in zip(plot.take(3, has_host(plot)), ("short", "long", "string"), strict=True):
        height, width = image["height"], image["width"]
        rest = height * width - 1100
        counts: list[int] | str = [1000, 100, rest - 40 if form == "short" else rest + 40]
        if form == "string":
            lower = raster.draw([[5.0, 5.0, 25.0, 5.0, 25.0, 25.0]], (height - 8, width))
            counts = rle.compressed(lower)["counts"].decode()
        segmentation = {"size": [height, width], "counts": counts}
        ids.append(plot.add(image_id=image["id"], **fields_of("ring", segmentation, area=100.0)))
    why = "the run lengths do not sum to height x width: too short, too long, a string made for a lower picture"
    plot.about_annotations("bad_rle", ("dropped", "bad_rle"), ids, why)


def no_area(plot: Plot) -> None:
    """Polygons that enclose nothing: dropped."""
    ids = []
    lines = ([10.0, 20.4, 40.0, 20.4, 25.0, 20.4], [30.3, 10.0, 30.3, 40.0, 30.3, 22.0])
    for image, line in zip(plot.take(2, has_host(plot)), lines, strict=True):
        assert_pixels(line, image, wanted=False)
        ids.append(plot.add(image_id=image["id"], **fields_of("leaf", [line], area=0.0)))
    plot.about_annotations("zero_area", ("dropped", "zero_area"), ids, "all points lie on one line")


def past_border(plot: Plot) -> None:
    """Objects whose outline leaves the picture: clipped."""
    ids = []
    for image in plot.take(4, lambda image: _bordering(plot, image) is not None):
        record, grown = _bordering(plot, image) or ({}, [])
        record["segmentation"] = [grown]
        ids.append(record["id"])
    why = "the outline goes on 6 pixels past the border; inside the picture it is exact"
    plot.about_annotations("past_border", ("clipped", "past_border"), ids, why)


def _bordering(plot: Plot, image: Record) -> tuple[Record, list[float]] | None:
    """A record of one ring with an edge on the picture's border, and that ring with the edge pushed outwards."""
    for record in filter(is_polygon, plot.annotations(image)):
        points = np.reshape(record["segmentation"][0], (-1, 2))
        for axis, border, step in ((0, 0, -6), (0, image["width"], 6), (1, 0, -6), (1, image["height"], 6)):
            on = np.flatnonzero((points[:, axis] == border) & (np.roll(points, -1, axis=0)[:, axis] == border))
            if len(on) == 1:
                ends = np.stack([points[on[0]], points[(on[0] + 1) % len(points)]])
                ends[:, axis] += step
                return record, tenths(np.insert(points, on[0] + 1, ends, axis=0).ravel().tolist())
    return None


def outside(plot: Plot) -> None:
    """Polygons beside the picture: dropped."""
    first, second = plot.take(2, has_host(plot))
    right, bottom = first["width"] + 10.0, second["height"] + 10.0
    ids = [
        plot.add(image_id=first["id"], **fields_of("coin", [square(right, 20.0)], area=144.0)),
        plot.add(image_id=second["id"], **fields_of("star", [square(20.0, bottom)], area=144.0)),
        plot.add(image_id=second["id"], **fields_of("leaf", [square(-40.0, -40.0)], area=144.0)),
    ]
    plot.about_annotations("outside_frame", ("dropped", "outside_frame"), ids, "all of it lies outside the picture")


def unknown_ids(plot: Plot) -> None:
    """Records that name no image of the file: dropped; or no category: their pixels are ignored."""
    images = [FIRST_FREE_IMAGE_ID + 90_000 + i for i in range(5)]
    ids = [plot.add(image_id=number, **fields_of("brick", [square(20.0, 20.0)], area=144.0)) for number in images]
    plot.about_annotations("unknown_image", ("dropped", "unknown_image"), ids, "no image has its image_id")
    ids = []
    for image in plot.take(2, has_host(plot)):
        record = fields_of("brick", [square(20.0, 20.0)], area=144.0) | {"category_id": _UNKNOWN_CATEGORY_ID}
        ids.append(plot.add(image_id=image["id"], **record))
    plot.about_annotations("unknown_category", ("ignored", "unknown_category"), ids, "no category has its category_id")


def bad_records(plot: Plot) -> None:
    """Records with a key missing or of the wrong kind: dropped."""
    images = plot.take(3, has_host(plot))
    whole = {"image_id": images[0]["id"], **fields_of("coin", [square(20.0, 20.0)], area=144.0)}
    shapeless = without(without(whole, "segmentation"), "bbox")
    ids = [plot.add(**shapeless | {"image_id": image["id"]}) for image in images[:2]]
    ids.append(plot.add(**whole | {"image_id": images[2]["id"], "segmentation": "m 20 20 h 12"}))
    ids.append(plot.add(**without(whole, "category_id")))
    ids.append(plot.add(**without(whole, "image_id")))
    ids.append(plot.add(**whole | {"category_id": [1]}))
    why = (
        "no segmentation or bbox (2), text for segmentation (1); category_id missing (1) or a list (1); no image_id (1)"
    )
    plot.about_annotations("bad_record", ("dropped", "bad_record"), ids, why)


def hidden(plot: Plot) -> None:
    """An object recorded twice: the first record is hidden."""
    ids = []
    for image in plot.take(2, has_host(plot)):
        host = host_of(plot, image)
        plot.add(**without(host, "id"))
        ids.append(host["id"])
    why = "a later record repeats the object exactly and, of equal size, lies on top"
    plot.about_annotations("drawn_twice", ("hidden", "covered"), ids, why)


def natural(plot: Plot) -> None:
    """What the scenes hold anyway: a class that is not selected, and crowds."""
    pebbles = [record["id"] for record in plot.document.annotations if is_pebble(record)]
    why = f"{UNSELECTED} is annotated and not among the selected classes {', '.join(CLASSES)}"
    plot.about_annotations("class_not_selected", ("discarded", "class_not_selected"), pebbles, why)
    crowds = [record["id"] for record in plot.document.annotations if record.get("iscrowd") == 1]
    plot.about_annotations("crowd", ("ignored", "crowd"), crowds, "a heap of coins, annotated as one crowd")


def _add_inside(plot: Plot, image: Record, host: Record, ring: list[float]) -> int:
    """Add a ring of the host's class that covers some of the host's pixels and no other."""
    assert_pixels(ring, image, wanted=True)
    fields = {key: value for key, value in host.items() if key != "id"}
    size_hw = (image["height"], image["width"])
    area = rle.area_px(raster.draw([ring], size_hw))
    return plot.add(**fields | {"segmentation": [tenths(ring)], "area": area, "bbox": bbox_of(ring)})
