"""data/splits.csv as the stages after `split` read it."""

from pathlib import Path

from segpipe.core import csv_files


def read(path: Path) -> dict[str, str]:
    """The split of each image by key, in the table's order: train, val, test, or "" if it is left out."""
    return {row["key"]: row["split"] for row in csv_files.read(path)}
