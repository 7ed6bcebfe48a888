"""A TIFF file of any bands, which Pillow cannot write."""

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
    apart: bool = False,
    deflated: bool = False,
) -> None:
    """Write (H, W) or (H, W, C) values.

    photometric: 0 white is 0, 1 black is 0, 2 RGB; extra: what the bands after the colours are, 0 data, 1 and 2 alpha;
    order: of the bytes; apart: one band after the other; deflated: compressed.
    """
    cube = np.atleast_3d(values)
    height, width, count = cube.shape
    parts = np.moveaxis(cube, 2, 0) if apart else cube[None]
    strips = [part.astype(cube.dtype.newbyteorder(order)).tobytes() for part in parts]
    strips = [zlib.compress(strip) for strip in strips] if deflated else strips
    entries = {
        256: (_LONG, [width]), 257: (_LONG, [height]), 258: (_SHORT, [8 * cube.itemsize] * count),
        259: (_SHORT, [8 if deflated else 1]), 262: (_SHORT, [photometric]), 273: (_LONG, [0] * len(strips)),
        277: (_SHORT, [count]), 278: (_LONG, [height]), 279: (_LONG, [len(strip) for strip in strips]),
        284: (_SHORT, [2 if apart else 1]), **({338: (_SHORT, [*extra])} if extra else {}),
        339: (_SHORT, [{"u": 1, "i": 2, "f": 3}[cube.dtype.kind]] * count),
    }  # fmt: skip
    start = 8 + len(_directory(entries, order))
    entries[273] = (_LONG, [start + sum(map(len, strips[:i])) for i in range(len(strips))])
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    path.write_bytes(head + _directory(entries, order) + b"".join(strips))


def _directory(entries: dict[int, tuple[tuple[int, str], list[int]]], order: str) -> bytes:
    """The tags, and behind them the values that are longer than 4 bytes."""
    tags, after = struct.pack(f"{order}H", len(entries)), b""
    behind = 8 + 2 + 12 * len(entries) + 4
    for tag, ((kind, letter), numbers) in sorted(entries.items()):
        data = struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
        if len(data) > 4:
            after, data = after + data, struct.pack(f"{order}I", behind + len(after))
        tags += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + data.ljust(4, b"\0")
    return tags + bytes(4) + after
