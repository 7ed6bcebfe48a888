"""data/splits.csv as the stages after `split` read it."""

import csv
from pathlib import Path


def read(path: Path) -> dict[str, str]:
    """The split of each image by key, in the table's order: train, val, test, or "" if it is left out."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["key"]: row["split"] for row in csv.DictReader(file)}
