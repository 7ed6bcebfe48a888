"""JPEG decoders on real photos: milliseconds to an RGB array, and the number of photos whose pixels differ.

`python -m bench.decoders` prints a table for each data set in SEGPIPE_REAL_DATA (default ../shared/data). Decoders
that are not installed are left out (simplejpeg is not a dependency). Processor time, the best of three rounds, in
turn.
"""

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from bench.floor import DATA
from segpipe.data import photos

SETS = {"coco_mini": "coco_mini/*2017/*.jpg", "car_damage": "car_damage/train/*.jpg"}
COUNT, ROUNDS = 200, 3


def pillow_draft(path: Path) -> np.ndarray:
    """Decode at half of the size or more, scaled by libjpeg: enough to get 256 px from a photo of 640 px."""
    with Image.open(path) as image:
        image.draft("RGB", (image.width // 2, image.height // 2))
        return np.asarray(image.convert("RGB"))


def decoders() -> dict[str, Callable[[Path], np.ndarray]]:
    """The installed decoders by name."""
    readers: dict[str, Callable[[Path], np.ndarray]] = {
        "photos.read": lambda path: photos.read_image(path),  # Pillow, without the copy to an array
        "photos.read_rgb": photos.read_rgb,
        "Pillow, draft": pillow_draft,
    }
    if importlib.util.find_spec("simplejpeg"):
        import simplejpeg

        readers["simplejpeg"] = lambda path: simplejpeg.decode_jpeg(path.read_bytes())
    if importlib.util.find_spec("torchvision"):
        import torch
        from torchvision.io import ImageReadMode, decode_jpeg, read_file

        torch.set_num_threads(1)
        readers["torchvision.io"] = lambda path: decode_jpeg(read_file(str(path)), mode=ImageReadMode.RGB).numpy()
    return readers


def main() -> None:
    """Print the tables."""
    for name, pattern in SETS.items():
        paths = sorted(DATA.glob(pattern))[:COUNT]
        print(f"{name}: {len(paths)} photos")
        best: dict[str, float] = {}
        for _ in range(ROUNDS):
            for decoder, decode in decoders().items():
                start = time.process_time()
                for path in paths:
                    decode(path)
                best[decoder] = min(best.get(decoder, np.inf), time.process_time() - start)
        for decoder, decode in decoders().items():
            print(f"  {decoder:16} {best[decoder] / len(paths) * 1000:6.2f} ms   {differing(decode, paths)}")


def differing(decode: Callable[[Path], np.ndarray], paths: list[Path]) -> str:
    """For how many photos the pixels differ from those of `photos.read_rgb`, as text."""
    unequal, largest = 0, 0
    for path in paths:
        ours, theirs = photos.read_rgb(path).astype(int), np.asarray(decode(path)).astype(int)
        theirs = np.moveaxis(theirs, 0, 2) if theirs.shape[0] == 3 else theirs
        if theirs.shape != ours.shape:
            return "another size"
        step = int(np.abs(ours - theirs).max())
        unequal, largest = unequal + (step > 0), max(largest, step)
    return f"{unequal} differ, by {largest} at most" if unequal else "equal pixels"


if __name__ == "__main__":
    main()
