"""The whole way of a source folder through the data stages themselves, in one process and watched all along."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.data import classes
from segpipe.ingest.read import read_source
from segpipe.ledger.policies import Policies
from segpipe.ledger.rows import KEPT, Row, read_ledger
from segpipe.masks import label_png
from segpipe.validate import rechecking
from segpipe.validate.dataset import Validated, check_tasks, collect
from segpipe.validate.image import check
from segpipe.validate.judge import Rules
from tests.conftest import ROOT
from tests.data_half import STAGES, prepare

Verdict = tuple[str, str]  # verdict and reason
_CHANGING = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# what Python and its packages are made of: code, their own data, what the system says of itself
_PROGRAM = [ROOT, *map(Path, (sys.prefix, sys.base_prefix, "/proc", "/sys", "/dev", "/usr", "/lib", "/etc/mime.types"))]
_events: list[tuple[str, tuple[Any, ...]]] | None = None


@dataclass(frozen=True, slots=True)
class World:
    """A folder for one case: the source, what is written, and files outside both that nobody may touch."""

    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def outside(self) -> Path:
        return self.folder / "outside"


@dataclass(frozen=True, slots=True)
class Account:
    """What became of everything. rows: the ledger after rasterize; label_maps: by image key."""

    rows: tuple[Row, ...]
    label_maps: dict[str, np.ndarray]

    @property
    def images(self) -> dict[str, Verdict]:
        return {row.id: (row.verdict, row.reason) for row in self.rows if row.kind == "image"}

    @property
    def annotations(self) -> dict[str, Verdict]:
        return {row.id: (row.verdict, row.reason) for row in self.rows if row.kind == "annotation"}

    def detail(self, row_id: str) -> str:
        return next(row.detail for row in self.rows if row.id == row_id)


def go(
    world: World, between: Callable[[], object] = lambda: None, before: str = "rasterize", **settings: object
) -> Account:
    """The stages from the source to the split. between: what happens `before` one of them; settings: section__key.

    Raises UserError as the stages do, and AssertionError where a sum does not close or a file outside is touched.
    """
    prepare(world.work, world.source, **settings)
    for name, stage in STAGES.items():
        if name == before:
            between()
        with chdir(world.work), _inside(world):
            stage()
    maps = {path.stem: label_png.read(path) for path in sorted((world.work / "data/masks").glob("*.png"))}
    rows = tuple(read_ledger(world.work / "data/ledger.parquet"))
    assert set(maps) == {row.id for row in rows if row.kind == "image" and row.verdict == KEPT}
    return Account(rows, maps)


def judge(world: World) -> tuple[Row, ...]:
    """The ledger of validate alone, with nothing written: for many cases in a row."""
    return validated(world).rows


def validated(world: World) -> Validated:
    """What validate finds, with nothing written."""
    with _inside(world):
        dataset = read_source(world.source)
        used = {instance.category for instance in dataset.instances if instance.category}
        class_of = classes.select("auto", dataset.categories, used)
        tasks = check_tasks(dataset, world.source, Rules(class_of, Policies()), keep_empty=False)
        rechecking.keys_of(tasks, map(rechecking.content, tasks))
        return collect(dataset, class_of, map(check, tasks))


@contextmanager
def _inside(world: World) -> Iterator[None]:
    """Watch what Python opens, lists and changes: reads in the source and the work folder, writes in the latter."""
    global _events
    _events = []
    try:
        yield
    finally:
        events, _events = _events, None
        strayed = sorted({f"{name} {path}" for name, args in events for path in _strayed(world, name, args)})
        assert not strayed, f"outside the source and the work folder: {strayed}"


def _strayed(world: World, event: str, args: tuple[Any, ...]) -> Iterator[str]:
    changes = event in _CHANGING or (event == "open" and bool((args[2] or 0) & _WRITING))
    for path in args[: 2 if event in ("os.rename", "os.link", "os.symlink") else 1]:
        if not isinstance(path, str | bytes | os.PathLike):
            continue  # a number of an open file, or the working folder
        real = Path(os.path.realpath(os.fsdecode(path)))
        allowed = [world.work, Path(os.devnull)] if changes else [world.work, world.source, *_PROGRAM]
        if not any(map(real.is_relative_to, allowed)) and "__pycache__" not in real.parts:
            yield str(real)


def _note(event: str, args: tuple[Any, ...]) -> None:
    if _events is not None and (event in ("open", "os.listdir", "os.scandir") or event in _CHANGING):
        _events.append((event, args))


sys.addaudithook(_note)
