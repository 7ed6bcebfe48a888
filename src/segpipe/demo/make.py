"""The whole demo folder: drawn, with planted defects, and written.

data/demo was made by    segpipe demo data/demo
and a scale test uses    segpipe demo OUT --count 8000 --size 640 --workers 0 --clean
"""

from pathlib import Path

from segpipe.core.errors import UserError
from segpipe.demo import defects, folder
from segpipe.demo.planting import MIN_COUNT

_MIN_SIZE = 64


def make(out: Path, count: int, size_px: int, seed: int, workers: int, clean: bool) -> None:
    """Draw the whole folder. Raises UserError for numbers out of range and if `out` is not empty."""
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
