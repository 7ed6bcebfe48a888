"""`python -m segpipe.demo OUT`: draw a COCO folder of demo photographs, with planted defects unless --clean.

data/demo was made by    python -m segpipe.demo data/demo
and a scale test takes   python -m segpipe.demo OUT --count 8000 --size 640 --workers 0 --clean
"""

import argparse
import logging
import sys
from pathlib import Path

from segpipe.core.errors import UserError
from segpipe.demo import defects, folder
from segpipe.demo.planting import LEAST_COUNT

_LEAST_SIZE = 64
DEFAULT_COUNT = 256
DEFAULT_SIZE = 160
DEFAULT_SEED = 20


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0, or 1 after one line of what is wrong."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        make(asked.out, asked.count, asked.size, asked.seed, asked.workers, asked.clean)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def make(out: Path, count: int, size_px: int, seed: int, workers: int, clean: bool) -> None:
    """Draw the whole folder. Raises UserError for numbers out of range and if `out` is not empty."""
    least = 1 if clean else LEAST_COUNT
    if count < least or size_px < _LEAST_SIZE or seed < 0 or workers < 0:
        raise UserError(
            f"--count must be {least} or more{'' if clean else ' (1 with --clean)'}, --size {_LEAST_SIZE} or more, "
            "--seed and --workers 0 or more"
        )
    document = folder.make(out, count, size_px, seed, workers)
    if not clean:
        defects.plant(out, document)
    folder.write(out, document)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m segpipe.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="folder to make; must be absent or empty")
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT, help="pictures to draw (default %(default)s)")
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE, help="pixels of a side, about (default %(default)s)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="another seed, other pictures (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes; 0: one a core; changes no byte")
    parser.add_argument("--clean", action="store_true", help="plant no defects")
    return parser


if __name__ == "__main__":
    sys.exit(main())
