"""The class table: which name stands for which pixel value, in which colour."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from segpipe.core.errors import UserError

BACKGROUND = "background"
BACKGROUND_INDEX = 0
IGNORE_INDEX = 255
MAX_CLASSES = 255  # 0..254; 255 is IGNORE_INDEX
_IGNORE_COLOUR = (224, 224, 192)  # VOC's "void"


@cache
def voc_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """The first `count` colours of the PASCAL VOC palette (VOCdevkit: VOCcode/VOClabelcolormap.m)."""
    colours = []
    for index in range(count):
        red = green = blue = 0
        for bit in range(8):
            red |= (index >> (3 * bit) & 1) << (7 - bit)
            green |= (index >> (3 * bit + 1) & 1) << (7 - bit)
            blue |= (index >> (3 * bit + 2) & 1) << (7 - bit)
        colours.append((red, green, blue))
    return tuple(colours)


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Class names in the order of their class_index; names[0] is the background."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.names) > MAX_CLASSES:
            raise UserError(
                f"{len(self.names)} classes with background do not fit 8-bit masks (at most {MAX_CLASSES}, "
                f"{IGNORE_INDEX} is ignore); list fewer under ingest.classes in params.yaml"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def colours(self) -> list[tuple[int, int, int]]:
        """256 RGB colours, by pixel value; value 255 (ignore) is VOC's void."""
        return [*voc_colours(IGNORE_INDEX), _IGNORE_COLOUR]

    @property
    def png_palette(self) -> list[int]:
        """768 numbers: the colours flat, as Pillow's putpalette takes them."""
        return [part for colour in self.colours for part in colour]

    def write(self, path: Path) -> None:
        """Write the table as JSON."""
        path.write_bytes(self.encoded())

    def encoded(self) -> bytes:
        """The table as JSON: name, class_index and colour of each class, and the ignore value."""
        rows = [{"class_index": i, "name": n, "colour": list(self.colours[i])} for i, n in enumerate(self.names)]
        document = {"classes": rows, "ignore_index": IGNORE_INDEX}
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def read(cls, path: Path) -> "ClassTable":
        """Read what `write` wrote."""
        rows = json.loads(path.read_text(encoding="utf-8"))["classes"]
        return cls(tuple(row["name"] for row in rows))
