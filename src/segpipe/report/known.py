"""The data report of a stage that stops because a limit is exceeded."""

from collections.abc import Mapping
from pathlib import Path

from segpipe.ledger.reasons import Stage


def write(stage: Stage, source: Path, limits: Mapping[str, float]) -> None:
    """Write results/data_report.html as known after `stage`; the arguments are those of collect.read."""
    from segpipe.report import collect  # importing it takes half a second, which only a stage that stops needs

    collect.write(collect.read(stage, source, limits))
