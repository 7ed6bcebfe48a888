"""Which file of the source a name in an annotation file means.

Names are only looked up in the list of the source's own files, so no name, however written, leads outside it.
"""

import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Container, Iterable
from urllib.parse import unquote

from segpipe.annotations.source import Source
from segpipe.errors import AnnotationError

_SHOWN = 3


class Finder:
    """The files of one source by path and by name."""

    def __init__(self, source: Source) -> None:
        self._by_path = {_composed(file): file for file in [*source.files, *source.refused]}
        self._by_end: dict[str, list[str]] = defaultdict(list)
        for file in source.pictures:
            for end in _ends(file):
                self._by_end[end].append(file)

    def exactly(self, name: str, folders: Iterable[str]) -> str | None:
        """The file, refused ones included, that `name` means as written, from the first of `folders` that holds it."""
        folders = list(folders)
        for path in _spellings(name):
            if posixpath.basename(path) in (".", ".."):
                continue  # a folder
            for folder in folders:
                candidate = _composed(posixpath.normpath(posixpath.join(folder, path)))
                if candidate in self._by_path:
                    return self._by_path[candidate]
        return None

    def by_name(self, name: str, taken: Container[str]) -> str:
        """The one picture of that name in any folder, not in `taken`; of several, the one whose folders agree best.

        Raises AnnotationError (missing_file) if there is none or more than one.
        """
        found = next(filter(None, (self._best(path, taken) for path in _spellings(name))), [])
        if len(found) == 1:
            return found[0]
        if not found:
            raise AnnotationError(
                f"no file {name!r} in the source; put the picture there or remove its record", "missing_file"
            )
        several = ", ".join(found[:_SHOWN])
        raise AnnotationError(
            f"{name!r} may be any of {len(found)} files ({several}); give its folder in the record", "missing_file"
        )

    def _best(self, path: str, taken: Container[str]) -> list[str]:
        """The pictures, not in `taken`, that share most parts with `path`, counted from the last backwards."""
        untaken = ([file for file in self._by_end.get(end, ()) if file not in taken] for end in _ends(path))
        return next(filter(None, untaken), [])


def inside(name: str) -> str:
    """`name` as a path below the source: '/' between its parts, no drive, no '..', not absolute."""
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", ".", "..") and not part.endswith(":"))


def _spellings(name: str) -> list[str]:
    """The name with '/' between its parts, and with its percent signs decoded as a last resort."""
    slashed = name.replace("\\", "/")
    return list(dict.fromkeys([slashed, unquote(slashed)]))


def _ends(path: str) -> list[str]:
    """The path and what is left of it without its first folder, its first two ...; small letters."""
    parts = _composed(path).casefold().split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)
