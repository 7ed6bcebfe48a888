import numpy as np
import pytest
from PIL import Image

from segpipe.core.errors import UserError
from segpipe.ingest.formats import coco_panoptic
from segpipe.ingest.source import list_source
from tests.ingest.folders import photo, put_images, put_json

CATEGORIES = [{"id": 1, "name": "cat", "isthing": 1}, {"id": 90, "name": "grass", "isthing": 0}]
CAT, GRASS = 3226956, 1  # 3226956 = 76 + 61 * 256 + 49 * 65536: the colour (76, 61, 49)


def put(root, segments, pixels=((0, CAT, CAT, GRASS),), **changes):
    put_images(root, ["val2017/a.jpg"], (len(pixels[0]), len(pixels)))
    numbers = np.array(pixels)
    rgb = np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=-1).astype(np.uint8)
    (root / "annotations/panoptic_val2017").mkdir(parents=True)
    Image.fromarray(rgb).save(root / "annotations/panoptic_val2017/a.png")
    record = {"image_id": 1, "file_name": "a.png", "segments_info": segments, **changes}
    document = {"images": [photo()], "annotations": [record], "categories": CATEGORIES}
    put_json(root / "annotations/panoptic_val2017.json", document)
    return root


def read(root):
    source = list_source(root)
    return coco_panoptic.read(source, coco_panoptic.recognise(source))


def segment(number, category=1, **changes):
    return {"id": number, "category_id": category, "iscrowd": 0, "bbox": [0, 0, 1, 1], "area": 1, **changes}


def test_a_segment_is_the_pixels_of_its_colour(tmp_path):
    dataset = read(put(tmp_path, [segment(CAT), segment(GRASS, 90, iscrowd=1)]))
    assert dataset.categories == ("cat", "grass")
    png = "annotations/panoptic_val2017/a.png"
    assert [(i.id.split("#")[1], i.category, i.role, i.mask_file, i.mask_value, i.area) for i in dataset.instances] == [
        ("1.3226956", "cat", "object", png, CAT, 2.0), ("1.1", "grass", "crowd", png, GRASS, 1.0),
        ("0", "", "ignore", png, 0, 1.0),
    ]  # fmt: skip
    assert dataset.instances[0].place == (
        "annotations/panoptic_val2017.json: annotations[0].segments_info[0] (id 3226956)"
    )
    (image,) = dataset.images
    assert (image.file, image.split) == ("val2017/a.jpg", "val")


def test_a_colour_without_a_segment_is_an_instance_with_a_problem(tmp_path):
    instance = read(put(tmp_path, [segment(CAT)])).instances[-1]
    assert (instance.problem, instance.mask_value) == ("unknown_category", GRASS)
    assert instance.detail == "no segment has the id 1; add it to segments_info or export the PNG again"


@pytest.mark.parametrize(
    ("entry", "reason", "detail"),
    [
        (segment(CAT, 7), "unknown_category", "category_id 7 is not among the categories; correct the categories"),
        (segment("x"), "bad_record", "id 'x' is not the number of a colour; export it again"),
        (segment(2**24), "bad_record", "id 16777216 is not the number of a colour; export it again"),
        (segment(0), "bad_record", "id 0 is not the number of a colour; export it again"),
        (segment(CAT, iscrowd=2), "bad_record", "iscrowd 2 is neither 0 nor 1; write one of them"),
        ([], "bad_record", "[] is not an object; export it again"),
    ],
)
def test_a_segment_that_cannot_be_used_is_an_instance_with_a_problem(tmp_path, entry, reason, detail):
    instance = read(put(tmp_path, [segment(GRASS, 90), entry])).instances[1]
    assert (instance.problem, instance.detail) == (reason, detail)


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"image_id": 5}, "unknown_image", "image_id 5 is not among the images; add its image or delete it"),
        ({"segments_info": 5}, "bad_record", "segments_info 5 is not a list; export it again"),
        ({"file_name": "b.png"}, "bad_record", "no file 'b.png' in the folder of its PNGs; add it or delete"),
        ({"file_name": 5}, "bad_record", "file_name 5 is not a name; correct it"),
    ],
)
def test_a_record_that_cannot_be_used_is_an_instance_with_a_problem(tmp_path, changes, reason, detail):
    instance = read(put(tmp_path, [segment(CAT)], **changes)).instances[0]
    assert (instance.problem, instance.detail[: len(detail)]) == (reason, detail)


def test_an_id_used_twice_is_two_instances(tmp_path):
    instances = read(put(tmp_path, [segment(CAT), segment(CAT)])).instances
    assert len({i.id for i in instances}) == len(instances)


def test_a_broken_document_is_a_user_error(tmp_path):
    put(tmp_path, [])
    (tmp_path / "annotations/panoptic_val2017.json").write_text('{"segments_info"')
    with pytest.raises(UserError, match=r"^annotations/panoptic_val2017\.json: line 1, column 17: not valid JSON"):
        read(tmp_path)
