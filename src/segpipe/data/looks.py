"""How a photograph looks: perceptual hashes that it shares with copies, recompressed, turned, mirrored, cut or framed,
and the small picture in which copies agree in detail (`comparing`).

A hash is pHash, as imagehash.phash has it: which of the 8 x 8 lowest frequencies of the picture are above their median.
Turning or mirroring a picture only swaps and negates its frequencies, so that all eight orientations come from one
transform. `bench/duplicates.py` measures what is found, and what is mistaken for a copy.
"""

import base64
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

TURNED = 8  # hashes of the whole picture, one an orientation, the picture as it is first
PARTS = 3  # hashes of what may be all that a copy shows: 0.9 and 0.8 of it, and all of it without its frame
DETAIL = 48  # pixels a side of the small picture
_THUMB, _SIDE, _LOW = 64, 32, 8
_CROPS = (0.9, 0.8)
_FLAT = 2.0  # a picture whose grey levels spread less has nothing to be known by
_FRAME = 6  # rows and columns whose grey levels spread no more belong to a frame
_LEAST = 1 / 4  # what must be left without the frame
_HASHED = 16 * (TURNED + PARTS)  # hexadecimal digits
Span = tuple[float, float]
_SIGNS = np.where(np.arange(_LOW) % 2, -1.0, 1.0)  # what mirroring does to the frequencies along one side


def hashes(picture: Image.Image) -> str:
    """The hashes of an RGB picture, TURNED + PARTS times 64 bits in hex, and its small picture in base64.

    "" for a picture of one shade.
    """
    width, height = (max(1, side // (2 * _THUMB)) for side in picture.size)
    grey = picture.reduce((width, height)).convert("L").resize((_THUMB, _THUMB), Image.Resampling.LANCZOS)
    shades = np.asarray(grey, np.float64)
    if shades.std() < _FLAT:
        return ""
    rows, columns = zip(*_spans(shades), strict=True)
    down, across = (np.stack([_waves(*span) for span in spans]) for spans in (rows, columns))
    low = down @ shades @ across.transpose(0, 2, 1)
    blocks = np.concatenate([_orientations(low[0]), low[1:]]).reshape(-1, _LOW * _LOW)
    ordered = np.sort(blocks, axis=1)
    medians = ordered[:, _LOW * _LOW // 2 - 1 :][:, :2].mean(axis=1, keepdims=True)  # np.median takes far longer
    bits = blocks > medians
    return np.packbits(bits, axis=1).tobytes().hex() + base64.b64encode(grey.tobytes()).decode()


def numbers(texts: Sequence[str]) -> np.ndarray:
    """The hashes of pictures that are not of one shade, by what `hashes` gave, as uint64 (N, TURNED + PARTS)."""
    rows = np.frombuffer(bytes.fromhex("".join(text[:_HASHED] for text in texts)), ">u8").reshape(-1, TURNED + PARTS)
    return rows.astype(np.uint64, order="F")  # one hash of all pictures side by side: they are compared that way


def details(texts: Sequence[str]) -> np.ndarray:
    """The small pictures of the same, uint8 (N, 64, 64)."""
    pixels = b"".join(base64.b64decode(text[_HASHED:]) for text in texts)
    return np.frombuffer(pixels, np.uint8).reshape(-1, _THUMB, _THUMB)


def viewed(small: np.ndarray, view: int) -> np.ndarray:
    """A small picture as the hash at position `view` is of it: turned, or a part of it, float32 (DETAIL, DETAIL)."""
    rows, columns = _spans(small)[max(0, 1 + view - TURNED)]
    seen = _stretched(*rows) @ small.astype(np.float32) @ _stretched(*columns).T
    if view >= TURNED:
        return seen
    turned = seen[:: -1 if view & 2 else 1, :: -1 if view & 1 else 1]
    return turned.T if view & 4 else turned


def _orientations(low: np.ndarray) -> np.ndarray:
    """(8, 8, 8): the frequencies of a picture and of its seven turned and mirrored versions."""
    mirrored = [low, low * _SIGNS, low * _SIGNS[:, None], low * _SIGNS * _SIGNS[:, None]]
    return np.stack([*mirrored, *(block.T for block in mirrored)])


@lru_cache(maxsize=1024)
def _waves(start: float, stop: float) -> np.ndarray:
    """What gives the lowest frequencies of the pixels from start to stop along one side, (8, 64).

    They are brought to 32 pixels as Pillow does it, then transformed (cosine transform, type II; scipy.fft takes longer
    to import than to compute). Both are sums, so that one matrix does it.
    """
    each = Image.fromarray(np.eye(_THUMB, dtype=np.float32))
    scaled = np.asarray(each.resize((_THUMB, _SIDE), Image.Resampling.LANCZOS, (0, start, _THUMB, stop)), np.float64)
    waves: np.ndarray = np.cos(np.pi / _SIDE * np.outer(np.arange(_LOW), np.arange(_SIDE) + 0.5)) @ scaled
    return waves


@lru_cache(maxsize=1024)
def _stretched(start: float, stop: float) -> np.ndarray:
    """What makes DETAIL pixels of those from start to stop along one side, (DETAIL, 64)."""
    each = Image.fromarray(np.eye(_THUMB, dtype=np.float32))
    return np.asarray(each.resize((_THUMB, DETAIL), Image.Resampling.LANCZOS, (0, start, _THUMB, stop)))


def _spans(shades: np.ndarray) -> list[tuple[Span, Span]]:
    """The rows and columns of the whole picture, and of its parts."""
    return [*(_centre(share, len(shades)) for share in (1.0, *_CROPS)), _inside(shades)]


def _centre(share: float, side: int) -> tuple[Span, Span]:
    margin = side * (1 - share) / 2
    return (margin, side - margin), (margin, side - margin)


def _inside(shades: np.ndarray) -> tuple[Span, Span]:
    """The (top, bottom) and (left, right) that are left without rows and columns of one shade at the border."""
    rows, columns = (np.flatnonzero(np.ptp(shades, axis=axis) > _FRAME) for axis in (1, 0))
    if min(len(rows), len(columns)) < _LEAST * len(shades):
        return _centre(1.0, len(shades))
    return (float(rows[0]), float(rows[-1] + 1)), (float(columns[0]), float(columns[-1] + 1))
