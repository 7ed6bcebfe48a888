"""Predict the class of every pixel of images: one palette PNG per image, at the size of the image.

python inference.py --weights models/model.pt --input photos --output masks --overlay
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))  # the code beside this file, not an installed one

# isort: split
import segpipe.core.interrupts  # noqa: F401 - from here on Ctrl-C ends with one line, also during the next imports

# isort: split
import argparse
from collections.abc import Sequence

from segpipe.inference import command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; arguments: those of the process if None."""
    parser = argparse.ArgumentParser(prog="inference.py", description=(__doc__ or "").splitlines()[0])
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
