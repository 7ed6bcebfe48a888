"""An open image as 8-bit RGB, and the changes that this makes: bit depth, bands, transparency, pages."""

import io
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile, _Tile
from PIL.MpoImagePlugin import MpoImageFile
from PIL.TiffImagePlugin import TiffImageFile

from segpipe.data import tiffs

Noted = tuple[str, str, str]  # an image's name, and the code and detail of one of its changes
File = io.BytesIO | io.BufferedReader
_SWAPPED = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}  # N: the byte order of this machine
_PAGE = {"TIFF": "page", "MPO": "image"}
_SAMPLE = 1_000_000  # pixels on which the range of values is measured
_OUTLIERS = 10_000  # one in 10,000 values at either end is left out of the range: dead and hot pixels
_STRIP = 1 << 18  # pixels scaled at a time


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the used pixels and those of the file."""

    code: str  # of a finding
    detail: str  # the finding's text


def summary_lines(noted: Iterable[Noted]) -> list[str]:
    """One line per code, with the first image that has it."""
    of_code: dict[str, list[str]] = {}
    for name, code, detail in noted:
        of_code.setdefault(code, []).append(f"{name}: {detail}")
    return [names[0] if len(names) == 1 else f"{len(names)} images, such as {names[0]}" for names in of_code.values()]


def raw_mode(image: ImageFile) -> str:
    """Pillow's name for the layout of the values in the file; call this before the image is loaded."""
    return tiffs.raw_mode(image.tile[0]) if image.tile else ""


def to_rgb(image: ImageFile, file: File, raw: str) -> tuple[Image.Image, tuple[Change, ...]]:
    """All pixels as an image of mode RGB, with transparent pixels on white, and how it differs from the file.

    raw: the image's `raw_mode`. A fourth band counts as transparency only if some pixel is opaque, and if all values
    (TIFF) or most values (other formats) are 0 or 255: GDAL, OpenCV and Pillow declare any fourth band as transparency,
    even near infrared.
    """
    count = _pages(image, file)
    page = _PAGE.get(str(image.format), "frame")
    changes = [Change("first_page_only", f"only {page} 1 of {count} is used")] if count > 1 else []
    alpha = _alpha(image)
    colours, scaled = _colours(image, file, raw)
    changes += scaled
    is_alpha_used = alpha is None or alpha.getextrema() == (255, 255)
    if alpha and not is_alpha_used and _is_transparency(image, alpha):
        colours, is_alpha_used = _on_white(colours, alpha), True
        changes.append(Change("laid_on_white", "its transparent pixels are shown on white"))
    used, count = _bands(image)
    used += bool(alpha) and is_alpha_used
    if count > used:
        kept = "band 1 is" if used == 1 else f"bands 1 to {used} are"
        changes.append(Change("bands_not_used", f"of its {count} bands only {kept} used"))
    return colours, tuple(changes)


def _pages(image: ImageFile, file: File) -> int:
    """The number of pages, frames or images, without previews of the first."""
    if isinstance(image, TiffImageFile):
        return tiffs.pages(image, file)
    if isinstance(image, MpoImageFile):  # types: CIPA DC-007, 5.2.3.3.1
        types = [str(entry["Attribute"].get("MPType")) for entry in (image.mpinfo or {}).get(0xB002, [])]
        return max(1, sum(kind.startswith("Multi-Frame") for kind in types))
    return int(getattr(image, "n_frames", 1))


def _bands(image: ImageFile) -> tuple[int, int]:
    """The number of bands that are colours or grey, and the number of all bands."""
    if isinstance(image, TiffImageFile):
        return tiffs.bands(image.tag_v2)
    count = len(image.getbands())
    return count - _has_alpha_band(image), count


def _alpha(image: ImageFile) -> Image.Image | None:
    """The band that may be transparency, or None."""
    if _has_alpha_band(image):
        return image.getchannel(len(image.getbands()) - 1)
    if "transparency" in image.info and not _is_deep_grey(image):
        return image.convert("RGBA").getchannel("A")
    return None


def _has_alpha_band(image: ImageFile) -> bool:
    return image.mode in ("RGBA", "LA", "La", "PA")


def _is_transparency(image: ImageFile, alpha: Image.Image) -> bool:
    if not _has_alpha_band(image):
        return True
    counts, pixels = alpha.histogram(), alpha.width * alpha.height
    if not isinstance(image, TiffImageFile):
        return counts[255] > 0 and 2 * (counts[0] + counts[255]) >= pixels
    is_mask = counts[0] + counts[255] == pixels and counts[255] > 0
    return is_mask and tiffs.declares_alpha(image.tag_v2)


def _on_white(colours: Image.Image, alpha: Image.Image) -> Image.Image:
    white = Image.new("RGB", colours.size, "white")
    white.paste(colours, mask=alpha)
    return white


def _colours(image: ImageFile, file: File, raw: str) -> tuple[Image.Image, list[Change]]:
    """The colours or grey values without the other bands, and how they are scaled."""
    if _is_deep_grey(image):
        return _scaled((image,), *_meaning(image, raw))
    if ";16" in raw and image.mode in ("RGB", "RGBA") and not raw.startswith("LA"):
        return _scaled((image, _low_bytes(file)), 16)
    colours = image.getchannel(0) if image.mode == "La" else image
    changes = [Change("scaled_to_8_bit", "its 16-bit values are cut to their upper 8 bits")] if ";16" in raw else []
    return colours if colours.mode == "RGB" else colours.convert("RGB"), changes


def _is_deep_grey(image: ImageFile) -> bool:
    return image.mode == "I" or image.mode.startswith("I;16")


def _meaning(image: ImageFile, raw: str) -> tuple[int, bool, bool]:
    """The bits of grey values, whether 0 is white, and whether they are unsigned but Pillow reads them as signed."""
    if not isinstance(image, TiffImageFile):
        return 16, False, False
    return tiffs.bits(image.tag_v2), tiffs.is_white_0(image.tag_v2), raw == "I;32N"


def _low_bytes(file: File) -> Image.Image:
    file.seek(0)
    image = Image.open(file)
    if isinstance(image, TiffImageFile):
        tiffs.set_raw_modes(image)
    image.tile = [_swapped(tile) for tile in image.tile]
    image.load()
    return image


def _swapped(tile: _Tile) -> _Tile:
    """The tile with the bytes of each value swapped."""
    raw = tiffs.raw_mode(tile)
    return tiffs.read_as(tile, raw[:-1] + _SWAPPED[raw[-1]])


def _scaled(
    parts: Sequence[Image.Image], bits: int, white_0: bool = False, unsigned_32: bool = False
) -> tuple[Image.Image, list[Change]]:
    """Values of more than 8 bits as an image of mode RGB: the range of nearly all of them is scaled to 0..255.

    parts: the values, or their upper and lower bytes. A range of fewer than 256 values is only shifted.
    """
    width, height = parts[0].size
    step = max(1, math.ceil(math.sqrt(width * height / _SAMPLE)))
    sample_wh = (max(1, width // step), max(1, height // step))
    sample = _values([part.resize(sample_wh, Image.Resampling.NEAREST) for part in parts], unsigned_32)
    ordered = np.sort(sample, axis=None, kind="stable")
    cut = len(ordered) // _OUTLIERS
    low, high = int(ordered[cut]), int(ordered[-1 - cut])
    if low >= 0 and high <= 255:  # all are 8-bit values
        low, high = 0, 255
    span = max(high - low, 255)
    wide = np.uint32 if sample.dtype.itemsize == 2 else np.int64  # has room for 255 times a value
    # to save memory the result overwrites the lower bytes: each strip is read before it is written
    scaled = parts[-1] if parts[-1].mode == "RGB" else Image.new("RGB", (width, height))
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        values = _values([part.crop(box) for part in parts], unsigned_32).clip(low, high).astype(wide) - low
        levels = ((values * 255 + span // 2) // span).astype(np.uint8)
        scaled.paste(Image.fromarray(255 - levels if white_0 else levels), box)
    return scaled, [Change("scaled_to_8_bit", f"its {bits}-bit values from {low} to {high} are scaled to 0 to 255")]


def _values(parts: Sequence[Image.Image], unsigned_32: bool) -> np.ndarray:
    """The values of parts of equal size, (h, w) or (h, w, 3)."""
    if len(parts) == 1:
        values = np.asarray(parts[0])
        return values.view(np.uint32) if unsigned_32 else values
    upper, lower = (np.asarray(part)[..., :3].astype(np.uint16) for part in parts)
    return upper << 8 | lower
