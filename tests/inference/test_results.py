import os
import shutil

import pytest

from segpipe.core.errors import UserError
from segpipe.inference.results import LIST, NotWrittenError, Results


@pytest.fixture
def out(tmp_path):
    """An output folder with one result, a.png."""
    Results(tmp_path / "out").write("a.png", b"first mask")
    return tmp_path / "out"


def kept(out, name="a.png"):
    """Whether another run refuses to replace the file, before it begins and when it writes."""
    before = (out / name).read_bytes()
    with pytest.raises(UserError, match=r"is not replaced: it is no result of an earlier run \(.*\); choose another "):
        Results(out).check([name], [])
    with pytest.raises(NotWrittenError, match=r"is not replaced: it is no result of an earlier run \("):
        Results(out).write(name, b"second mask")
    return (out / name).read_bytes() == before


def test_what_an_earlier_run_wrote_is_replaced(out):
    for content in (b"second mask", b"third mask", b"second mask"):
        run = Results(out)
        run.check(["a.png", "new.png"], [])
        run.write("a.png", content)
        assert (out / "a.png").read_bytes() == content


def test_an_equal_result_adds_nothing_to_the_list(out):
    before = (out / LIST).read_bytes()
    run = Results(out)
    run.check(["a.png"], [])
    run.write("a.png", b"first mask")
    assert (out / LIST).read_bytes() == before


def test_a_photograph_that_was_there_before_is_kept(out):
    (out / "b.png").write_bytes(b"a photograph")
    assert kept(out, "b.png")


def test_a_photograph_copied_over_a_result_is_kept_also_with_the_size_and_time_of_the_result(out):
    (out / "a.png").rename(out / "old.png")
    (out / "a.png").write_bytes(b"photograph")  # as many bytes as "first mask"
    shutil.copystat(out / "old.png", out / "a.png")
    assert kept(out)


def test_an_edited_mask_is_kept(out):
    with (out / "a.png").open("ab") as mask:
        mask.write(b", edited")
    assert kept(out)


def test_a_result_under_another_name_is_kept(out):
    (out / "a.png").rename(out / "b.png")
    assert kept(out, "b.png")


def test_a_link_is_kept_even_to_the_same_content(out):
    (out / "a.png").rename(out / "old.png")
    (out / "a.png").symlink_to("old.png")
    assert kept(out)


def test_a_folder_and_a_link_that_leads_nowhere_are_kept(out):
    (out / "folder.png").mkdir()
    (out / "link.png").symlink_to("nowhere")
    for name in ("folder.png", "link.png"):
        with pytest.raises(UserError, match="is not replaced"):
            Results(out).check([name], [])


def test_a_folder_of_an_older_version_is_named_as_such(out):
    (out / LIST).unlink()
    with pytest.raises(UserError) as caught:
        Results(out).check(["a.png"], [])
    assert str(caught.value) == (
        f"{out / 'a.png'}: is not replaced: it is no result of an earlier run (there is no list {out / LIST}; older "
        "versions wrote none); choose another output folder"
    )


def test_a_copied_or_moved_folder_keeps_its_results(out, tmp_path):
    shutil.copytree(out, tmp_path / "copy")
    Results(tmp_path / "copy").check(["a.png"], [])
    (out / LIST).rename(tmp_path / LIST)  # a list makes no photograph a result
    (tmp_path / "a.png").write_bytes(b"a photograph")
    assert kept(tmp_path)


def test_two_runs_at_once_replace_each_others_results(out):
    one, other = Results(out), Results(out)
    for name in ("a.png", "b.png", "sub/c.png"):
        for run, content in ((one, b"mask"), (other, b"mask"), (one, b"of another model"), (other, b"mask")):
            run.check([name], [])
            run.write(name, content)
            assert (out / name).read_bytes() == content


def test_a_run_that_is_killed_before_it_writes_what_it_listed_leaves_a_result(out):
    Results(out)._append("a.png", "0" * 64)
    Results(out).check(["a.png"], [])


def test_a_line_cut_short_loses_no_other_line(out):
    with (out / LIST).open("ab") as lines:
        lines.write(b'{"file": "b.png", "sha2')
    Results(out).write("c.png", b"mask")
    Results(out).check(["a.png", "c.png"], [])


@pytest.mark.parametrize(
    "line", [b"[]", b"3", b'{"file": 3, "sha256": "a"}', b'{"file": "a.png", "sha256": []}', b"\xff"]
)
def test_a_strange_line_of_the_list_is_left_out(line, out):
    with (out / LIST).open("ab") as lines:
        lines.write(line + b"\n")
    Results(out).check(["a.png"], [])


def test_names_that_differ_in_case_or_in_how_accents_are_written_are_one_result(out):
    # as on a file system that does not tell them apart
    for old, new in (("a.png", "A.PNG"), ("k\u00fcche.png", "ku\u0308che.png")):
        Results(out).write(old, b"mask")
        (out / old).rename(out / new)
        Results(out).check([new], [])
        (out / new).write_bytes(b"a photograph")
        assert kept(out, new)


def test_an_input_is_never_replaced_even_if_it_is_a_result(out, tmp_path):
    (tmp_path / "link").symlink_to(out)
    message = r"a\.png: this picture would be replaced by a mask; choose another output folder$"
    for folder in (out, tmp_path / "link", out / ".." / "out"):
        with pytest.raises(UserError, match=message):
            Results(folder).check(["a.png"], [out / "a.png"])


@pytest.mark.parametrize("name", ["n" * 255 + ".png", "a.png/b.png"])
def test_a_name_that_cannot_be_written_stops_no_other(name, out):
    run = Results(out)
    with pytest.raises(NotWrittenError, match="cannot be written"):
        run.write(name, b"mask")
    run.write("b.png", b"mask")
    assert sorted(os.listdir(out)) == [LIST, "a.png", "b.png"]  # noqa: PTH208


def test_a_folder_that_cannot_be_written_stops_the_run(tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(UserError, match=r"^--output .*out: cannot be written \(File exists\)$") as caught:
        Results(tmp_path / "out").write("a.png", b"mask")
    assert not isinstance(caught.value, NotWrittenError)
