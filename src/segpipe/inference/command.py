"""The command that predicts image files: its options, the checks of them, and the exit code.

PyTorch, which takes seconds to import, is imported only after every check that works without it.
"""

import argparse
import os
import sys
from pathlib import Path

from segpipe.core.errors import UserError
from segpipe.inference.find_images import find
from segpipe.inference.results import CLASSES, ResultFolder, result_names
from segpipe.models.model_path import check_model_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to a parser; error messages then start with the parser's program name."""
    parser.set_defaults(program=parser.prog)
    parser.add_argument("--weights", type=Path, required=True, help="the trained model, models/model.pt")
    parser.add_argument("--input", nargs="+", required=True, help="images: files, folders (with subfolders), globs")
    parser.add_argument("--output", type=Path, required=True, help="folder for the masks, created if missing")
    parser.add_argument("--overlay", action="store_true", help="also write each mask laid over its image, as a JPEG")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--batch-size", type=int, default=4, help="windows predicted at once (default: 4)")


def run(options: argparse.Namespace) -> int:
    """Predict the images that the parsed options name; return 0 if every image has its mask, else 1."""
    try:
        return _run(options)
    except UserError as error:
        print(f"{options.program}: {error}", file=sys.stderr)
    except (MemoryError, RuntimeError) as error:
        from segpipe.core import machine

        if not machine.is_out_of_memory(error):
            raise
        remedy = "free some memory or lower --batch-size, then run it again"
        print(f"{options.program}: not enough memory; {remedy}", file=sys.stderr)
    return 1


def _run(options: argparse.Namespace) -> int:
    if options.batch_size < 1:
        raise UserError(f"--batch-size is {options.batch_size}; it must be 1 or more")
    check_model_path(options.weights)
    if os.path.lexists(options.output) and not os.path.isdir(options.output):  # noqa: PTH112 - as in check_model_path
        raise UserError(f"--output {options.output}: is a file; name a folder")
    inputs, results = find(options.input, options.output), ResultFolder(options.output)
    names = [name for image in inputs.images for name in result_names(image.name, options.overlay)]
    results.check([CLASSES, *names], [image.file for image in inputs.images])
    if not inputs.images:
        raise UserError(f"no image found{inputs.left_out()}")

    from segpipe.inference.predict_files import predict_files  # PyTorch: seconds

    return predict_files(inputs, results, options.weights, options.device, options.batch_size, options.overlay)
