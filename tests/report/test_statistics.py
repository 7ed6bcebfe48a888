from dataclasses import replace

import numpy as np

from segpipe.ledger.rows import Row
from segpipe.report.statistics import (
    Bar,
    aspects,
    class_facts,
    histogram,
    most_common,
    object_aspects,
    object_sizes,
    objects_per_image,
    together,
)


def row(image: str, category: str, px: int | None, verdict: str = "kept") -> Row:
    return Row(
        kind="annotation", id="", image_key=image, place="", category=f"a {category}", class_name=category,
        verdict=verdict, px_before=px,
    )  # fmt: skip


ROWS = [
    row("a", "cat", 4),
    row("a", "cat", 7),
    row("a", "dog", 16),
    row("b", "cat", 100, "clipped"),
    row("b", "cat", 900, "ignored"),
    row("b", "cat", None, "dropped"),
    row("c", "owl", None, "discarded"),
    row("c", "", None, "dropped"),
    Row(kind="image", id="a", image_key="a", place="", class_name="cat"),
]


def counted(bars):
    return [(bar.label, bar.count) for bar in bars]


def test_the_facts_of_a_class_count_its_drawn_objects():
    cat, dog, owl, bat = class_facts(ROWS, ["cat", "dog", "owl", "bat"])
    assert (cat.annotations, cat.objects, cat.images, cat.pixels, cat.median_px) == (5, 3, 2, 111, 7)
    assert (dog.annotations, dog.objects, dog.images, dog.pixels, dog.median_px) == (1, 1, 1, 16, 16)
    assert (owl.annotations, owl.objects, owl.images, owl.median_px) == (1, 0, 1, None)  # its images count all the same
    assert (bat.annotations, bat.images, bat.pixels) == (0, 0, 0)


def test_object_sizes_are_counted_by_doublings_shared_by_all_classes():
    cat, dog = class_facts(ROWS, ["cat", "dog"])
    assert counted(cat.sizes) == [("4 to 7", 2), ("8 to 15", 0), ("16 to 31", 0), ("32 to 63", 0), ("64 to 127", 1)]
    assert [bar.count for bar in dog.sizes] == [0, 0, 1, 0, 0]


def test_classes_that_occur_together_count_once_per_image():
    assert np.array_equal(together(ROWS, ["cat", "dog", "owl"]), [[2, 1, 0], [1, 1, 0], [0, 0, 0]])


def test_images_without_objects_are_counted_as_zero():
    assert objects_per_image(ROWS, ["a", "b", "c"]) == [3, 1, 0]


def test_a_histogram_has_round_steps_and_at_most_twelve_bars():
    assert counted(histogram([3, 5, 5])) == [("3", 1), ("4", 0), ("5", 2)]
    assert counted(histogram([500, 640, 641])) == [
        ("500 to 519", 1), ("520 to 539", 0), ("540 to 559", 0), ("560 to 579", 0), ("580 to 599", 0),
        ("600 to 619", 0), ("620 to 639", 0), ("640 to 659", 2),
    ]  # fmt: skip
    assert counted(histogram([7])) == [("7", 1)]
    assert len(histogram([1, 12345])) <= 12
    assert histogram([]) == []


def test_aspect_ratios_are_rounded_to_the_nearest_common_ratio():
    assert counted(aspects([(640, 480), (640, 481), (480, 640), (500, 500)])) == [("3:4", 1), ("1:1", 1), ("4:3", 2)]
    assert counted(aspects([(9000, 10)])) == [("3:1", 1)]


def test_the_most_common_labels_come_first_and_the_others_are_added_up():
    bars, rest = most_common(["b", "a", "a", "c", "d"], count=2)
    assert counted(bars) == [("a", 2), ("b", 1)]
    assert (rest.label, rest.count) == ("2 others", 2)
    assert most_common(["a", "b"], count=1)[1] == Bar("1 other", 1, "others")
    assert most_common(["a"], count=2)[1] is None


def test_objects_of_all_classes_are_counted_by_size_and_shape():
    sizes = object_sizes([*ROWS, row("d", "cat", 1_100_000)])
    assert counted(sizes[:3]) == [("4 to 7", 2), ("8 to 15", 0), ("16 to 31", 1)]
    assert [bar.axis for bar in (sizes[0], sizes[8], sizes[-1])] == ["4", "1k", "1M"]  # 4, 1024, 1048576
    wide = [replace(ROWS[0], px_wide=40, px_high=20), replace(ROWS[2], px_wide=10, px_high=10), ROWS[3]]
    assert [bar for bar in counted(object_aspects(wide)) if bar[1]] == [("1:1", 1), ("2:1", 1)]


def test_shown_pixels_of_a_class_are_those_that_no_other_object_covers():
    (cat,) = class_facts([replace(ROWS[0], px_after=3), replace(ROWS[1], px_after=0)], ["cat"])
    assert (cat.pixels, cat.shown_px) == (11, 3)
