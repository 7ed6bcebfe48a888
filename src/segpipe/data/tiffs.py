"""The bands and pages that a TIFF file declares, and the layouts that Pillow would read wrongly.

Source of the tags and their values: TIFF 6.0, sections 8 and 18.
"""

import io
from collections.abc import Iterator
from typing import Any

from PIL.ImageFile import _Tile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

File = io.BytesIO | io.BufferedReader
_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR, _EXTRA, _FORMAT = 254, 258, 259, 262, 277, 284, 338, 339
_REDUCED = 0b101  # bits of the subfile type: a smaller version of another page, or its mask
_UNCOMPRESSED, _PLANES, _WHITE_IS_0, _RGB, _UNSIGNED, _UNASSOCIATED = 1, 2, 0, 2, 1, 2
_ALPHA = (1, 2)  # types of extra samples: associated, unassociated; all others are data
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # bands by photometric interpretation, of those that Pillow reads
_NUMBERS = {1: "", 2: "signed ", 3: "floating-point "}
_MAX_PAGES = 10_000  # pages beyond it are not counted


def set_raw_modes(image: TiffImageFile) -> bool:
    """Make Pillow read all bands unchanged; call this before the image is loaded. Returns False if Pillow cannot.

    By default Pillow divides colours by a fourth band that is declared as associated alpha, and reads 16-bit bands
    that are stored one after the other as 8-bit bands. If those are compressed, Pillow ignores these settings.
    """
    tags = image.tag_v2
    modes = [raw_mode(tile) for tile in image.tile]
    wanted = [raw.replace("a", "A") for raw in modes] if image.mode == "RGBA" else modes
    if tags.get(_PLANAR) == _PLANES and tags.get(_COMPRESSION, _UNCOMPRESSED) != _UNCOMPRESSED:
        is_divided = image.mode == "RGBA" and _extra(tags)[:1] != (_UNASSOCIATED,)
        return len(image.getbands()) == 1 or (bits(tags) == 8 and not is_divided)
    if tags.get(_PLANAR) == _PLANES and tags.get(_SAMPLES, 1) > 1:
        if not set(wanted) <= set(image.getbands()):
            return False
        order = "L" if tags.prefix == b"II" else "B"
        wanted = [f"{raw};16{order}" for raw in wanted] if bits(tags) == 16 else wanted
    image.tile = [read_as(tile, raw) for tile, raw in zip(image.tile, wanted, strict=True)]
    return True


def raw_mode(tile: _Tile) -> str:
    """Pillow's name for the layout of a tile's values in the file, such as "I;16B"."""
    first = tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args
    return first if isinstance(first, str) else ""


def read_as(tile: _Tile, raw: str) -> _Tile:
    """The tile with another raw mode."""
    return tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw)


def declares_alpha(tags: ImageFileDirectory_v2) -> bool:
    """Whether the first band after the colours is declared as transparency."""
    return _extra(tags)[:1] in [(kind,) for kind in _ALPHA]


def bands(tags: ImageFileDirectory_v2) -> tuple[int, int]:
    """The number of bands that are colours or grey, and the number of all bands."""
    return _COLOURS.get(tags.get(_PHOTOMETRIC, _WHITE_IS_0), 3), tags.get(_SAMPLES, 1)


def bits(tags: ImageFileDirectory_v2) -> int:
    """Bits per value of the first band."""
    return int(_first(tags.get(_BITS, 1)))


def is_unsigned(tags: ImageFileDirectory_v2) -> bool:
    """Whether the image's values are unsigned integers."""
    return bool(_first(tags.get(_FORMAT, _UNSIGNED)) == _UNSIGNED)


def is_white_0(tags: ImageFileDirectory_v2) -> bool:
    """Whether the lowest value is white, as in many X-ray images."""
    return tags.get(_PHOTOMETRIC) == _WHITE_IS_0


def pages(image: TiffImageFile, file: File) -> int:
    """The number of pages: the first, which is used, and all others that are not a smaller version of another page."""
    if not image.tag_v2.next:
        return 1
    kinds = [tags.get(_SUBFILE, 0) for tags in _directories(file)]
    return 1 + sum(not (isinstance(kind, int) and kind & _REDUCED) for kind in kinds[1:])


def layout(file: File) -> str:
    """The layout of an unsupported TIFF file in words; "" if it is not a TIFF file."""
    try:
        tags = next(_directories(file))
    except (StopIteration, SyntaxError, ValueError):  # another format, or a damaged file
        return ""
    kind = f"{bits(tags)}-bit {_NUMBERS.get(_first(tags.get(_FORMAT, _UNSIGNED)), 'complex ')}values"
    count = tags.get(_SAMPLES, 1)
    if count == 1:
        return f"TIFF images of {kind} in one band"
    colours = "the first three red, green and blue" if tags.get(_PHOTOMETRIC) == _RGB else "none declared as a colour"
    order = " and stored band after band" if tags.get(_PLANAR) == _PLANES else ""
    return f"TIFF images of {kind} in {count} bands, {colours}{order},"


def _directories(file: File) -> Iterator[ImageFileDirectory_v2]:
    """The tags of each page."""
    file.seek(0)
    head = file.read(8)
    tags = ImageFileDirectory_v2(head + file.read(8) if head[2:3] == b"+" else head)  # BigTIFF
    seen: set[int] = set()
    while tags.next and tags.next not in seen and len(seen) < _MAX_PAGES:
        seen.add(tags.next)
        file.seek(tags.next)
        tags.load(file)
        yield tags


def _extra(tags: ImageFileDirectory_v2) -> tuple[int, ...]:
    return tuple(tags.get(_EXTRA, ()))


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value else value
