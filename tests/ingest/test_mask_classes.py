import pytest

from segpipe.core.errors import UserError
from segpipe.ingest.mask_classes import ValueClasses, by_number_and_colour, colour_classes, value_classes
from segpipe.ingest.source import Source


def named(tmp_path, name, text, names=None):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return value_classes(Source(tmp_path, (name,), {}), [".", "sub"], names or {})


def test_without_names_the_classes_are_numbered():
    classes = ValueClasses({}, "")
    assert [classes.meaning(value) for value in (0, 1, 254, 255, 300)] == [
        "background", "class_1", "class_254", "ignore", "class_300",
    ]  # fmt: skip
    assert classes.categories([0, 7, 2, 255]) == ("class_2", "class_7")


@pytest.mark.parametrize("names", [{1: "road", 2: "car"}, {2: "car", 1: "road"}])
def test_classes_named_by_the_user_are_in_the_order_of_their_values(tmp_path, names):
    """The order in params.yaml is not used: DVC does not see that it changes."""
    assert value_classes(Source(tmp_path, (), {}), ["."], names).categories([]) == ("road", "car")


def test_the_line_number_is_the_stored_value(tmp_path):
    classes = named(tmp_path, "classes.txt", "sky\nroad\nunlabelled\n")
    assert classes.named_by == "classes.txt"
    assert [classes.meaning(value) for value in (0, 1, 2, 3, 255)] == ["sky", "road", "ignore", None, "ignore"]
    assert classes.categories([1]) == ("sky", "road")


@pytest.mark.parametrize("name", ["_background_", "background", "Background", "bg"])
def test_common_names_of_the_background_are_recognised(tmp_path, name):
    assert named(tmp_path, "sub/classes.txt", f"{name}\r\ncat\r\n").names == {0: "background", 1: "cat"}


@pytest.mark.parametrize("name", ["void", "Unlabeled", "unknown", "__ignore__", "ignored"])
def test_common_names_of_unlabelled_pixels_mean_ignore_in_a_file(tmp_path, name):
    assert named(tmp_path, "labels.txt", f"cat\n{name}\n").names == {0: "cat", 1: "ignore"}


def test_numbers_start_after_labelmes_ignore_line(tmp_path):
    assert named(tmp_path, "labels.txt", "__ignore__\n_background_\ncat\n").names == {0: "background", 1: "cat"}


def test_names_in_cvats_label_map_end_at_the_colon(tmp_path):
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\n"
    assert named(tmp_path, "labelmap.txt", text).names == {0: "background", 1: "cat"}


def test_an_empty_line_is_counted_without_a_name(tmp_path):
    assert named(tmp_path, "classes.txt", "sky\n\nroad").names == {0: "sky", 2: "road"}


def test_names_from_the_user_replace_those_of_a_file(tmp_path):
    classes = named(tmp_path, "classes.txt", "sky\n", {2: "dog", 1: "cat", 3: "Ignore", 9: "unknown"})
    assert classes.named_by == "ingest.mask_values"
    assert [classes.meaning(value) for value in (0, 1, 3, 4, 9, 255)] == [
        "background", "cat", "ignore", None, "unknown", "ignore",
    ]  # fmt: skip
    assert classes.categories([]) == ("cat", "dog", "unknown")


def test_zero_and_255_may_be_classes(tmp_path):
    classes = named(tmp_path, "x.txt", "", {0: "road", 255: "sky"})
    assert (classes.meaning(0), classes.meaning(255)) == ("road", "sky")


def test_two_values_of_one_name_are_one_class(tmp_path):
    assert named(tmp_path, "x.txt", "", {1: "cat", 2: "cat"}).categories([]) == ("cat",)


def test_a_file_of_names_that_is_not_text_is_a_user_error(tmp_path):
    with pytest.raises(UserError) as error:
        named(tmp_path, "classes.txt", b"\xff\xfe\x00")
    assert str(error.value) == (
        "classes.txt: cannot be read as UTF-8 text; save it as UTF-8, or remove it from the source"
    )


def test_two_contradicting_files_of_names_are_a_user_error(tmp_path):
    for folder, names in (("x", "sky\nroad\n"), ("y", "sky\ncar\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "classes.txt").write_text(names)
    source = Source(tmp_path, ("x/classes.txt", "y/classes.txt"), {})
    with pytest.raises(UserError) as error:
        value_classes(source, ["x", "y"], None)
    assert str(error.value) == (
        "x/classes.txt names the value 1 'road', y/classes.txt names it 'car'; make them agree, or set "
        "ingest.mask_values in params.yaml"
    )


def test_a_longer_file_of_names_completes_a_shorter_one(tmp_path):
    for folder, names in (("x", "sky\nroad\n"), ("y", "sky\nroad\ncar\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "classes.txt").write_text(names)
    source = Source(tmp_path, ("x/classes.txt", "y/classes.txt"), {})
    assert value_classes(source, ["x", "y"], None).names == {0: "sky", 1: "road", 2: "car"}


def declared(tmp_path, name, text, names=None):
    (tmp_path / name).write_text(text)
    return colour_classes(Source(tmp_path, (name,), {}), ["."], names)


RED, GREEN = 128, 128 * 256


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\nvoid:0,128,0::\n"),
        ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\ncat,128,0,0\nVoid, 0, 128, 0\n"),
        ("label_colors.txt", "0 0 0\tbackground\n128 0 0\t\tcat\n0 128 0 void\n"),
        ("classes.json", '{"background": [0, 0, 0], "cat": "#800000", "void": [0, 128, 0]}'),
        ("classes.json", '[{"name": "cat", "color": [128, 0, 0]}, {"title": "void", "color": "#008000"}]'),
        ("classes.json", '{"classes": [{"name": "cat", "colour": [128, 0, 0]}, {"name": "void", "color": "008000"}]}'),
    ],
)
def test_each_kind_of_file_declares_colours(tmp_path, name, text):
    classes = declared(tmp_path, name, text)
    assert classes.named_by == name
    assert [classes.meaning(number) for number in (0, RED, GREEN, 5)] == ["background", "cat", "ignore", None]


def test_colours_named_by_the_user_are_in_the_order_of_their_values(tmp_path):
    """The order in params.yaml is not used: DVC does not see that it changes."""
    names = {(0, 128, 0): "car", (128, 0, 0): "tree", (0, 0, 9): "road"}
    assert list(colour_classes(Source(tmp_path, (), {}), ["."], names).names.values()) == ["road", "car", "tree"]


def test_colours_from_the_user_replace_those_of_a_file(tmp_path):
    classes = declared(tmp_path, "labelmap.txt", "cat:128,0,0::\n", {(128, 0, 0): "dog", (0, 0, 0): "road"})
    assert (classes.named_by, classes.meaning(RED), classes.meaning(0)) == ("ingest.mask_values", "dog", "road")


@pytest.mark.parametrize(
    ("name", "text"),
    [("labelmap.txt", "background\ncat\n"), ("classes.json", '["cat"]'), ("classes.json", "7"), ("x.txt", "a:1,2,3")],
)
def test_a_file_without_colours_declares_nothing(tmp_path, name, text):
    assert declared(tmp_path, name, text) is None


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("labelmap.txt", "cat:128,0::\n", "'128,0' is not a colour; write each colour as three numbers from 0 to 255"),
        ("labelmap.txt", "cat:128,0,256::\n", "'128,0,256' is not a colour; write"),
        ("class_dict.csv", "name,r,g,b\ncat,red,0,0\n", "'red,0,0' is not a colour; write"),
        ("labelmap.txt", "cat:1,2,3::\ndog:1,2,3::\n", "the colour 1,2,3 has two names, 'cat' and 'dog'; keep one"),
        ("classes.json", "{", "line 1, column 2: not valid JSON ("),
    ],
)
def test_a_broken_file_of_colours_is_a_user_error(tmp_path, name, text, problem):
    with pytest.raises(UserError) as error:
        declared(tmp_path, name, text)
    assert str(error.value).startswith(f"{name}: {problem}")


def test_mask_values_are_numbers_or_colours():
    assert by_number_and_colour({"7": "car", "0,128,0": "tree"}) == ({7: "car"}, {(0, 128, 0): "tree"})
    assert by_number_and_colour({}) == (None, None)


def test_a_colour_of_mask_values_needs_three_numbers():
    with pytest.raises(UserError, match="'1,2' is not a colour"):
        by_number_and_colour({"1,2": "car"})
