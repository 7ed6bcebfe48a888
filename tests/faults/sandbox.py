"""The sandbox of one damaged source. The data stages run in a child process, which watches every access to a file."""

import logging
import logging.handlers
import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from segpipe.data import classes
from segpipe.ingest.read import read_source
from segpipe.ledger.policies import Policies
from segpipe.ledger.rows import KEPT, Row, read_ledger
from segpipe.masks import label_png
from segpipe.validate.judge import Rules
from tests.checking import Checked, check_all
from tests.conftest import ROOT
from tests.data_half import STAGES, prepare

Verdict = tuple[str, str]  # verdict and reason
_CHANGING = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# code, data of packages, and information of the system
_PROGRAM = [ROOT, *map(Path, (sys.prefix, sys.base_prefix, "/proc", "/sys", "/dev", "/usr", "/lib", "/etc/mime.types"))]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A folder for one test: the source, the work folder, and files outside both that no stage may touch."""

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
class Outcome:
    """The outputs of the stages."""

    rows: tuple[Row, ...]  # the ledger after rasterize
    label_maps: dict[str, np.ndarray]  # by image key

    @property
    def images(self) -> dict[str, Verdict]:
        return {row.id: (row.verdict, row.reason) for row in self.rows if row.kind == "image"}

    @property
    def annotations(self) -> dict[str, Verdict]:
        return {row.id: (row.verdict, row.reason) for row in self.rows if row.kind == "annotation"}

    def detail(self, row_id: str) -> str:
        return next(row.detail for row in self.rows if row.id == row_id)


def run_stages(
    sandbox: Sandbox, between: Callable[[], object] = lambda: None, before: str = "rasterize", **settings: object
) -> Outcome:
    """Run the stages from ingest to split.

    between: called before the stage `before`.
    settings: section__key=value of params.yaml.
    Raises UserError as the stages do, and AssertionError if totals do not add up or a file outside is touched.
    """
    return in_child(_run_stages, sandbox, between, before, settings)


def validate(sandbox: Sandbox) -> Checked:
    """Run the checks of validate without writing files: faster than `run_stages`, for many cases in one test."""
    return in_child(_validate, sandbox)


def _run_stages(sandbox: Sandbox, between: Callable[[], object], before: str, settings: dict[str, Any]) -> Outcome:
    prepare(sandbox.work, sandbox.source, **settings)
    for name, stage in STAGES.items():
        if name == before:
            between()
        with chdir(sandbox.work), watched(sandbox):
            stage()
    maps = {path.stem: label_png.read(path) for path in sorted((sandbox.work / "data/masks").glob("*.png"))}
    rows = tuple(read_ledger(sandbox.work / "data/ledger.parquet"))
    assert set(maps) == {row.id for row in rows if row.kind == "image" and row.verdict == KEPT}
    return Outcome(rows, maps)


def _validate(sandbox: Sandbox) -> Checked:
    with watched(sandbox):
        dataset = read_source(sandbox.source)
        used = {instance.category for instance in dataset.instances if instance.category}
        class_of = classes.select("auto", dataset.categories, used)
        return check_all(dataset, sandbox.source, Rules(class_of, Policies()))


# ---- The child process. An audit hook cannot be removed from a process, so the process of the tests has none.


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of function(*arguments) in the child process. Its log records are handled in this process."""
    level = logging.getLogger().getEffectiveLevel()
    call = cloudpickle.dumps((function, arguments))  # pickle cannot save a function that a test defines
    result, error, records = _child().submit(_call, call, level).result()
    for record in records:
        logging.getLogger(record.name).handle(record)
    if error is not None:
        raise error
    return result


@cache
def _child() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, context, initializer=_start)


def _start() -> None:
    sys.addaudithook(_note)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()  # the tests may be killed
    os._exit(1)


def _call(call: bytes, level: int) -> tuple[Any, Exception | None, list[logging.LogRecord]]:
    log = _Log()
    root = logging.getLogger()
    root.setLevel(level)
    root.addHandler(log)
    try:
        function, arguments = cloudpickle.loads(call)
        return function(*arguments), None, log.records
    except Exception as error:
        error.add_note(traceback.format_exc())
        return None, error, log.records
    finally:
        root.removeHandler(log)


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._prepare = logging.handlers.QueueHandler(None).prepare  # makes a record that can be pickled

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(self._prepare(record))


_events: list[tuple[str, tuple[Any, ...]]] | None = None


def _note(event: str, args: tuple[Any, ...]) -> None:
    if _events is not None and (event in ("open", "os.listdir", "os.scandir") or event in _CHANGING):
        _events.append((event, args))


@contextmanager
def watched(sandbox: Sandbox) -> Iterator[None]:
    """Check the files that Python opens, lists and changes.

    Only the source, the work folder and the program may be read, and only the work folder may be changed.
    """
    global _events
    _events = []
    try:
        yield
    finally:
        events, _events = _events, None
        outside = sorted({f"{name} {path}" for name, args in events for path in _outside(sandbox, name, args)})
        assert not outside, f"outside the source and the work folder: {outside}"


def _outside(sandbox: Sandbox, event: str, args: tuple[Any, ...]) -> Iterator[str]:
    changes = event in _CHANGING or (event == "open" and bool((args[2] or 0) & _WRITING))
    for path in args[: 2 if event in ("os.rename", "os.link", "os.symlink") else 1]:
        if not isinstance(path, str | bytes | os.PathLike):
            continue  # the number of an open file, or None for the current folder
        real = Path(os.path.realpath(os.fsdecode(path)))
        allowed = [sandbox.work, Path(os.devnull)] if changes else [sandbox.work, sandbox.source, *_PROGRAM]
        if not any(map(real.is_relative_to, allowed)) and "__pycache__" not in real.parts:
            yield str(real)
