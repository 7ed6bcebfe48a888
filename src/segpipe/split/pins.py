"""The sides that images have had, by the content of their files: a table that the user keeps with the project."""

import csv
import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from segpipe.core import csv_files
from segpipe.core.errors import UserError
from segpipe.core.files import read_text
from segpipe.data import split_table


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One image's side: train, val or test; fold: "i/k" if it was the i-th of k folds, else ""."""

    split: str
    fold: str = ""


_FOLD = re.compile("[0-9]{1,3}/[0-9]{1,3}")
_COLUMNS = ("sha256", *(field.name for field in fields(Pin)))


def read(path: Path) -> dict[str, Pin]:
    """Pins by the SHA-256 of the image's file. Raises UserError for a table that is none of `write`."""
    pins: dict[str, Pin] = {}
    table = csv.DictReader(read_text(path).splitlines())
    try:
        for row in table:
            pin = _pin(row)
            if pin is None or not row.get("sha256"):
                expected = f"columns {', '.join(_COLUMNS)} expected: train, val or test, and no fold or one such as 0/5"
                raise UserError(f"{path}: line {table.line_num}: {expected}; mend the row or remove it")
            if pins.setdefault(row["sha256"], pin) != pin:
                problem = "this image has another side in an earlier row; keep one of them"
                raise UserError(f"{path}: line {table.line_num}: {problem}")
    except csv.Error as error:
        raise UserError(f"{path}: line {table.line_num}: is no CSV ({error}); restore it from git") from None
    return pins


def _pin(row: Mapping[str, str | None]) -> Pin | None:
    pin = Pin(split=row.get("split") or "", fold=row.get("fold") or "")
    sound = pin.split in split_table.SIDES and (not pin.fold or _FOLD.fullmatch(pin.fold))
    return pin if sound and (not pin.fold or int(pin.fold.split("/")[0]) < int(pin.fold.split("/")[1])) else None


def of_split(path: Path) -> dict[str, Pin]:
    """Pins of all images in data/splits.csv; what is left out of training keeps train."""
    rows = split_table.read(path)
    return {row.sha256: Pin(split=row.split or split_table.TRAIN, fold=row.fold) for row in rows}


def write(path: Path, pins: Mapping[str, Pin]) -> None:
    """Write the table, by SHA-256."""
    csv_files.write(path, _COLUMNS, [(sha256, *astuple(pins[sha256])) for sha256 in sorted(pins)])
