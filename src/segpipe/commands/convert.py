"""Write a data set of any supported format in another format.

Example: segpipe convert SOURCE OUT --to yolo
"""

import argparse
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from segpipe.core.errors import UserError
from segpipe.ingest.names import AUTO

FORMATS = ("coco", "labelme", "masks", "voc", "yolo")  # of segpipe.convert.convert.WRITERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: the source, the new folder, its format and the options."""
    parser.add_argument("source", type=Path, metavar="SRC", help="folder of images and annotations; it is only read")
    parser.add_argument("out", type=Path, metavar="OUT", help="new or empty folder")
    parser.add_argument("--to", required=True, choices=FORMATS, help="format of OUT")
    parser.add_argument("--format", default=AUTO, help="format of SRC (default: detected)")
    parser.add_argument(
        "--mask-values", nargs="+", default=[], metavar="V=NAME", help="classes of the values in SRC's masks: 7=car ..."
    )
    parser.add_argument(
        "--classes", nargs="+", default=[], help="only these classes, in this order; a=b a=c merges b and c into a"
    )
    parser.add_argument("--holes", choices=["union", "even_odd"], default="union", help="as validate.holes")
    parser.add_argument("--copy-images", action="store_true", help="copy the images into OUT as well")
    parser.add_argument("--workers", type=int, default=0, help="processes (default: one per CPU core)")


def run(options: argparse.Namespace) -> None:
    """Convert, and print how much was written and left out. Raises UserError."""
    from segpipe.convert import convert
    from segpipe.core import parallel
    from segpipe.core.command import print_result
    from segpipe.ingest.mask_classes import by_number_and_colour
    from segpipe.ingest.read import MaskOptions

    if options.workers < 0:
        raise UserError(f"--workers is {options.workers}; it must be 0 or more")
    values, colours = by_number_and_colour(dict(map(_value_and_name, options.mask_values)))
    mapper = partial(parallel.map_ordered, workers=options.workers, what="images")
    lines = convert.convert(
        options.source,
        options.out,
        options.to,
        format=options.format,
        masks=MaskOptions(values=values, colours=colours, mapper=mapper),
        class_of=_class_of(options.classes) or None,
        even_odd=options.holes == "even_odd",
        copy_images=options.copy_images,
    )
    print_result(lines)


def _class_of(arguments: Sequence[str]) -> dict[str, str]:
    """The class of each category: "car" keeps its name, "vehicle=car" gets another, which merges categories."""
    class_of: dict[str, str] = {}
    for argument in arguments:
        name, equals, category = argument.partition("=")
        category = category if equals else name
        if not name.strip() or not category.strip() or category in class_of:
            raise UserError(
                f"--classes {name}={category}: write each class of the source once, like car or vehicle=car"
            )
        class_of[category] = name
    return class_of


def _value_and_name(text: str) -> tuple[str, str]:
    """The parts of "7=car" or "128,0,0=car"."""
    value, equals, name = text.partition("=")
    if not equals or not name.strip() or not re.fullmatch(r"[0-9]{1,9}|[0-9]+,[0-9]+,[0-9]+", value):
        raise UserError(
            f"--mask-values {text!r}: write a stored number or colour and its name, like 7=car or 128,0,0=car"
        )
    return value, name.strip()
