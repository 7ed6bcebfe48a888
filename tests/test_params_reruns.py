"""Stages that run again after a change of params.yaml: real DVC with its run cache, and stages that only write params.

params.yaml and dvc.yaml are converted to JSON, which DVC reads ten times as fast. `make test` changes one key for each
set of stages; `make test-slow` changes every key.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from segpipe.params import Params
from tests.conftest import ROOT

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8").replace("params.yaml", "params.json"))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
ALL = Params.model_validate(PARAMS).model_dump(mode="json", by_alias=True)  # with the defaults of missing keys
STUB = '''
"""Write the values of a stage's params into each of its outs, and append its name to ran.txt."""
import json, os, sys
name = sys.argv[1]
plan = json.load(open("plan.json"))[name]
params = json.load(open("params.json"))
def value(key):
    value = params
    for part in key.split("."):
        value = value[part]
    return value
for file in plan["files"]:
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w") as out:
        json.dump({"stage": name} | {key: value(key) for key in plan["params"]}, out)
with open("ran.txt", "a") as out:
    out.write(name + "\\n")
'''


def leaves(section: dict[str, Any], place: str = "") -> Iterator[str]:
    """The keys of all values; dots join the names of nested mappings."""
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{place}{name}.")
        else:
            yield place + name


KEYS = tuple(leaves(ALL))
DEPENDENCIES = {dep[2:-1] for stage in PIPELINE["stages"].values() for dep in stage["deps"] if dep.startswith("$")}


def value_of(params: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        params = params[part]
    return params


def with_value(params: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    head, _, rest = key.partition(".")
    return params | {head: with_value(params.get(head, {}), rest, value) if rest else value}


def paths(entries: list[Any]) -> list[str]:
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def outs(stage: dict[str, Any]) -> list[str]:
    return [path for kind in ("outs", "metrics", "plots") for path in paths(stage.get(kind, []))]


def is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


class Stubs:
    """A DVC project with the dvc.yaml of the pipeline. Each stage only writes the params that dvc.yaml lists for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        stages = PIPELINE["stages"]
        wanted = {dep for stage in stages.values() for dep in stage["deps"] if not dep.startswith(("src/", "stages/"))}
        self.plan = {
            name: {"params": stage.get("params", []), "files": [f for out in outs(stage) for f in files(out, wanted)]}
            for name, stage in stages.items()
        }
        made = [out for stage in stages.values() for out in outs(stage)]
        for dep in wanted:
            if not dep.startswith(("${", "params")) and not any(is_in(dep, out) for out in made):
                self.write(dep, "")
        for key in DEPENDENCIES & set(KEYS):
            self.write(value_of(PARAMS, key), "")
            self.write(another(key, ALL), "another")
        stubs = {
            name: stage
            | {"cmd": f"{sys.executable} -S stub.py {name}"}
            | {"deps": [dep for dep in stage["deps"] if not dep.startswith(("src/", "stages/"))]}
            | {"params": [{"params.json": stage["params"]}] if "params" in stage else []}
            for name, stage in stages.items()
        }
        self.write("dvc.yaml", json.dumps({"vars": ["params.json"], "stages": stubs}))
        self.write("plan.json", json.dumps(self.plan))
        self.write("stub.py", STUB)
        Repo.init(str(folder), no_scm=True).close()

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def repro(self, params: dict[str, Any]) -> set[str]:
        """The stages that `dvc repro` runs with these params; stages restored from the run cache are not counted."""
        self.write("params.json", json.dumps(params))
        self.write("ran.txt", "")
        with chdir(self.folder), Repo(str(self.folder)) as repo:
            repo.reproduce()
        return set((self.folder / "ran.txt").read_text(encoding="utf-8").split())

    def written(self) -> dict[str, Any]:
        """The content of each file in the stages' outs."""
        files = {file for stage in self.plan.values() for file in stage["files"]}
        return {file: json.loads((self.folder / file).read_text(encoding="utf-8")) for file in files}

    def expected(self, params: dict[str, Any]) -> dict[str, Any]:
        """The content that these files must have with the given params."""
        return {
            file: {"stage": name} | {key: value_of(params, key) for key in stage["params"]}
            for name, stage in self.plan.items()
            for file in stage["files"]
        }


def files(out: str, wanted: set[str]) -> list[str]:
    """The out itself; for a folder, one file in it and the files that other stages read."""
    if Path(out).suffix:
        return [out]
    return sorted({f"{out}/file", *(dep for dep in wanted if dep.startswith(f"{out}/"))})


def another(key: str, params: dict[str, Any]) -> Any:
    """A value that differs from the present one."""
    value = value_of(params, key)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}.another"
    return [*(value or []), 64] if not isinstance(value, dict) else {"0": "another"}


def readers(key: str) -> set[str]:
    """The stages that list the key as a param, the stages that read their outs, and check, which reads all keys."""
    stages = PIPELINE["stages"]
    named = {name for name, stage in stages.items() if any(covers(param, key) for param in stage.get("params", []))}
    changed = [out for name in named for out in outs(stages[name])]
    touched = [dep for stage in stages.values() for dep in stage["deps"] if dep == f"${{{key}}}"]
    return (
        {"check"}
        | named
        | {
            name
            for name, stage in stages.items()
            for dep in stage["deps"]
            if dep in touched or any(is_in(dep, out) for out in changed)
        }
    )


def covers(declared: str, key: str) -> bool:
    return key == declared or key.startswith(f"{declared}.")


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Stubs:
    made = Stubs(tmp_path_factory.mktemp("stubs"))
    assert made.repro(PARAMS) == set(PIPELINE["stages"])
    return made


def all_keys() -> list[Any]:
    """Every key; a key whose stages are those of an earlier key is marked as slow."""
    seen: list[set[str]] = []
    marked = []
    for key in KEYS:
        marked.append(pytest.param(key, marks=[pytest.mark.slow] if readers(key) in seen else []))
        seen.append(readers(key))
    return marked


@pytest.mark.parametrize("key", all_keys())
def test_a_changed_key_reruns_only_the_stages_that_read_it(stubs, key):
    changed = with_value(PARAMS, key, another(key, ALL))
    assert stubs.repro(changed) == readers(key)
    assert stubs.written() == stubs.expected(changed), "an out has an older value"
    assert stubs.repro(PARAMS) == set(), "known results come from the run cache"
    assert stubs.written() == stubs.expected(PARAMS), "an out has a newer value"
