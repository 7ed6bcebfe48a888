from pathlib import Path

import pytest

from tests.faults.sandbox import Sandbox, in_child, watched


def open_file(sandbox: Sandbox, path: Path, mode: str) -> None:
    with watched(sandbox), path.open(mode):
        pass


def test_reading_the_source_and_writing_in_the_work_folder_are_allowed(sandbox):
    in_child(open_file, sandbox, Path(__file__), "rb")  # code
    (sandbox.source / "a.txt").touch()
    in_child(open_file, sandbox, sandbox.source / "a.txt", "rb")
    in_child(open_file, sandbox, sandbox.work / "b.txt", "wb")


@pytest.mark.parametrize(("file", "mode"), [("outside/secret.txt", "rb"), ("source/new.txt", "wb")])
def test_other_access_is_reported(sandbox, file, mode):
    with pytest.raises(AssertionError, match=f"outside the source and the work folder: .*{file}"):
        in_child(open_file, sandbox, sandbox.folder / file, mode)
