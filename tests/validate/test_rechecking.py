import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from segpipe.data.records import Image, Instance
from segpipe.ledger.policies import Policies
from segpipe.validate import image, rechecking
from segpipe.validate.image import CheckTask
from segpipe.validate.judge import Rules

RULES = Rules({"cat": "cat", "dog": "dog"}, Policies())


def task(root: Path, name: str, category: str = "cat") -> CheckTask:
    ring = (1.0, 1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 4.0)
    instance = Instance(id=f"j#{name}", image_key=name, category=category, rings=(ring,))
    record = Image(key=name, file=f"{name}.png")
    return CheckTask(root, record, (instance,), RULES, False)


def photograph(root: Path, name: str, grey: int = 9) -> None:
    Picture.fromarray(np.full((6, 6, 3), grey, np.uint8)).save(root / f"{name}.png")


def check(root: Path, memory: Path, tasks: list[CheckTask]):
    """The results of one run and the names of the images that were checked anew."""
    anew = []

    def spread(new):
        anew.extend(one.image.key for one in new)
        return map(image.check, new)

    return rechecking.check_all(tasks, memory, spread), anew


def test_only_changed_files_and_records_are_checked_anew_and_the_results_equal_a_clean_runs(tmp_path):
    names = ["a", "b", "c", "gone"]
    for name in names[:3]:
        photograph(tmp_path, name)
    tasks = [task(tmp_path, name) for name in names]
    assert check(tmp_path, tmp_path / "m", tasks)[1] == names
    assert check(tmp_path, tmp_path / "m", tasks)[1] == []
    photograph(tmp_path, "b", grey=10)
    photograph(tmp_path, "gone")
    edited = [tasks[0], tasks[1], task(tmp_path, "c", "dog"), tasks[3]]
    results, anew = check(tmp_path, tmp_path / "m", edited)
    assert anew == ["b", "c", "gone"]
    assert results == check(tmp_path, tmp_path / "other", edited)[0]


def test_a_changed_setting_checks_everything_anew(tmp_path):
    photograph(tmp_path, "a")
    one = task(tmp_path, "a")
    check(tmp_path, tmp_path / "m", [one])
    changes = {"keep_empty": True}
    for rules in (Rules({"cat": "cat", "dog": "cat"}, Policies()), Rules(RULES.class_of, Policies(holes="even_odd"))):
        assert check(tmp_path, tmp_path / "m", [replace(one, rules=rules)])[1] == ["a"]
    for name, value in changes.items():
        assert check(tmp_path, tmp_path / "m", [replace(one, **{name: value})])[1] == ["a"]


@pytest.mark.parametrize("named", ["a.png\0", "x" * 5000, "link/outside.png"])
def test_only_files_that_ingest_found_are_opened(tmp_path, named):
    (tmp_path / "outside").mkdir()
    photograph(tmp_path / "outside", "outside")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/link").symlink_to(tmp_path / "outside")
    lost = Image(key="a", file=named, problem="missing_file", detail="no such file")
    opened = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    one = CheckTask(tmp_path / "source", lost, (), RULES, False)
    (result,) = check(tmp_path / "source", tmp_path / "m", [one])[0]
    assert [(row.verdict, row.reason) for row in result.rows] == [("dropped", "missing_file")]
    assert not [path for path in opened if path.endswith(named)]
