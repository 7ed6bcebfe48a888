"""`make pin`: today's sides from data/splits.csv into the table of split.pins, where later splits find them."""

import logging
from pathlib import Path

from segpipe.core.command import run
from segpipe.params import load
from segpipe.split import pins

logger = logging.getLogger(__name__)


def main() -> None:
    """Pin every image of the split; pins of images that are gone stay, so that they come back where they were."""
    path = Path(load().split.pins)
    earlier = pins.read(path) if path.exists() else {}
    today = pins.of_split(Path("data/splits.csv"))
    pins.write(path, earlier | today)
    logger.info(
        "%s: %d images keep their side from now on, %d of them new",
        path,
        len(earlier | today),
        len(today.keys() - earlier),
    )


if __name__ == "__main__":
    run(main)
