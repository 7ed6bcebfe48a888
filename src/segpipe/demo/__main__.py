"""`python -m segpipe.demo OUT`: draw a COCO folder of demo photos, with planted defects unless --clean.

data/demo was made with   python -m segpipe.demo data/demo
a large data set          python -m segpipe.demo OUT --count 8000 --size 640 --workers 0 --clean
"""

import argparse
import logging
import sys
from pathlib import Path

from segpipe.core.errors import UserError
from segpipe.demo import defects, folder
from segpipe.demo.planting import MIN_COUNT

_MIN_SIZE = 64
DEFAULT_COUNT = 256
DEFAULT_SIZE = 160
DEFAULT_SEED = 20


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Returns 0, or 1 after a line that names the error."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        make(options.out, options.count, options.size, options.seed, options.workers, options.clean)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def make(out: Path, count: int, size_px: int, seed: int, workers: int, clean: bool) -> None:
    """Draw the whole folder.

    Raises UserError for a number out of range, and if `out` is not empty.
    """
    minimum = 1 if clean else MIN_COUNT
    if count < minimum or size_px < _MIN_SIZE or seed < 0 or workers < 0:
        raise UserError(
            f"--count must be {minimum} or more{'' if clean else ' (1 with --clean)'}, --size {_MIN_SIZE} or more, "
            "--seed and --workers 0 or more"
        )
    document = folder.make(out, count, size_px, seed, workers)
    if not clean:
        defects.plant(out, document)
    folder.write(out, document)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m segpipe.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="folder to create; must be absent or empty")
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT, help="number of images (default %(default)s)")
    parser.add_argument(
        "--size", type=int, default=DEFAULT_SIZE, help="pixels of a side, approximately (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of the images (default %(default)s)")
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="processes, 0 for one per core (default %(default)s)",
    )
    parser.add_argument("--clean", action="store_true", help="without defects")
    return parser


if __name__ == "__main__":
    sys.exit(main())
