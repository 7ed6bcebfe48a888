"""The whole way of a source folder in one process: ingest, validate with its report, rasterize; watched all along."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.annotations.detect import read_source
from segpipe.annotations.inventory import inventory
from segpipe.classes import ClassTable
from segpipe.dataset import checks, data_report, drawing, ledger, rasterizing, selection, store, tables, validation
from segpipe.dataset.data_report import DataReport
from segpipe.dataset.ledger import Row
from segpipe.dataset.transforms import Fit
from segpipe.files import write_json, write_text
from segpipe.masks import label_png
from segpipe.records import Dataset

Verdict = tuple[str, str]  # verdict and reason
_CHANGING = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
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


def go(world: World, between: Callable[[], None] = lambda: None, **read: Any) -> Account:
    """Everything from the source to the label maps. between: what happens after validate and before rasterize.

    Raises UserError as the stages do, and AssertionError where a sum does not close or a file outside is touched.
    """
    with _inside(world):
        dataset = _ingest(world, **read)
        report = _checked(world, dataset)
        _write(world, report)
    between()
    with _inside(world):
        return _rasterize(world, report)


def judge(world: World, **read: Any) -> tuple[Row, ...]:
    """The ledger of validate alone, with nothing written: for many cases in a row."""
    with _inside(world):
        return _checked(world, read_source(world.source, **read)).validated.rows


def _ingest(world: World, **read: Any) -> Dataset:
    dataset = read_source(world.source, **read)
    tables.write_dataset(world.work / "records", dataset)
    write_json(world.work / "ingest.json", inventory(dataset))
    return tables.read_dataset(world.work / "records")


def _checked(world: World, dataset: Dataset) -> DataReport:
    used = {instance.category for instance in dataset.instances if instance.category}
    class_of = selection.select("auto", dataset.categories, used)
    selected = selection.names(class_of)
    tasks = validation.tasks(dataset, world.source, class_of, "ignore", False, checks.ShapePolicies())
    validated = validation.collect(dataset, class_of, map(checks.check, tasks))
    return DataReport(
        root=world.source,
        dataset=dataset,
        validated=validated,
        classes=selection.class_table(selected, "multiclass"),
        indices=selection.class_indices(selected, "multiclass"),
        limits={},
    )


def _write(world: World, report: DataReport) -> None:
    validated = report.validated
    write_text(world.work / "report.html", data_report.html(report))
    validation.write_photos(world.work / "images.parquet", validated.photos)
    tables.write_instances(world.work / "instances.parquet", validated.instances)
    ledger.write(world.work / "ledger.parquet", validated.rows)
    report.classes.write(world.work / "classes.json")


def _rasterize(world: World, report: DataReport) -> Account:
    fit = Fit("letterbox", (16, 16))
    tasks = rasterizing.tasks(
        validation.read_photos(world.work / "images.parquet"),
        tables.read_instances(world.work / "instances.parquet"),
        world.source,
        report.indices,
        ClassTable.read(world.work / "classes.json"),
        "smaller_on_top",
        fit,
        world.work / "masks",
        world.work / "store",
    )
    store.begin(world.work / "store", len(rasterizing.rows(tasks)), fit)
    drawn = [drawing.draw(task) for task in tasks]
    rows = rasterizing.account(ledger.read(world.work / "ledger.parquet"), tasks, drawn)
    ledger.close(rows, len(report.dataset.images), len(report.dataset.instances))
    shown = sum(row.px_after for row in rows if row.px_after)
    assert shown == sum(sum(result.class_px[1:]) + result.ignore_px for result in drawn)
    ledger.write(world.work / "ledger2.parquet", rows)
    return Account(tuple(rows), {task.photo.key: label_png.read(drawing.mask_path(task)) for task in tasks})


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
        if real.is_relative_to(world.work):
            continue
        if changes and "__pycache__" not in real.parts and real != Path(os.devnull):
            yield str(real)
        if real.is_relative_to(world.folder) and not real.is_relative_to(world.source):
            yield str(real)


def _note(event: str, args: tuple[Any, ...]) -> None:
    if _events is not None and (event in ("open", "os.listdir", "os.scandir") or event in _CHANGING):
        _events.append((event, args))


sys.addaudithook(_note)
