"""TIFF files with any bands, which Pillow cannot write."""

import struct
import zlib
from pathlib import Path

import numpy as np

_SHORT, _LONG = (3, "H"), (4, "I")


def put(
    path: Path,
    values: np.ndarray,
    photometric: int,
    extra: tuple[int, ...] = (),
    order: str = "<",
    planar: bool = False,
    deflated: bool = False,
) -> None:
    """Write values, (H, W) or (H, W, C), of any integer or float type.

    photometric: 0: white is 0; 1: black is 0; 2: RGB.
    extra: type of each band after the colours, 0: data; 1, 2: alpha.
    order: byte order, "<" or ">"; planar: bands one after the other; deflated: compressed.
    """
    cube = np.atleast_3d(values)
    height, width, count = cube.shape
    parts = np.moveaxis(cube, 2, 0) if planar else cube[None]
    strips = [part.astype(cube.dtype.newbyteorder(order)).tobytes() for part in parts]
    strips = [zlib.compress(strip) for strip in strips] if deflated else strips
    entries = {
        256: (_LONG, [width]), 257: (_LONG, [height]), 258: (_SHORT, [8 * cube.itemsize] * count),
        259: (_SHORT, [8 if deflated else 1]), 262: (_SHORT, [photometric]), 273: (_LONG, [0] * len(strips)),
        277: (_SHORT, [count]), 278: (_LONG, [height]), 279: (_LONG, [len(strip) for strip in strips]),
        284: (_SHORT, [2 if planar else 1]), **({338: (_SHORT, [*extra])} if extra else {}),
        339: (_SHORT, [{"u": 1, "i": 2, "f": 3}[cube.dtype.kind]] * count),
    }  # fmt: skip
    start = 8 + len(_directory(entries, order))
    entries[273] = (_LONG, [start + sum(map(len, strips[:i])) for i in range(len(strips))])
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    path.write_bytes(head + _directory(entries, order) + b"".join(strips))


def _directory(entries: dict[int, tuple[tuple[int, str], list[int]]], order: str) -> bytes:
    """The tags, then the values that are longer than 4 bytes."""
    tags, after = struct.pack(f"{order}H", len(entries)), b""
    values_start = 8 + 2 + 12 * len(entries) + 4
    for tag, ((kind, letter), numbers) in sorted(entries.items()):
        data = struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
        if len(data) > 4:
            after, data = after + data, struct.pack(f"{order}I", values_start + len(after))
        tags += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + data.ljust(4, b"\0")
    return tags + bytes(4) + after
