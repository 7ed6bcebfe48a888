"""data/splits.csv: the side of every image. No other module reads or writes this table."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from segpipe.core import csv_files
from segpipe.core.errors import UserError

TRAIN, VAL, TEST, LEFT_OUT = "train", "val", "test", ""
SIDES = (TRAIN, VAL, TEST)


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """One row of the table: the side of one image, or why it is left out."""

    key: str  # of the image
    split: str  # one of SIDES; LEFT_OUT: an image without objects that would be trained on
    group: str  # key of the image that names the group; images of one group belong on one side
    reason: str = ""  # "empty_mask": the image shows no object and is not trained on, on whichever side it is
    fold: str = ""  # "2/5": the third of five folds, counted from 0; "": no folds, or the test side
    sha256: str = ""  # of the photo's file, in hex


_COLUMNS = [field.name for field in fields(Assignment)]


def read(path: Path) -> list[Assignment]:
    """The rows of the table, in its order. Raises OSError, and UserError if a column is missing."""
    rows = csv_files.read(path)
    missing = [name for name in _COLUMNS if rows and name not in rows[0]]
    if missing:
        raise UserError(f"{path}: column {missing[0]} is missing; run `dvc repro`, which writes the table again")
    return [Assignment(**{name: row[name] for name in _COLUMNS}) for row in rows]


def read_splits(path: Path) -> dict[str, str]:
    """The side of each image by its key, in the table's order; LEFT_OUT is one of the values."""
    return {row.key: row.split for row in read(path)}


def write(path: Path, rows: Iterable[Assignment]) -> None:
    """Write the table, whole or not at all."""
    csv_files.write(path, _COLUMNS, map(astuple, rows))
