"""The time to split 8,000 images, and the balance of classes, with split.method content and balanced.

`python bench/split.py` generates 8,000 images in 5,000 scenes with 20 classes, the rarest on 8 images. It prints
seconds and the largest difference between the share of a class in a split and its share in all images. Then it adds a
tenth more images, with the first 8,000 pinned.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from segpipe.data.duplicates import FINGERPRINT_BYTES
from segpipe.split import assign, leaks, summary
from segpipe.split.assign import Candidate, Pool
from segpipe.split.pins import Pin

IMAGES, ADDED, SCENES, CLASSES = 8000, 800, 5000, 20
VAL, TEST, BITS, SEED = 0.15, 0.15, 10, 7
METHODS: dict[str, Callable[[Pool, float, float], np.ndarray]] = {
    "content": assign.by_content,
    "balanced": assign.by_balance,
}


def generated() -> tuple[list[Candidate], np.ndarray, np.ndarray]:
    """Images with random fingerprints and classes, from a class on every image to one on an image in a thousand."""
    rng = np.random.default_rng(0)
    frequency = np.geomspace(1, 0.001, CLASSES)
    shape = (IMAGES + ADDED, CLASSES)
    pixels = np.where(rng.random(shape) < frequency, rng.lognormal(8, 1.2, shape).astype(np.int64) + 1, 0)
    scenes = rng.integers(0, SCENES, IMAGES + ADDED)
    candidates = [
        Candidate(
            key=f"image{i:05}",
            sha256=hashlib.sha256(str(i).encode()).hexdigest(),
            scene=f"scene{scenes[i]}",
            source_split=None,
            empty=False,
        )
        for i in range(IMAGES + ADDED)
    ]
    return candidates, rng.integers(0, 256, (len(candidates), FINGERPRINT_BYTES), np.uint8), pixels


def main() -> None:
    """Print one table."""
    candidates, fingerprints, pixels = generated()
    names = [f"class {i}" for i in range(CLASSES)]
    print("| method | images | group, s | place, s | count leaks, s | worst share off, images | pixels | moved |")
    print("|---|---|---|---|---|---|---|---|")
    for name, method in METHODS.items():
        pins: dict[str, Pin] = {}
        for count in (IMAGES, IMAGES + ADDED):
            times = [time.perf_counter()]
            images = [replace(c, pin=pins.get(c.sha256)) for c in candidates[:count]]
            pool = Pool.gather(images, fingerprints[:count], pixels[:count], BITS, SEED)
            times.append(time.perf_counter())
            placed = assign.to_rows(pool, method(pool, VAL, TEST), 0, 0)
            times.append(time.perf_counter())
            leaks.find_leaks(pool, placed, BITS)
            times.append(time.perf_counter())
            moved = sum(pins[row.sha256].split != row.split for row in placed if row.sha256 in pins)
            pins = {row.sha256: Pin(split=row.split) for row in placed}
            worst = summary.summary(placed, summary.shares(placed, pixels[:count], names))["worst_share_off"]
            spent = " | ".join(f"{after - before:.1f}" for before, after in pairwise(times))
            print(f"| {name} | {count:,} | {spent} | {worst['images']:.3f} | {worst['pixels']:.3f} | {moved} |")


if __name__ == "__main__":
    main()
