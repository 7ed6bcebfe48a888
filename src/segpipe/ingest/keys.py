"""Image keys: the path inside the source without its suffix, made safe for a file name and unique."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from segpipe.data.records import Image

_HASH_DIGITS = (0, 8, 40)  # what a key carries of its path's SHA-1: nothing; if another is the same; if still
_MAX_BYTES = 180  # file systems take names of 255 bytes; hash, suffix and a writer's own mark must fit too


def image_keys(files: Iterable[str]) -> dict[str, str]:
    """Give each POSIX path its key: '/' becomes '__', letters, digits and '-_.' stay, anything else becomes '_'.

    Paths whose keys differ at most in case get '-' and the start of the path's SHA-1 behind them, each of them.
    The result depends on the set of paths only, never on their order.
    """
    paths = sorted(set(files))
    digits = dict.fromkeys(paths, 0)
    while True:
        keys = {path: _key(path, digits[path]) for path in paths}
        alike = Counter(map(_folded, keys.values()))
        clashing = [path for path in paths if alike[_folded(keys[path])] > 1]
        if not clashing:
            return keys
        for path in clashing:
            digits[path] = next((n for n in _HASH_DIGITS if n > digits[path]), digits[path])


def with_keys(images: Sequence[Image]) -> list[Image]:
    """The same images with their keys, made from the file, or from the place where a record names no file."""
    names = [image.file or image.place.replace(".", "_") for image in images]
    keys = image_keys(names)
    return [replace(image, key=keys[name]) for image, name in zip(images, names, strict=True)]


def _key(path: str, digits: int) -> str:
    whole = PurePosixPath(path)
    stem = unicodedata.normalize("NFC", str(whole.with_suffix("")) if whole.name else "_")
    safe = "".join(c if c in "-_." or unicodedata.category(c)[0] in "LMN" else "_" for c in stem.replace("/", "__"))
    cut = safe.encode()[:_MAX_BYTES].decode(errors="ignore")
    visible = "_" + cut[1:] if cut.startswith(".") else cut
    if cut != safe:
        digits = max(digits, _HASH_DIGITS[1])
    return f"{visible}-{_sha1(path)[:digits]}" if digits else visible


def _folded(key: str) -> str:
    return unicodedata.normalize("NFC", key.casefold())


def _sha1(path: str) -> str:
    return hashlib.sha1(path.encode(errors="surrogatepass")).hexdigest()
