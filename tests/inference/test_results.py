import os
import shutil

import pytest

from segpipe.core.errors import UserError
from segpipe.inference.results import LIST, NotWrittenError, ResultFolder


@pytest.fixture
def out(tmp_path):
    """An output folder with one result, a.png."""
    ResultFolder(tmp_path / "out").write("a.png", b"first mask")
    return tmp_path / "out"


def is_not_replaced(out, name="a.png"):
    """Whether another run refuses to replace the file, in its check and when it writes."""
    before = (out / name).read_bytes()
    with pytest.raises(UserError, match=r"is not replaced: it is not a result of an earlier run \(.*\); choose "):
        ResultFolder(out).check([name], [])
    with pytest.raises(NotWrittenError, match=r"is not replaced: it is not a result of an earlier run \("):
        ResultFolder(out).write(name, b"second mask")
    return (out / name).read_bytes() == before


def test_a_result_of_an_earlier_run_is_replaced(out):
    for content in (b"second mask", b"third mask", b"second mask"):
        run = ResultFolder(out)
        run.check(["a.png", "new.png"], [])
        run.write("a.png", content)
        assert (out / "a.png").read_bytes() == content


def test_an_equal_result_adds_nothing_to_the_list(out):
    before = (out / LIST).read_bytes()
    run = ResultFolder(out)
    run.check(["a.png"], [])
    run.write("a.png", b"first mask")
    assert (out / LIST).read_bytes() == before


def test_a_photo_that_was_there_before_is_not_replaced(out):
    (out / "b.png").write_bytes(b"a photo")
    assert is_not_replaced(out, "b.png")


def test_a_photo_copied_over_a_result_is_not_replaced_even_with_equal_size_and_time(out):
    (out / "a.png").rename(out / "old.png")
    (out / "a.png").write_bytes(b"photograph")  # as many bytes as "first mask"
    shutil.copystat(out / "old.png", out / "a.png")
    assert is_not_replaced(out)


def test_an_edited_mask_is_not_replaced(out):
    with (out / "a.png").open("ab") as mask:
        mask.write(b", edited")
    assert is_not_replaced(out)


def test_a_renamed_result_is_not_replaced(out):
    (out / "a.png").rename(out / "b.png")
    assert is_not_replaced(out, "b.png")


def test_a_link_is_not_replaced_even_if_it_leads_to_a_result(out):
    (out / "a.png").rename(out / "old.png")
    (out / "a.png").symlink_to("old.png")
    assert is_not_replaced(out)


def test_a_folder_and_a_broken_link_are_not_replaced(out):
    (out / "folder.png").mkdir()
    (out / "link.png").symlink_to("nowhere")
    for name in ("folder.png", "link.png"):
        with pytest.raises(UserError, match="is not replaced"):
            ResultFolder(out).check([name], [])


def test_the_error_names_a_folder_of_an_older_version(out):
    (out / LIST).unlink()
    with pytest.raises(UserError) as caught:
        ResultFolder(out).check(["a.png"], [])
    assert str(caught.value) == (
        f"{out / 'a.png'}: is not replaced: it is not a result of an earlier run (there is no list {out / LIST}; older "
        "versions did not write one); choose another output folder"
    )


def test_results_in_a_copied_folder_are_results_but_a_moved_list_alone_is_not_enough(out, tmp_path):
    shutil.copytree(out, tmp_path / "copy")
    ResultFolder(tmp_path / "copy").check(["a.png"], [])
    (out / LIST).rename(tmp_path / LIST)  # the list does not make a photo a result
    (tmp_path / "a.png").write_bytes(b"a photo")
    assert is_not_replaced(tmp_path)


def test_two_runs_at_the_same_time_replace_each_others_results(out):
    one, other = ResultFolder(out), ResultFolder(out)
    for name in ("a.png", "b.png", "sub/c.png"):
        for run, content in ((one, b"mask"), (other, b"mask"), (one, b"of another model"), (other, b"mask")):
            run.check([name], [])
            run.write(name, content)
            assert (out / name).read_bytes() == content


def test_a_result_that_was_listed_but_not_written_is_a_result(out):
    ResultFolder(out)._append("a.png", "0" * 64)
    ResultFolder(out).check(["a.png"], [])


def test_after_a_line_cut_short_the_other_lines_count(out):
    with (out / LIST).open("ab") as lines:
        lines.write(b'{"file": "b.png", "sha2')
    ResultFolder(out).write("c.png", b"mask")
    ResultFolder(out).check(["a.png", "c.png"], [])


@pytest.mark.parametrize(
    "line", [b"[]", b"3", b'{"file": 3, "sha256": "a"}', b'{"file": "a.png", "sha256": []}', b"\xff"]
)
def test_an_invalid_line_of_the_list_is_ignored(line, out):
    with (out / LIST).open("ab") as lines:
        lines.write(line + b"\n")
    ResultFolder(out).check(["a.png"], [])


def test_names_that_differ_in_case_or_composed_accents_are_one_result(out):
    # as on a file system that does not distinguish them
    for old, new in (("a.png", "A.PNG"), ("k\u00fcche.png", "ku\u0308che.png")):
        ResultFolder(out).write(old, b"mask")
        (out / old).rename(out / new)
        ResultFolder(out).check([new], [])
        (out / new).write_bytes(b"a photo")
        assert is_not_replaced(out, new)


def test_an_input_is_not_replaced_even_if_it_is_a_result(out, tmp_path):
    (tmp_path / "link").symlink_to(out)
    message = r"a\.png: this image would be replaced by a mask; choose another output folder$"
    for folder in (out, tmp_path / "link", out / ".." / "out"):
        with pytest.raises(UserError, match=message):
            ResultFolder(folder).check(["a.png"], [out / "a.png"])


@pytest.mark.parametrize("name", ["n" * 255 + ".png", "a.png/b.png"])
def test_a_name_that_cannot_be_written_does_not_stop_the_others(name, out):
    run = ResultFolder(out)
    with pytest.raises(NotWrittenError, match="cannot be written"):
        run.write(name, b"mask")
    run.write("b.png", b"mask")
    assert sorted(os.listdir(out)) == [LIST, "a.png", "b.png"]  # noqa: PTH208


def test_a_folder_that_cannot_be_written_stops_the_run(tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(UserError, match=r"^--output .*out: cannot be written \(File exists\)$") as caught:
        ResultFolder(tmp_path / "out").write("a.png", b"mask")
    assert not isinstance(caught.value, NotWrittenError)
