"""Image keys: the unique names of images, safe as names of files."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from segpipe.data.records import Image

_HASH_DIGITS = (0, 8, 40)  # digits of the path's SHA-1 in a key: none; for equal keys; if these are equal, too
_MAX_KEY_BYTES = 180  # file systems allow names of 255 bytes; the hash and suffixes of output files must fit too


def with_keys(images: Sequence[Image]) -> list[Image]:
    """The images with their keys, made from the file, or from the place of a record that names no file."""
    names = [image.file or image.place.replace(".", "_") for image in images]
    keys = image_keys(names)
    return [replace(image, key=keys[name]) for image, name in zip(images, names, strict=True)]


def image_keys(files: Iterable[str]) -> dict[str, str]:
    """The key of each POSIX path: the path without suffix, made safe for a file name, and unique.

    '/' becomes '__'; letters, digits and '-_.' stay; anything else becomes '_'. Paths whose keys are equal, or differ
    only in case, get '-' and the start of the path's SHA-1. The keys do not depend on the order of the paths.

    >>> image_keys(["street/a b.jpg", "c.png"])
    {'c.png': 'c', 'street/a b.jpg': 'street__a_b'}
    """
    paths = sorted(set(files))
    digits = dict.fromkeys(paths, 0)
    while True:
        keys = {path: _key(path, digits[path]) for path in paths}
        count = Counter(map(_folded, keys.values()))
        clashing = [path for path in paths if count[_folded(keys[path])] > 1]
        if not clashing:
            return keys
        for path in clashing:
            digits[path] = next((n for n in _HASH_DIGITS if n > digits[path]), digits[path])


def _key(path: str, digits: int) -> str:
    whole = PurePosixPath(path)
    stem = unicodedata.normalize("NFC", str(whole.with_suffix("")) if whole.name else "_")
    safe = "".join(c if c in "-_." or unicodedata.category(c)[0] in "LMN" else "_" for c in stem.replace("/", "__"))
    cut = safe.encode()[:_MAX_KEY_BYTES].decode(errors="ignore")
    visible = "_" + cut[1:] if cut.startswith(".") else cut
    if cut != safe:
        digits = max(digits, _HASH_DIGITS[1])
    return f"{visible}-{_sha1(path)[:digits]}" if digits else visible


def _folded(key: str) -> str:
    return unicodedata.normalize("NFC", key.casefold())


def _sha1(path: str) -> str:
    return hashlib.sha1(path.encode(errors="surrogatepass")).hexdigest()
