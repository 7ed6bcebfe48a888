"""Draw a folder of demo images with exact COCO annotations and planted defects.

Example: segpipe demo data/demo
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder, its size and its seed."""
    parser.add_argument("out", type=Path, help="folder to make; it must be absent or empty")
    parser.add_argument("--count", type=int, default=256, help="images to draw (default %(default)s)")
    parser.add_argument("--size", type=int, default=160, help="pixels of a side, about (default %(default)s)")
    parser.add_argument("--seed", type=int, default=20, help="another seed gives other images (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes; 0: one per CPU core; changes no byte")
    parser.add_argument("--clean", action="store_true", help="plant no defects")


def run(options: argparse.Namespace) -> None:
    """Draw the folder. Raises UserError for numbers out of range and if the folder is not empty."""
    from segpipe.demo import make

    make.make(options.out, options.count, options.size, options.seed, options.workers, options.clean)
