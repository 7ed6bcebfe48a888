"""`python -m segpipe explain ID`, `python -m segpipe convert SRC OUT --to FORMAT`: one record's way; another format."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from segpipe.annotations.formats import AUTO
from segpipe.dataset import parallel
from segpipe.dataset.transforms import Fit
from segpipe.errors import UserError
from segpipe.explain import record
from segpipe.writers import convert


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0, or 1 after one line of what is wrong."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        lines = _explained(asked) if asked.command == "explain" else _converted(asked)
    except UserError as error:
        print(f"segpipe {asked.command}: {error}", file=sys.stderr)
        return 1
    _say("\n".join(lines))
    return 0


def _explained(asked: argparse.Namespace) -> list[str]:
    try:
        from stages.params import load  # the one thing that knows params.yaml; here as a command, not as a library
    except ModuleNotFoundError as error:
        raise UserError("no stages/ here; run from the project's top folder") from error
    params = load()
    settings = record.Settings(
        root=Path(params.ingest.source),
        priority=params.rasterize.priority,
        fit=Fit(params.rasterize.fit, params.rasterize.size),
    )
    return record.explain(asked.record, settings, asked.output)


def _converted(asked: argparse.Namespace) -> list[str]:
    return convert.convert(
        asked.source,
        asked.out,
        asked.to,
        format=asked.format,
        classes=asked.classes,
        copy_images=asked.copy_images,
        mapper=partial(parallel.ordered, workers=asked.workers, what="pictures"),
    )


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
    two.add_argument("--classes", nargs="+", default=[], help="only these, in this order (default: all)")
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
