"""Image files predicted one after the other: a mask for each and, on request, the mask laid over the image."""

import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from segpipe.core.errors import AnnotationError, UserError
from segpipe.data import rgb
from segpipe.data.classes import ClassTable
from segpipe.data.photos import decode, read_size
from segpipe.inference.find_images import InputImage, InputImages
from segpipe.inference.predict import predict_each
from segpipe.inference.read_ahead import read_ahead
from segpipe.inference.results import CLASSES, NotWrittenError, ResultFolder, result_names
from segpipe.masks import label_png
from segpipe.models import model_file
from segpipe.models.device import pick_device
from segpipe.pictures.overlay import overlay

_OVERLAY_QUALITY = 92


def predict_files(
    inputs: InputImages, results: ResultFolder, weights: Path, device_name: str, batch_size: int, with_overlay: bool
) -> int:
    """Predict every image and write its results; return 0 if every image has its mask, else 1.

    The line of each image goes to stdout, everything else to stderr. Raises UserError for a device or model file that
    cannot be used, and for an output folder that cannot be written.
    """
    device = pick_device(device_name)
    segmenter, card = model_file.load(weights, device)
    table = ClassTable(card.classes)
    results.write(CLASSES, table.encoded())
    start = time.perf_counter()
    done, changed = 0, list[rgb.Noted]()
    # disable=None: no progress bar where stderr is not a terminal
    with tqdm(total=len(inputs.images), unit="image", file=sys.stderr, disable=None) as bar:
        images = _readable(inputs.images, batch_size, failed=bar.update, changed=changed)
        for image, *result in predict_each(segmenter, card, images, batch_size, device):
            try:
                _write(results, with_overlay, table, image, *result)
                done += 1
            except NotWrittenError as error:
                tqdm.write(f"FAILED {image.file}: {error}", file=sys.stderr)
            bar.update()
    for line in rgb.summary_lines(changed):
        print(f"NOTE {line}", file=sys.stderr)
    rate = len(inputs.images) / (time.perf_counter() - start)
    print(f"{done} of {len(inputs.images)} images predicted{inputs.left_out()}, {rate:.1f} per second", file=sys.stderr)
    return 0 if done == len(inputs.images) else 1


def _readable(
    images: Sequence[InputImage], ahead: int, failed: Callable[[], object], changed: list[rgb.Noted]
) -> Iterator[tuple[InputImage, np.ndarray]]:
    """Yield each image that can be read, with its pixels; report each of the others on one line.

    changed: list to which the differences between the pixels and the file are added.
    """
    for image, read in read_ahead(images, _read, ahead, _pixel_count):
        if isinstance(read, UserError):
            tqdm.write(f"FAILED {read}", file=sys.stderr)
            failed()
        else:
            pixels, changes = read
            changed += [(str(image.file), change.code, change.detail) for change in changes]
            yield image, pixels


def _pixel_count(image: InputImage) -> int:
    """Number of pixels of the image; 0 if its size cannot be read: then reading the image reports the error."""
    try:
        (height, width), _ = read_size(image.file)
    except UserError:
        return 0
    return height * width


def _read(image: InputImage) -> tuple[np.ndarray, tuple[rgb.Change, ...]] | UserError:
    try:
        photo = decode(image.file)
        return np.asarray(photo.image), photo.changes
    except AnnotationError as error:
        error.where.insert(0, str(image.file))
        return error
    except UserError as error:  # its message names the file already
        return error


def _write(
    results: ResultFolder,
    with_overlay: bool,
    table: ClassTable,
    image: InputImage,
    pixels: np.ndarray,
    label_map: np.ndarray,
) -> None:
    """Write the mask and, on request, the overlay; print the mask's path and the share of each class."""
    name, *overlays = result_names(image.name, with_overlay)
    mask = results.write(name, label_png.encode(label_map, table))
    for name in overlays:
        results.write(name, _jpeg(overlay(pixels, label_map, table.colours)))
    _print(f"{image.file} -> {mask}: {_shares(label_map, table)}")


def _jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    try:
        Image.fromarray(pixels).save(buffer, "JPEG", quality=_OVERLAY_QUALITY)
    except OSError as error:
        raise NotWrittenError(
            f"its overlay cannot be a JPEG ({error}); leave out --overlay or cut the image into parts"
        ) from error
    return buffer.getvalue()


def _shares(label_map: np.ndarray, table: ClassTable) -> str:
    """The share of the image that each class covers, as text, the largest first."""
    shares = np.array(Image.fromarray(label_map).histogram()[: len(table)]) / label_map.size
    order = np.argsort(-shares, kind="stable")
    return ", ".join(f"{table.names[index]} {shares[index]:.1%}" for index in order if shares[index] > 0)


def _print(line: str) -> None:
    """Print a line to stdout; if its reader has gone (`| head`), go on without output: the masks are still wanted."""
    try:
        with tqdm.external_write_mode(file=sys.stdout):
            print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
