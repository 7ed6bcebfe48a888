"""`python -m segpipe explain ID`, `python -m segpipe convert SRC OUT --to FORMAT`: one record's way; another format."""

import argparse
import logging
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from segpipe.convert import convert
from segpipe.core import parallel
from segpipe.core.errors import LedgerError, UserError
from segpipe.explain import explain
from segpipe.ingest.mask_classes import by_number_and_colour
from segpipe.ingest.names import AUTO
from segpipe.ingest.read import MaskOptions


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0, or 1 after one line of what is wrong."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        lines = _explained(asked) if asked.command == "explain" else _converted(asked)
    except (UserError, LedgerError) as error:
        print(f"segpipe {asked.command}: {error}", file=sys.stderr)
        return 1
    _say("\n".join(lines))
    return 0


def _explained(asked: argparse.Namespace) -> list[str]:
    try:
        from segpipe.params import load  # the one thing that knows params.yaml; here as a command, not as a library
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("stages"):
            raise
        raise UserError("no stages/ here; run from the project's top folder") from error
    params = load()
    settings = explain.RunSettings(
        root=Path(params.ingest.source),
        priority=params.rasterize.priority,
        fit=params.photos.preprocessing,
    )
    return explain.explain(asked.record, settings, asked.output)


def _converted(asked: argparse.Namespace) -> list[str]:
    if asked.workers < 0:
        raise UserError(f"--workers is {asked.workers}; it must be 0 or more")
    values, colours = by_number_and_colour(dict(map(_value_and_name, asked.mask_values)))
    masks = MaskOptions(
        values=values,
        colours=colours,
        mapper=partial(parallel.map_ordered, workers=asked.workers, what="pictures"),
    )
    return convert.convert(
        asked.source,
        asked.out,
        asked.to,
        format=asked.format,
        masks=masks,
        class_of=_class_of(asked.classes) or None,
        even_odd=asked.holes == "even_odd",
        copy_images=asked.copy_images,
    )


def _class_of(asked: Sequence[str]) -> dict[str, str]:
    """The class of each category: "car" as it is, "vehicle=car" renamed, and merged with others of that class."""
    pairs = [(name, part) if equals else (text, text) for text in asked for name, equals, part in [text.partition("=")]]
    class_of: dict[str, str] = {}
    for name, part in pairs:
        if not name.strip() or not part.strip() or part in class_of:
            raise UserError(f"--classes {name}={part}: write each class of the source once, like car or vehicle=car")
        class_of[part] = name
    return class_of


def _value_and_name(text: str) -> tuple[str, str]:
    """The parts of "7=car" or "128,0,0=car"."""
    value, equals, name = text.partition("=")
    if not equals or not name.strip() or not re.fullmatch(r"[0-9]{1,9}|[0-9]+,[0-9]+,[0-9]+", value):
        raise UserError(
            f"--mask-values {text!r}: write a stored number or colour and its name, like 7=car or 128,0,0=car"
        )
    return value, name.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m segpipe", description="Look into a data set, or convert one.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("explain", help="the whole way of one annotation or photograph through the pipeline")
    one.add_argument("record", help="annotation id (or what follows its #), image key, file or id")
    one.add_argument("--output", type=Path, help="the PNG to draw (default: results/explain/<record>.png)")
    two = commands.add_parser("convert", help="write a data set of any format in another")
    two.add_argument("source", type=Path, metavar="SRC", help="folder of photographs and annotations; only read")
    two.add_argument("out", type=Path, metavar="OUT", help="new or empty folder")
    two.add_argument("--to", required=True, choices=sorted(convert.WRITERS))
    two.add_argument("--format", default=AUTO, help="format of SRC (default: found out)")
    two.add_argument(
        "--mask-values", nargs="+", default=[], metavar="V=NAME", help="what masks of SRC store: 7=car ..."
    )
    two.add_argument("--classes", nargs="+", default=[], help="only these, in this order; a=b a=c: b and c as one, a")
    two.add_argument("--holes", choices=["union", "even_odd"], default="union", help="as validate.holes")
    two.add_argument("--copy-images", action="store_true", help="photographs too, so that OUT stands alone")
    two.add_argument("--workers", type=int, default=0, help="processes (default: one a core)")
    return parser


def _say(text: str) -> None:
    """Print the result; whoever reads it may have left (`| head`)."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
