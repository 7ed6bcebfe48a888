"""Pins: the split that an image had earlier, by the hash of its file. The user keeps this table with the project."""

import csv
import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from segpipe.core import csv_files
from segpipe.core.errors import UserError
from segpipe.core.files import read_text
from segpipe.data import split_table
from segpipe.data.split_table import SIDES, TRAIN


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """The split of one image."""

    split: str  # train, val or test
    fold: str = ""  # "2/5": the third of five folds, counted from 0; "" without folds


_FOLD = re.compile("[0-9]{1,3}/[0-9]{1,3}")
_COLUMNS = ("sha256", *(field.name for field in fields(Pin)))


def read(path: Path) -> dict[str, Pin]:
    """Pins by the SHA-256 of the image's file. Raises UserError for an invalid row, and for two that disagree."""
    pins: dict[str, Pin] = {}
    table = csv.DictReader(read_text(path).splitlines())
    try:
        for row in table:
            pin = _pin(row)
            if pin is None or not row.get("sha256"):
                expected = f"needs {', '.join(_COLUMNS)}, with train, val or test, and an empty fold or one like 0/5"
                raise UserError(f"{path}: line {table.line_num}: {expected}; correct the row or remove it")
            if pins.setdefault(row["sha256"], pin) != pin:
                problem = "an earlier row has another split for this image; keep one of them"
                raise UserError(f"{path}: line {table.line_num}: {problem}")
    except csv.Error as error:
        raise UserError(f"{path}: line {table.line_num}: is not CSV ({error}); restore it from git") from None
    return pins


def of_split(path: Path) -> dict[str, Pin]:
    """Pins of all images in data/splits.csv. Images that are left out of training get train."""
    return {row.sha256: Pin(split=row.split or TRAIN, fold=row.fold) for row in split_table.read(path)}


def write(path: Path, pins: Mapping[str, Pin]) -> None:
    """Write the table, sorted by SHA-256."""
    csv_files.write(path, _COLUMNS, [(sha256, *astuple(pins[sha256])) for sha256 in sorted(pins)])


def _pin(row: Mapping[str, str | None]) -> Pin | None:
    pin = Pin(split=row.get("split") or "", fold=row.get("fold") or "")
    if pin.split not in SIDES or (pin.fold and not _FOLD.fullmatch(pin.fold)):
        return None
    number, _, count = pin.fold.partition("/")
    return pin if not pin.fold or int(number) < int(count) else None
