import pytest

from segpipe.core.errors import UserError
from segpipe.ingest.read import read_source
from tests.ingest.folders import TRIANGLE, coco, drawn, photo, put_images, put_json

DETECTION = {"image_id": 1, "category_id": 90, "segmentation": [TRIANGLE], "score": 0.9}


def test_detections_have_the_class_names_of_the_instances_file(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    put_json(tmp_path / "image_info_test.json", coco([photo()], []))
    put_json(tmp_path / "segm_results.json", [DETECTION])
    dataset = read_source(tmp_path)
    (instance,) = dataset.instances
    assert (dataset.format, instance.category, instance.rings) == ("coco_results", "dog", (tuple(TRIANGLE),))
    assert instance.place == "segm_results.json: [0]"
    assert [(i.file, i.place) for i in dataset.images] == [("a.jpg", "image_info_test.json: images[0] (id 1)")]


def test_detections_beside_annotations_are_not_read(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    put_json(tmp_path / "instances.json", coco([photo()], [drawn()]))
    put_json(tmp_path / "coco_results.json", [DETECTION])
    dataset = read_source(tmp_path)
    assert (dataset.format, len(dataset.instances)) == ("coco", 1)


def test_detections_alone_are_refused(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    put_json(tmp_path / "results.json", [DETECTION])
    with pytest.raises(UserError, match=r"results\.json: detections name their images and classes only by numbers"):
        read_source(tmp_path)
