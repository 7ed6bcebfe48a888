"""Show what became of one annotation or image, stage by stage, and draw it.

Example: segpipe explain 1336
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the record and the file to draw."""
    parser.add_argument("record", help="annotation id (or the part after its #), image key, image file or image id")
    parser.add_argument("--output", type=Path, help="PNG to draw (default: results/explain/<record>.png)")


def run(options: argparse.Namespace) -> None:
    """Print the record's history. Raises UserError and LedgerError."""
    from segpipe.core.command import print_result
    from segpipe.explain import explain
    from segpipe.params import load

    params = load()
    settings = explain.RunSettings(
        root=Path(params.ingest.source),
        priority=params.rasterize.priority,
        fit=params.photos.preprocessing,
    )
    print_result(explain.explain(options.record, settings, options.output))
