import pytest

from segpipe.core.errors import UserError
from segpipe.ingest.colour_classes import colour_classes
from segpipe.ingest.source import Source


def declared(tmp_path, name, text, given=None):
    (tmp_path / name).write_text(text)
    return colour_classes(Source(tmp_path, (name,), {}), ["."], given)


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
def test_files_that_declare_colours(tmp_path, name, text):
    found = declared(tmp_path, name, text)
    assert found.named_by == name
    assert [found.meaning(number) for number in (0, RED, GREEN, 5)] == ["background", "cat", "ignore", None]


def test_classes_that_the_user_names_are_in_the_order_of_their_colours(tmp_path):
    """Not in that of params.yaml, whose change DVC does not see."""
    given = {(0, 128, 0): "car", (128, 0, 0): "tree", (0, 0, 9): "road"}
    assert list(colour_classes(Source(tmp_path, (), {}), ["."], given).names.values()) == ["road", "car", "tree"]


def test_the_user_goes_before_a_file(tmp_path):
    found = declared(tmp_path, "labelmap.txt", "cat:128,0,0::\n", {(128, 0, 0): "dog", (0, 0, 0): "road"})
    assert (found.named_by, found.meaning(RED), found.meaning(0)) == ("ingest.mask_values", "dog", "road")


@pytest.mark.parametrize(
    ("name", "text"),
    [("labelmap.txt", "background\ncat\n"), ("classes.json", '["cat"]'), ("classes.json", "7"), ("x.txt", "a:1,2,3")],
)
def test_a_file_without_colours_declares_none(tmp_path, name, text):
    assert declared(tmp_path, name, text) is None


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("labelmap.txt", "cat:128,0::\n", "'128,0' is no colour; write each colour as three numbers from 0 to 255"),
        ("labelmap.txt", "cat:128,0,256::\n", "'128,0,256' is no colour; write"),
        ("class_dict.csv", "name,r,g,b\ncat,red,0,0\n", "'red,0,0' is no colour; write"),
        ("labelmap.txt", "cat:1,2,3::\ndog:1,2,3::\n", "the colour 1,2,3 has two names, 'cat' and 'dog'; keep one"),
        ("classes.json", "{", "not valid JSON ("),
    ],
)
def test_a_file_of_colours_that_is_broken_is_a_user_error(tmp_path, name, text, problem):
    with pytest.raises(UserError) as error:
        declared(tmp_path, name, text)
    assert str(error.value).startswith(f"{name}: {problem}")
