"""The number of copies of photos that are found, and of different photos that are mistaken for copies.

`python -m bench.duplicates [folder for sheets]` makes common kinds of copies of real photos and of independent images
with one layout (lookalikes.py), hashes them as `validate` does, compares them as `split` does, and prints Markdown
tables. The photos are in SEGPIPE_REAL_DATA (default ../shared/data). With a folder, it writes sheets of the pairs that
each distance adds there. `python -m bench.duplicates large` prints only the last table: time and memory for 100,000
images.
"""

import io
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from bench.lookalikes import COUNT
from bench.lookalikes import SETS as LOOKALIKES
from bench.lookalikes import draw as draw_lookalike
from segpipe.core import parallel
from segpipe.data import duplicates, near_hashes, photos
from segpipe.data.duplicates import FINGERPRINT_BYTES
from segpipe.data.near_hashes import ORIENTATIONS, PARTS

DATA = Path(os.environ.get("SEGPIPE_REAL_DATA", "../shared/data"))
SETS = {  # folder of photos: number of them, evenly spread, that are copied
    "coco_mini/train2017": 80,
    "coco_mini/val2017": 79,
    "car_damage/train": 150,
    "car_damage/valid": 50,
    "camvid/train": 45,
    "camvid/val": 15,
    "pets/images": 26,
    "multi_format/coco1.0/images": 3,
    "multi_format/grapes": 11,
    "labelme/semantic": 3,
    "exif": 18,
}
COPIED = 30  # number of copied images of each set of lookalikes
BITS = (4, 6, 8, 10, 12)
SHEET_PAIRS, SHEET_SIDE = 48, 150


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """The image without these shares of its sides."""
    width, height = image.size
    return image.crop((int(width * left), int(height * top), int(width * (1 - right)), int(height * (1 - bottom))))


def watermarked(image: Image.Image) -> Image.Image:
    image = image.copy()
    place = (image.width * 0.03, image.height * 0.88)
    ImageDraw.Draw(image).text(place, "(c) PHOTO 2024", "white", font_size=max(10, image.height // 14))
    return image


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "a quarter of the size": lambda image: image.resize((image.width // 4, image.height // 4)),
    "stretched to 416 x 416": lambda image: image.resize((416, 416)),
    "JPEG quality 75": lambda image: recompressed(image, 75),
    "JPEG quality 40": lambda image: recompressed(image, 40),
    "JPEG quality 15": lambda image: recompressed(image, 15),
    "brightness 0.7": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "brightness 1.4": lambda image: ImageEnhance.Brightness(image).enhance(1.4),
    "contrast 0.6": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "contrast 1.5": lambda image: ImageEnhance.Contrast(image).enhance(1.5),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "blurred, radius 2": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "2 % cut off each side": lambda image: cut(image, 0.02, 0.02, 0.02, 0.02),
    "5 % cut off each side": lambda image: cut(image, 0.05, 0.05, 0.05, 0.05),
    "10 % cut off each side": lambda image: cut(image, 0.1, 0.1, 0.1, 0.1),
    "5 % cut off right and below": lambda image: cut(image, 0, 0, 0.05, 0.05),
    "turned by 2 degrees": lambda image: image.rotate(2, Image.Resampling.BILINEAR),
    "turned by 5 degrees": lambda image: image.rotate(5, Image.Resampling.BILINEAR),
    "watermark": watermarked,
    "white frame of 5 %": lambda image: ImageOps.expand(image, max(image.size) // 20, "white"),
    "padded to a square": lambda image: ImageOps.pad(image, (640, 640)),
    "mirrored": ImageOps.mirror,
    "upside down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "mirrored, 5 % cut, JPEG 40": lambda image: recompressed(ImageOps.mirror(cut(image, 0.05, 0.05, 0.05, 0.05)), 40),
}


def photo_hash(path: Path) -> bytes:
    return duplicates.fingerprint(photos.read_image(path))


def photo_copies(path: Path) -> list[bytes]:
    """The hashes of every kind of copy of a photo."""
    return _of_copies(photos.read_image(path))


def lookalike_hash(of: tuple[str, int]) -> bytes:
    return duplicates.fingerprint(draw_lookalike(of))


def lookalike_copies(of: tuple[str, int]) -> list[bytes]:
    return _of_copies(draw_lookalike(of))


def _of_copies(image: Image.Image) -> list[bytes]:
    return [duplicates.fingerprint(copy(image)) for copy in COPIES.values()]


def as_rows(fingerprints: Sequence[bytes]) -> np.ndarray:
    """Fingerprints as `split` reads them, uint8 (N, FINGERPRINT_BYTES)."""
    return np.frombuffer(b"".join(fingerprints), np.uint8).reshape(-1, FINGERPRINT_BYTES)


def without_parts(hashes: np.ndarray) -> np.ndarray:
    """Hashes of the whole image in its orientations only."""
    return np.asfortranarray(
        np.concatenate([hashes[:, :ORIENTATIONS], np.repeat(hashes[:, :1], PARTS, axis=1)], axis=1)
    )


def one_hash(hashes: np.ndarray) -> np.ndarray:
    """Hashes of the whole image in one orientation only."""
    return np.asfortranarray(np.repeat(hashes[:, :1], ORIENTATIONS + PARTS, axis=1))


CONFIRMED = "confirmed"  # as in split: the hashes with parts, then the small images
METHODS = {
    "one hash": one_hash,
    "8 orientations": without_parts,
    "and parts": lambda hashes: hashes,
    CONFIRMED: lambda hashes: hashes,
}
COLUMNS = [("one hash", 8), ("8 orientations", 8), ("and parts", 8), *((CONFIRMED, bits) for bits in (8, 10, 12))]


def share_found(originals: Sequence[bytes], copies: Sequence[bytes], method: str, bits: int) -> float:
    """The percentage of copies that are found."""
    rows = as_rows([*originals, *copies])
    of, count = METHODS[method](duplicates.hash_numbers(rows)), len(originals)
    pairs = np.stack([np.arange(count), np.arange(count) + count], axis=1)
    near = near_hashes.distances(of[:count], of[count:]) <= bits
    if method == CONFIRMED:
        near[near] = duplicates.confirmed(pairs[near], of, duplicates.small_images(rows), bits)
    return 100 * float(near.mean())


def pairs_within(fingerprints: Sequence[bytes], method: str, bits: int) -> np.ndarray:
    """The pairs of one set within a distance, int64 (K, 2)."""
    if method == CONFIRMED:
        return np.concatenate(list(duplicates.close_pairs(as_rows(fingerprints), bits)))
    of = METHODS[method](duplicates.hash_numbers(as_rows(fingerprints)))
    rows = (near_hashes.distances(of[i : i + 1, None], of[None, i + 1 :])[0] <= bits for i in range(len(of)))
    return np.array([(i, i + 1 + j) for i, near in enumerate(rows) for j in np.flatnonzero(near)], np.int64).reshape(
        -1, 2
    )


def table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> None:
    for cells in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(map(str, cells)) + " |")


def percent(share: float) -> str:
    return f"{share:.1f}" if 0 < share < 100 else f"{share:.0f}"


def sheet(paths: Sequence[Path], pairs: np.ndarray, target: Path) -> None:
    """Write a sheet of pairs side by side, evenly chosen."""
    chosen = pairs[np.linspace(0, len(pairs) - 1, min(len(pairs), SHEET_PAIRS)).astype(int)]
    canvas = Image.new("RGB", (4 * (2 * SHEET_SIDE + 10), -(-len(chosen) // 4) * (SHEET_SIDE + 10)))
    for place, pair in enumerate(chosen):
        for column, position in enumerate(pair):
            image = Image.fromarray(photos.read_rgb(paths[position])).resize((SHEET_SIDE, SHEET_SIDE))
            left = place % 4 * (2 * SHEET_SIDE + 10) + column * SHEET_SIDE
            canvas.paste(image, (left, place // 4 * (SHEET_SIDE + 10)))
    canvas.save(target)


def real(sheets: Path | None) -> None:
    """Print the tables of copies and pairs of real photos."""
    folders = {name: sorted((DATA / name).glob("*.jpg")) for name in SETS}
    paths = [path for files in folders.values() for path in files]
    copied = [p for name, count in SETS.items() for p in folders[name][:: max(1, len(folders[name]) // count)]]
    texts = list(parallel.map_ordered(photo_hash, paths, 0, "photos hashed"))
    originals = [texts[paths.index(path)] for path in copied]
    made = list(zip(*parallel.map_ordered(photo_copies, copied, 0, "photos copied"), strict=True))

    video = np.array(["camvid" in str(path) for path in paths])
    follows = [i for i in range(len(paths) - 1) if video[i] and paths[i].stem[:6] == paths[i + 1].stem[:6]]
    print(f"\nCopies of {len(copied)} photos, {len(follows)} frames of camvid and the next one: percentage found\n")
    sides = {kind: (originals, copies) for kind, copies in zip(COPIES, made, strict=True)}
    sides |= {"next frame": ([texts[i] for i in follows], [texts[i + 1] for i in follows])}
    rows = [[kind, *(percent(share_found(*pair, *column)) for column in COLUMNS)] for kind, pair in sides.items()]
    table(["pair", *(f"{method}, {bits}" for method, bits in COLUMNS)], rows)

    print(f"\nPairs found among all {len(paths)} photos; pairs of two data sets cannot be copies\n")
    true_groups = np.array(
        [path.parent.name if path.parent.name != "exif" else path.stem.split("_")[0] for path in paths]
    )
    sets = np.array([path.relative_to(DATA).parts[0] for path in paths])
    rows = []
    for method in METHODS:
        last = np.empty((0, 2), np.int64)
        for bits in BITS:
            pairs = pairs_within(texts, method, bits)
            cross = sets[pairs[:, 0]] != sets[pairs[:, 1]]
            same_shot = (sets[pairs[:, 0]] == "exif") & (true_groups[pairs[:, 0]] == true_groups[pairs[:, 1]])
            frames = ~cross & video[pairs[:, 0]]
            others = ~cross & ~frames & ~same_shot
            sizes = [np.bincount(duplicates.groups(len(paths), [pairs[kind]])).max() for kind in (~frames, frames)]
            rows.append([method, bits, cross.sum(), others.sum(), sizes[0], frames.sum(), sizes[1]])
            if sheets:
                shown = pairs[cross | others]
                added = shown[~(shown[:, None] == last[None]).all(axis=2).any(axis=1)]
                sheet(paths, added, sheets / f"{method} {bits}.png")
                last = shown
    of_what = ["of two data sets", "of one, without camvid", "largest group", "of camvid", "largest group"]
    table(["method", "bits", *of_what], rows)


def independent() -> None:
    """Print the tables of pairs of lookalikes, which are not copies, and of copies of lookalikes."""
    texts = {
        name: list(parallel.map_ordered(lookalike_hash, [(name, i) for i in range(COUNT)], 0, f"{name} hashed"))
        for name in LOOKALIKES
    }
    rows = []
    for name, hashes in texts.items():
        cells: list[object] = [name]
        for method, bits in (("and parts", 8), (CONFIRMED, 8), (CONFIRMED, 10)):
            start = time.perf_counter()
            pairs = pairs_within(hashes, method, bits)
            seconds = time.perf_counter() - start
            sizes = np.bincount(duplicates.groups(COUNT, [pairs]))
            cells += [
                len(pairs),
                sizes.max(),
                sizes[sizes > 1].sum(),
                *([f"{seconds:.1f}"] if method == CONFIRMED else []),
            ]
        rows.append(cells)
    print(f"\n{COUNT} independent images of each layout: pairs mistaken for copies, largest group, images in a group\n")
    counts = ["pairs", "largest", "grouped"]
    confirmed = [f"{what}, confirmed, {bits}" for bits in (8, 10) for what in (*counts, "s")]
    table(["images", *(f"{what}, 8" for what in counts), *confirmed], rows)

    print(f"\nCopies of {COPIED} of each, percentage found: by the hashes at 8 bits, confirmed at 8, confirmed at 10\n")
    made = {}
    for name in LOOKALIKES:
        copied = parallel.map_ordered(lookalike_copies, [(name, i) for i in range(COPIED)], 0, f"{name} copied")
        made[name] = dict(zip(COPIES, zip(*copied, strict=True), strict=True))

    def cell(name: str, kind: str) -> str:
        columns = (("and parts", 8), (CONFIRMED, 8), (CONFIRMED, 10))
        pair = texts[name][:COPIED], made[name][kind]
        return ", ".join(f"{share_found(*pair, *column):.0f}" for column in columns)

    table(["copy", *LOOKALIKES], [[kind, *(cell(name, kind) for name in LOOKALIKES)] for kind in COPIES])


def random_fingerprints(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (LARGE, FINGERPRINT_BYTES), np.uint8)


def like_photos(rng: np.random.Generator) -> np.ndarray:
    """Fingerprints of 2,000 photos, each 50 times, in which 16 random bits of every hash are flipped.

    Most hashes of a photo are 20 to 26 bits apart. So few images are near, but very many have nearly equal words.
    """
    paths = [path for name in SETS if "camvid" not in name for path in sorted((DATA / name).glob("*.jpg"))]
    photo_rows = as_rows(list(parallel.map_ordered(photo_hash, paths[:2000], 0, "photos hashed")))
    rows = photo_rows[np.arange(LARGE) % len(photo_rows)]
    hashes = rows[:, : 8 * (ORIENTATIONS + PARTS)].view(np.uint64)
    for _ in range(16):
        hashes ^= np.uint64(1) << rng.integers(0, 64, hashes.shape, np.uint64)
    return rows


LARGE = 100_000
LARGE_SETS = {"random hashes": random_fingerprints, "hashes like those of photos": like_photos}


def large() -> None:
    """Print the table of the time to find the pairs of many images, and the memory of the whole process."""
    print(f"\nPairs among {LARGE:,} images at 8 bits; fingerprints take {LARGE * FINGERPRINT_BYTES / 2**20:.0f} MiB\n")
    rows = []
    for name, made in LARGE_SETS.items():
        fingerprints = made(np.random.default_rng(0))
        start, started = time.perf_counter(), time.process_time()
        pairs = duplicates.joining_pairs(fingerprints, 8, duplicates.first_equal(fingerprints))
        count = sum(map(len, pairs))
        seconds, of_processor = time.perf_counter() - start, time.process_time() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        rows.append([name, count, f"{seconds:.1f}", f"{of_processor:.1f}", f"{peak:.0f}"])
        del fingerprints
    table(["images", "pairs", "s", "s of the processor", "peak, MiB"], rows)


def main() -> None:
    """Print all tables, or the last one only."""
    if sys.argv[1:] != ["large"]:
        real(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
        independent()
    large()


if __name__ == "__main__":
    main()
