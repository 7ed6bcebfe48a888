import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from segpipe.data.records import Image, Instance
from segpipe.ledger.policies import Policies
from segpipe.validate import image, rechecking
from segpipe.validate.image import CheckTask
from segpipe.validate.judge import Rules
from tests.conftest import ROOT

RULES = Rules({"cat": "cat", "dog": "dog"}, Policies())
# Checks records of missing files with the given names, and prints their verdicts and every path that was opened. An
# audit hook cannot be removed, so it needs a separate process.
WATCHED = """
import sys
from pathlib import Path
from segpipe.data.records import Image
from segpipe.ledger.policies import Policies
from segpipe.validate import image, rechecking
from segpipe.validate.judge import Rules

source, cache, *names = sys.argv[1:]
problem = {"problem": "missing_file", "detail": "no such file"}
records = [Image(key=str(i), file=name, **problem) for i, name in enumerate([*names, "a.png\\0"])]
tasks = [image.CheckTask(Path(source), record, (), Rules({}, Policies()), False) for record in records]
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
for checked in rechecking.check_all(tasks, Path(cache), lambda new: map(image.check, new)):
    print(*((row.verdict, row.reason) for row in checked.rows))
print(*opened, sep="\\n")
"""


def task(root: Path, name: str, category: str = "cat") -> CheckTask:
    ring = (1.0, 1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 4.0)
    instance = Instance(id=f"j#{name}", image_key=name, category=category, rings=(ring,))
    return CheckTask(root, Image(key=name, file=f"{name}.png"), (instance,), RULES, False)


def put_photo(root: Path, name: str, grey: int = 9) -> None:
    Picture.fromarray(np.full((6, 6, 3), grey, np.uint8)).save(root / f"{name}.png")


def check(root: Path, cache: Path, tasks: list[CheckTask]):
    """The results of one run, and the keys of the images that were decoded."""
    checked_keys = []

    def spread(new):
        checked_keys.extend(one.image.key for one in new)
        return map(image.check, new)

    return rechecking.check_all(tasks, cache, spread), checked_keys


def test_only_changed_files_and_records_are_checked_and_the_results_equal_a_clean_run(tmp_path):
    names = ["a", "b", "c", "gone"]
    for name in names[:3]:
        put_photo(tmp_path, name)
    tasks = [task(tmp_path, name) for name in names]
    assert check(tmp_path, tmp_path / "m", tasks)[1] == names
    assert check(tmp_path, tmp_path / "m", tasks)[1] == []
    put_photo(tmp_path, "b", grey=10)
    put_photo(tmp_path, "gone")
    edited = [tasks[0], tasks[1], task(tmp_path, "c", "dog"), tasks[3]]
    results, checked_keys = check(tmp_path, tmp_path / "m", edited)
    assert checked_keys == ["b", "c", "gone"]
    assert results == check(tmp_path, tmp_path / "other", edited)[0]


def test_a_changed_setting_checks_everything_again(tmp_path):
    put_photo(tmp_path, "a")
    one = task(tmp_path, "a")
    check(tmp_path, tmp_path / "m", [one])
    changes = {"keep_empty": True}
    for rules in (Rules({"cat": "cat", "dog": "cat"}, Policies()), Rules(RULES.class_of, Policies(holes="even_odd"))):
        assert check(tmp_path, tmp_path / "m", [replace(one, rules=rules)])[1] == ["a"]
    for name, value in changes.items():
        assert check(tmp_path, tmp_path / "m", [replace(one, **{name: value})])[1] == ["a"]


def test_the_file_of_a_record_with_a_problem_is_never_opened(tmp_path):
    (tmp_path / "outside").mkdir()
    put_photo(tmp_path / "outside", "outside")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/link").symlink_to(tmp_path / "outside")
    names = ["x" * 5000, "link/outside.png"]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path / "source"), str(tmp_path / "cache"), *names],
        env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *verdicts, opened = done.stdout.split("\n", maxsplit=3)
    assert verdicts == ["('dropped', 'missing_file')"] * 3
    assert str(tmp_path / "cache") in opened  # the hook sees what is opened
    assert not any(name in opened for name in (*names, "a.png"))
