import numpy as np
import pytest

from segpipe.core.errors import UserError
from segpipe.ingest.formats import cvat
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_images

LABELS = "".join(f"<label><name>{name}</name></label>" for name in ("cat", "dog"))
META = f"<meta><task><subset>Train</subset><labels>{LABELS}</labels></task></meta>"


def read(root, body, name="annotations.xml", meta=META):
    (root / name).write_text(f"<annotations><version>1.1</version>{meta}{body}</annotations>")
    source = list_source(root)
    return cvat.read(source, cvat.recognise(source))


def one(root, shape, size='width="8" height="6"'):
    """The instance of one shape on a photo of 8 x 6 pixels."""
    put_images(root, ["images/a.jpg"])
    (instance,) = read(root, f'<image id="0" name="a.jpg" {size}>{shape}</image>').instances
    return instance


def test_the_image_and_its_labels(tmp_path):
    put_images(tmp_path, ["images/a.jpg", "images/b.jpg"])
    dataset = read(tmp_path, '<image id="7" name="a.jpg" width="8" height="6"/>')
    assert dataset.categories == ("cat", "dog")
    assert [(i.file, i.width, i.height, i.split, i.annotated, i.place) for i in dataset.images] == [
        ("images/a.jpg", 8, 6, "train", True, "annotations.xml: image[0] (id 0)"),
        ("images/b.jpg", None, None, None, False, ""),
    ]


def test_a_polygon(tmp_path):
    instance = one(tmp_path, '<polygon label="cat" occluded="1" points="1,1;5.5,1;5,4" z_order="0"/>')
    assert (instance.category, instance.kind, instance.rings, instance.detail) == (
        "cat", "region", ((1.0, 1.0, 5.5, 1.0, 5.0, 4.0),), "occluded",
    )  # fmt: skip
    assert instance.place == "annotations.xml: image[0] (a.jpg): polygon[0]"


def test_attributes_are_in_the_detail(tmp_path):
    instance = one(
        tmp_path, '<polygon label="cat" points="1,1;5,1;5,4"><attribute name="age">old</attribute></polygon>'
    )
    assert instance.detail == "age: old"


def test_an_upright_and_a_rotated_box(tmp_path):
    upright = one(tmp_path, '<box label="dog" xtl="1" ytl="1" xbr="5" ybr="3"/>')
    assert (upright.kind, upright.rings) == ("box", ((1.0, 1.0, 5.0, 1.0, 5.0, 3.0, 1.0, 3.0),))
    turned = one(tmp_path, '<box label="dog" xtl="1" ytl="1" xbr="5" ybr="3" rotation="90"/>')
    # about its centre (3, 2), clockwise as seen: the top left corner goes to the top right
    np.testing.assert_allclose(turned.rings[0], (4, 0, 4, 4, 2, 4, 2, 0), atol=1e-12)


def test_an_ellipse_is_a_region_of_64_points(tmp_path):
    instance = one(tmp_path, '<ellipse label="cat" cx="4" cy="3" rx="2" ry="1" rotation="90"/>')
    assert (instance.kind, len(instance.rings[0])) == ("region", 128)
    np.testing.assert_allclose(instance.rings[0][:2], (4, 5))  # its right end, turned clockwise, is at the bottom


def test_lines_and_points(tmp_path):
    line = one(tmp_path, '<polyline label="cat" points="0,0;5,5"/>')
    assert (line.kind, line.rings) == ("line", ((0.0, 0.0, 5.0, 5.0),))
    points = one(tmp_path, '<points label="cat" points="1,2;3,4"/>')
    assert (points.kind, points.rings) == ("point", ((1.0, 2.0), (3.0, 4.0)))


def test_a_mask_goes_from_rows_of_a_crop_to_columns_of_the_frame(tmp_path):
    # the crop, 3 x 2 from (2, 1) on: .## / #..   as rows: 1 zero, 3 ones, 2 zeros
    instance = one(tmp_path, '<mask label="cat" rle="1, 3, 2" left="2" top="1" width="3" height="2"/>')
    # columns of 6: 0 and 1 empty; 2: row 2; 3: row 1; 4: row 1
    assert (instance.rle.size_hw, instance.rle.counts) == ((6, 8), (14, 1, 4, 1, 5, 1, 22))


@pytest.mark.parametrize(
    ("shape", "reason", "detail"),
    [
        ('<polygon label="cat" points="1,1;5,1"/>', "bad_ring", "2 points instead of 3 or more"),
        ('<polygon label="cat" points="1,1;x,1;2,2"/>', "bad_ring", "points[1] 'x,1' is not x,y in"),
        ('<polygon label="cat" points="1,1;nan,1;2,2"/>', "bad_ring", "points[1] 'nan,1' is not x,y in"),
        ('<polygon label="cat"/>', "bad_ring", "points[0] '' is not x,y in pixels"),
        ('<box label="cat" xtl="1" ytl="1" xbr="5"/>', "bad_ring", "ybr None is not a number of pixels or degrees"),
        ('<polygon points="1,1;5,1;5,4"/>', "unknown_category", "has no label; add one or delete it"),
        ('<mask label="cat" rle="1,3" left="0" top="0" width="3" height="2"/>', "bad_rle", "the runs of its mask sum"),
        ('<mask label="cat" rle="1,-3" left="0" top="0" width="3" height="2"/>', "bad_rle", "'-3' in its mask's rle"),
        ('<mask label="cat" rle="6" left="0" top="0" width="-3" height="-2"/>', "bad_rle", "the runs of its mask sum"),
        ('<mask label="cat" rle="6" top="0" width="3" height="2"/>', "bad_rle", "its mask's left None is not a whole"),
        ('<cuboid label="cat"/>', "not_a_region", "a cuboid is not a region; draw the object's outline or delete it"),
        ('<tag label="cat"/>', "not_a_region", "a tag of the whole image is not a region; draw"),
        ('<blob label="cat"/>', "bad_record", "the shape 'blob' is unknown; draw"),
    ],
)
def test_a_shape_that_cannot_be_used_is_an_instance_with_a_problem(tmp_path, shape, reason, detail):
    instance = one(tmp_path, shape)
    assert (instance.problem, instance.detail[: len(detail)]) == (reason, detail)


def test_a_mask_needs_the_images_size(tmp_path):
    instance = one(tmp_path, '<mask label="cat" rle="1" left="0" top="0" width="1" height="1"/>', size="")
    assert instance.detail == "its image declares no width and height, so its mask cannot be placed"


def test_the_nearer_shape_comes_later(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    points = 'points="1,1;5,1;5,4"'
    shapes = "".join(f'<polygon label="cat" {points} z_order="{z}"/>' for z in (5, -1, 0, 5))
    dataset = read(tmp_path, f'<image id="0" name="a.jpg">{shapes}</image>')
    assert [i.id for i in dataset.instances] == [f"annotations.xml#0.{n}" for n in (1, 2, 0, 3)]


def test_a_track_draws_on_the_frames_where_it_is_not_outside(tmp_path):
    put_images(tmp_path, ["images/frame_000000.png", "images/frame_000001.png", "images/frame_000002.png"])
    box = 'xtl="1" ytl="1" xbr="5" ybr="3" occluded="0" keyframe="1"'
    boxes = "".join(f'<box frame="{frame}" outside="{outside}" {box}/>' for frame, outside in ((0, 0), (1, 1), (9, 0)))
    size = "<original_size><width>8</width><height>6</height></original_size>"
    meta = f"<meta><task><start_frame>0</start_frame><stop_frame>1</stop_frame>{size}</task></meta>"
    dataset = read(tmp_path, f'<track id="4" label="dog">{boxes}</track>', meta=meta)
    assert [(i.file, i.annotated, i.width, i.problem) for i in dataset.images] == [
        ("frame_000009", True, 8, "missing_file"),
        ("images/frame_000000.png", True, 8, ""),
        ("images/frame_000001.png", True, 8, ""),  # the task counts it, though nothing is drawn on it
        ("images/frame_000002.png", False, None, ""),  # the task ends before it
    ]
    assert [(i.image_key, i.problem) for i in dataset.instances] == [
        ("images__frame_000000", ""), ("images__frame_000001", "outside"), ("frame_000009", ""),
    ]  # fmt: skip
    assert dataset.instances[1].place == "annotations.xml: track[0] (id 4): box[1] (frame 1)"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<annotations><image></annotations>", "line 1, column 23: not valid XML (mismatched tag)"),
        (
            '<!DOCTYPE a [<!ENTITY x "y">]><annotations>&x;</annotations>',
            "defines entities or external references (EntitiesForbidden), which are never followed; remove them",
        ),
        (
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>',
            "defines entities or external references (EntitiesForbidden), which are never followed; remove them",
        ),
    ],
)
def test_a_broken_document_is_a_user_error(tmp_path, text, problem):
    put_images(tmp_path, ["a.jpg"])
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(UserError) as error:
        cvat.recognise(list_source(tmp_path))
    assert str(error.value).startswith(f"annotations.xml: {problem}")


def test_other_xml_is_not_recognised(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    (tmp_path / "a.xml").write_text("<annotation><object/></annotation>")
    (tmp_path / "b.xml").write_text("<annotations><page/></annotations>")
    assert cvat.recognise(list_source(tmp_path)) == {}


@pytest.mark.parametrize(
    ("one", "two", "is_refused"),
    [("a.mp4", "b.mp4", True), ("a.mp4", "a.mp4", False), ("a.mp4", "", False), ("", "", False)],
)
def test_tracks_of_two_videos_are_not_drawn_on_the_same_frames(tmp_path, one, two, is_refused):
    put_images(tmp_path, ["images/frame_000000.png"])
    track = '<track id="0" label="cat"><box frame="0" outside="0" xtl="1" ytl="1" xbr="5" ybr="3"/></track>'
    for name, video in (("one", one), ("two", two)):
        text = f"<annotations><meta><task/><source>{video}</source></meta>{track}</annotations>"
        (tmp_path / f"{name}.xml").write_text(text)
    source = list_source(tmp_path)
    if is_refused:
        words = r"tracks of several videos \('a.mp4' in one.xml and 'b.mp4' in two.xml\) belong to the images in images"
        with pytest.raises(UserError, match=words):
            cvat.read(source, cvat.recognise(source))
    else:
        assert len(cvat.read(source, cvat.recognise(source)).instances) == 2


def test_a_task_of_a_thousand_million_frames_has_only_the_frames_with_files(tmp_path):
    put_images(tmp_path, ["images/frame_000007.png"])
    meta = "<meta><task><start_frame>0</start_frame><stop_frame>999999999</stop_frame></task></meta>"
    dataset = read(tmp_path, '<track id="0" label="cat"/>', meta=meta)
    assert [image.file for image in dataset.images] == ["images/frame_000007.png"]
