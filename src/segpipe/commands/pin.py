"""Keep the split of today: images keep their side (train, val or test) when other images are added.

Example: segpipe pin
"""

import argparse
import logging
from pathlib import Path

from segpipe.core.plurals import counted

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no option: the command reads data/splits.csv and writes the table of split.pins."""


def run(options: argparse.Namespace) -> None:
    """Pin every image of the split. Pins of images that were removed stay, for the case that they come back."""
    from segpipe.params import load
    from segpipe.split import pins

    path = Path(load().split.pins)
    earlier = pins.read(path) if path.exists() else {}
    today = pins.of_split(Path("data/splits.csv"))
    pins.write(path, earlier | today)
    new = len(today.keys() - earlier)
    pinned = counted(len(earlier | today), "image")
    logger.info("%s: the sides of %s are fixed from now on, %d of them new", path, pinned, new)
