"""Predict the class of every pixel of photographs: one palette mask PNG per picture, at the picture's own size.

python inference.py --weights models/model.pt --input photos --output masks --overlay
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))  # the code beside it, whatever is installed

# isort: split
import segpipe.core.interrupts  # noqa: F401 - works while the others are imported

# isort: split
import argparse
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image
from tqdm import tqdm

from segpipe.core import machine
from segpipe.core.errors import AnnotationError, UserError
from segpipe.data import rgb
from segpipe.data.classes import ClassTable
from segpipe.data.photos import decode, read_size
from segpipe.inference.find_pictures import Found, Picture, find
from segpipe.inference.predict import predict_each
from segpipe.inference.read_ahead import read_ahead
from segpipe.inference.results import NotWrittenError, Results
from segpipe.masks import label_png
from segpipe.models import device as devices
from segpipe.models import model_file as model_card
from segpipe.pictures.overlay import overlay

_CLASSES = "classes.json"
_OVERLAY_QUALITY = 92


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 if every picture has its mask, 1 if any failed or none was found."""
    try:
        return _run(_parsed(arguments))
    except (MemoryError, RuntimeError) as error:
        if not machine.is_out_of_memory(error):
            raise
        print("inference.py: not enough memory; free some, or lower --batch-size, and run it again", file=sys.stderr)
        return 1
    except UserError as error:
        print(f"inference.py: {error}", file=sys.stderr)
        return 1


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="the trained model, models/model.pt")
    parser.add_argument("--input", nargs="+", required=True, help="pictures: files, folders (with subfolders), globs")
    parser.add_argument("--output", type=Path, required=True, help="folder for the masks, made if it is not there")
    parser.add_argument("--overlay", action="store_true", help="also write each mask laid over its picture, as JPEG")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--batch-size", type=int, default=4, help="windows predicted at once (default: 4)")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    if options.batch_size < 1:
        raise UserError(f"--batch-size is {options.batch_size}; it must be 1 or more")
    device = devices.pick(options.device)
    segmenter, card = model_card.load(options.weights, device)
    found = find(options.input, options.output)
    table = ClassTable(card.classes)
    results = Results(options.output)
    names = [name for picture in found.pictures for name in _names(picture, options.overlay)]
    results.check([_CLASSES, *names], [picture.file for picture in found.pictures])
    results.write(_CLASSES, table.encoded())
    start = time.perf_counter()
    done, changed = 0, list[rgb.Noted]()
    # disable=None: no bar where stderr is no terminal
    with tqdm(total=len(found.pictures), unit="picture", file=sys.stderr, disable=None) as bar:
        pictures = _sound(found.pictures, options.batch_size, failed=bar.update, changed=changed)
        for picture, *result in predict_each(segmenter, card, pictures, options.batch_size, device):
            try:
                _write(results, options.overlay, table, picture, *result)
                done += 1
            except NotWrittenError as error:
                tqdm.write(f"FAILED {picture.file}: {error}", file=sys.stderr)
            bar.update()
    for line in rgb.summary_lines(changed):
        print(f"NOTE {line}", file=sys.stderr)
    _report(found, done, time.perf_counter() - start)
    return 0 if 0 < done == len(found.pictures) else 1


def _sound(
    pictures: Sequence[Picture], ahead: int, failed: Callable[[], object], changed: list[rgb.Noted]
) -> Iterator[tuple[Picture, np.ndarray]]:
    """Each picture that can be read, with its pixels; of the others a line says what is wrong.

    changed: where it is noted how the pixels differ from those of the file.
    """
    for picture, read in read_ahead(pictures, _read, ahead, _pixels):
        if isinstance(read, UserError):
            tqdm.write(f"FAILED {read}", file=sys.stderr)
            failed()
        else:
            image, changes = read
            changed += [(str(picture.file), change.code, change.detail) for change in changes]
            yield picture, image


def _pixels(picture: Picture) -> int:
    """How large the picture will be; 0 if it cannot be read, which reading it will tell."""
    try:
        (height, width), _ = read_size(picture.file)
    except UserError:
        return 0
    return height * width


def _read(picture: Picture) -> tuple[np.ndarray, tuple[rgb.Change, ...]] | UserError:
    try:
        photo = decode(picture.file)
        return np.asarray(photo.image), photo.changes
    except AnnotationError as error:
        error.where.insert(0, str(picture.file))
        return error
    except UserError as error:  # it names the file
        return error


def _names(picture: Picture, with_overlay: bool) -> list[str]:
    """The results of a picture: its mask and, if asked for, its overlay."""
    return [f"{picture.name}.png", *([f"{picture.name}.overlay.jpg"] if with_overlay else [])]


def _write(
    results: Results,
    with_overlay: bool,
    table: ClassTable,
    picture: Picture,
    image: np.ndarray,
    label_map: np.ndarray,
) -> None:
    """Write the mask and, if asked for, the overlay; print where and what is in it."""
    name, *overlays = _names(picture, with_overlay)
    mask = results.write(name, label_png.encode(label_map, table))
    for name in overlays:
        results.write(name, _jpeg(overlay(image, label_map, table.colours)))
    _say(f"{picture.file} -> {mask}: {_shares(label_map, table)}")


def _jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    try:
        Image.fromarray(image).save(buffer, "JPEG", quality=_OVERLAY_QUALITY)
    except OSError as error:
        raise NotWrittenError(
            f"its overlay cannot be a JPEG ({error}); leave out --overlay or cut it into parts"
        ) from error
    return buffer.getvalue()


def _shares(label_map: np.ndarray, table: ClassTable) -> str:
    """What part of a picture each class covers, the largest first."""
    shares = np.array(Image.fromarray(label_map).histogram()[: len(table)]) / label_map.size
    order = np.argsort(-shares, kind="stable")
    return ", ".join(f"{table.names[index]} {shares[index]:.1%}" for index in order if shares[index] > 0)


def _say(line: str) -> None:
    """Print a result; if whoever reads the lines has left (`| head`), the masks are still wanted."""
    try:
        with tqdm.external_write_mode(file=sys.stdout):
            print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(found: Found, done: int, seconds: float) -> None:
    count = len(found.pictures)
    if not count:
        print("inference.py: no picture found", file=sys.stderr)
    others = f", {found.passed_over} other files passed over" if found.passed_over else ""
    earlier = f", {found.earlier} results of earlier runs left out" if found.earlier else ""
    print(f"{done} of {count} pictures predicted{others}{earlier}, {count / seconds:.1f} a second", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
