"""The search for the photo that a record of an annotation file names.

Names are looked up in the list of the source's files, so no name leads outside the source. The rules, in this order:

1. The path as written, from each folder where the photo may be. Several records may mean one file in this way. A file
   further away from the annotation file than the photos of its other records is not used (`are_strays`).
2. The path with other upper and lower case.
3. A file whose folders are equal to the written ones, from the right and as far as both have folders.
4. The only file of that name, in any folder.

A file found by rules 2 to 4 belongs to one name only: the one that matches by the strictest rule. If two names match
equally well, neither gets it.
"""

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Note
from segpipe.data.split_words import split_named
from segpipe.ingest.source import Source, folder_of, with_parents

FOUND_ELSEWHERE, OTHER_FOLDER = "found_elsewhere", "other_folder"
_SHOWN = 3
_SERVED = re.compile(r".*\?d=")  # Label Studio's /data/local-files/?d=PATH
_ABSOLUTE = re.compile(r"[/~]|[^/]*:/")
_OTHER_CASE, _EQUAL_FOLDERS, _EQUAL_NAME = range(3)  # ranks of the rules 2, 3 and 4
Origin = str | tuple[str | None, ...]
Meaning = tuple[Origin, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoName:
    """The name that a record writes for its photo."""

    path: str  # as written
    folders: tuple[str, ...]  # where the photo may be; the first is the annotation file's folder
    place: str  # of the record, for messages
    origin: Origin  # equal for records whose relative paths start from the same folder

    @property
    def meaning(self) -> Meaning:
        """Equal for names that mean the same file, wherever that file is."""
        path = _plain(self.path)
        return ("" if _ABSOLUTE.match(path) else self.origin), path


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A file that is not where the record says, with a note about it."""

    file: str
    note: Note


@dataclass(frozen=True, slots=True)
class _Claim:
    """The files that a name may mean, by the strictest rule that finds any."""

    rank: tuple[int, ...]  # lower is better
    files: Sequence[str]


class PhotoFinder:
    """Looks up the files of one source by path and by name."""

    def __init__(self, source: Source, others: Container[str] = ()) -> None:
        """others: image files that are not photos, such as masks."""
        files = [*source.files, *source.refused]
        self._files = frozenset(files)
        self._by_plain: dict[str, list[str]] = defaultdict(list)
        for file in files:
            self._by_plain[_plain(file)].append(file)
        self._photos = [file for file in source.image_files if file not in others]
        self._within: dict[str, Mapping[str, Sequence[str]]] = {}

    def as_written(self, name: str, folders: Iterable[str]) -> str | None:
        """The file with the path `name` below the first possible of `folders`; refused files are included.

        If there is none, backslashes count as '/', percent-encoding is decoded, and letters are composed (NFC).
        """
        folders = list(folders)
        for path in dict.fromkeys([name, name.replace("\\", "/")]):
            for file in _paths(path, folders):
                if file in self._files:
                    return file
        for file in _paths(_plain(name), folders):
            if (equal := self._by_plain.get(file)) and len(equal) == 1:
                return equal[0]
        return None

    def similar(
        self, names: Sequence[PhotoName | None], written: Mapping[str, str]
    ) -> list[FoundPhoto | AnnotationError | None]:
        """For each name that does not exist as written, the file that it means, or the error.

        names: None has the result None.
        written: the files that records name as written, with the place of one such record.
        """
        claims = [self._claim(name) if name else None for name in names]
        unique = [(c.files[0], c.rank, n) for n, c in zip(names, claims, strict=True) if n and c and len(c.files) == 1]
        best: dict[str, tuple[int, ...]] = {}
        for file, rank, _ in unique:
            best[file] = min(best.get(file, rank), rank)
        rivals: dict[str, dict[Meaning, str]] = defaultdict(dict)
        for file, rank, name in unique:
            if rank == best[file]:
                rivals[file].setdefault(name.meaning, name.place)
        return [
            _granted(name, claim, rivals, written) if name and claim else None
            for name, claim in zip(names, claims, strict=True)
        ]

    def _claim(self, name: PhotoName) -> _Claim:
        path = posixpath.normpath(_plain(name.path))
        for file in _paths(path, name.folders):
            if equal := self._by_path.get(file.casefold()):
                return _Claim((_OTHER_CASE,), equal)
        parts = path_inside(path).split("/")
        bases = with_parents(name.folders[0])
        for start in range(len(parts)):
            if start and "/".join(parts[start - 1 : -1]).casefold() in self._folder_ends:
                break  # the folder exists, but not the file in it
            end = "/".join(parts[start:])
            depth, files = self._nearest(end, bases) if start == 0 else self._at(end, bases)
            if files:
                alike = [file for file in files if f"/{_plain(file)}".endswith(f"/{end}")]
                return _Claim((_EQUAL_FOLDERS, start - len(parts), -depth, not alike), alike or files)
        return _Claim((_EQUAL_NAME,), self._by_end.get(parts[-1].casefold(), ()))

    def _nearest(self, end: str, bases: Sequence[str]) -> tuple[int, Sequence[str]]:
        """The depth of the first of `bases` that contains image files whose path ends with `end`, and these files."""
        folded = end.casefold()
        if folded not in self._within:
            within: dict[str, list[str]] = defaultdict(list)
            for file in self._by_end.get(folded, ()):
                for folder in with_parents(folder_of(file)):
                    within[folder].append(file)
            self._within[folded] = within
        return _first(self._within[folded], bases, bases)

    def _at(self, end: str, bases: Sequence[str]) -> tuple[int, Sequence[str]]:
        """The depth of the first of `bases` below which the path `end` exists, and its files."""
        return _first(self._by_path, [file.casefold() for file in _paths(end, bases)], bases)

    @cached_property
    def _by_path(self) -> Mapping[str, Sequence[str]]:
        """The image files by their path in lower case."""
        files_of: dict[str, list[str]] = defaultdict(list)
        for file in self._photos:
            files_of[_plain(file).casefold()].append(file)
        return files_of

    @cached_property
    def _by_end(self) -> Mapping[str, Sequence[str]]:
        """The image files by each end of their path in lower case: a/b/c.jpg by a/b/c.jpg, b/c.jpg and c.jpg."""
        files_of: dict[str, list[str]] = defaultdict(list)
        for path, files in self._by_path.items():
            for end in _ends(path):
                files_of[end] += files
        return files_of

    @cached_property
    def _folder_ends(self) -> Container[str]:
        folders = {folder for path in self._by_path for folder in with_parents(folder_of(path))}
        return {end for folder in folders for end in _ends(folder)}


def _granted(
    name: PhotoName, claim: _Claim, rivals: Mapping[str, Mapping[Meaning, str]], written: Mapping[str, str]
) -> FoundPhoto | AnnotationError:
    """The file of a claim, if there is only one and no other record may mean it."""
    path = _plain(name.path)
    written_as = _beside(name) if path in claim.files else name.path  # the file exists, but too far up: see are_strays
    several = f"{len(claim.files)} files ({', '.join(claim.files[:_SHOWN])})"
    missing, remedy = f"no file {written_as!r} in the source", "add the photo or delete its record"
    if len(claim.files) != 1:
        if claim.files and claim.rank[0] != _EQUAL_NAME:
            problem = f"{name.path!r} matches {several}; write its folder in the record"
        elif claim.files:
            problem = f"{missing}, but {several} in other folders have its name; correct its folder in the record"
        else:
            problem = f"{missing}; {remedy}"
        return AnnotationError(problem, "missing_file")
    (file,) = claim.files
    others = [place for meaning, place in rivals[file].items() if meaning != name.meaning]
    if other := written.get(file) or next(iter(others), ""):
        problem = f"{missing}; {file} has its name, but {other} may mean that file too; {remedy}"
        return AnnotationError(problem, "missing_file")
    if claim.rank[0] == _EQUAL_NAME:
        return FoundPhoto(file, (OTHER_FOLDER, f"written {name.path!r}; the only file of that name is {file}"))
    return FoundPhoto(file, found_elsewhere(written_as, file))


def are_strays(names: Sequence[PhotoName], files: Sequence[str]) -> list[bool]:
    """Whether each file is further up from its annotation file than photos of other records in the same folder.

    Example: if the records of video1/x.json find video1/b.jpg, then a.jpg above video1 is hardly their a.jpg. A file
    whose path starts from the first folder of a name is not a stray, however far up it is.

    files: by name; "" if none was found.
    """
    steps = [_steps_up(name.folders[0], file) if file else 0 for name, file in zip(names, files, strict=True)]
    nearest: dict[str, int] = {}
    for name, file, up in zip(names, files, steps, strict=True):
        if file:
            nearest[name.folders[0]] = min(up, nearest.get(name.folders[0], up))
    return [
        file != "" and up > nearest[name.folders[0]] and _beside(name) != _plain(file)
        for name, file, up in zip(names, files, steps, strict=True)
    ]


def found_elsewhere(written: str, file: str) -> Note:
    """The note on a file that is not where its record says."""
    return FOUND_ELSEWHERE, f"written {written!r}, found as {file}"


def origin_of(annotation_file: str) -> Origin:
    """The origin of the paths in an annotation file: its folder and its split."""
    return folder_of(annotation_file), split_named(annotation_file)


def path_inside(name: str) -> str:
    """The name as a path below the source.

    >>> path_inside("C:\\\\photos\\\\..\\\\a.jpg"), path_inside("/home/me/a.jpg")
    ('photos/a.jpg', 'home/me/a.jpg')
    """
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", ".", "..") and not part.endswith(":"))


def _first(table: Mapping[str, Sequence[str]], keys: Sequence[str], bases: Sequence[str]) -> tuple[int, Sequence[str]]:
    """The depth of the base of the first of `keys` that is in the table, and its entry."""
    return next(((len(bases) - number, table[key]) for number, key in enumerate(keys) if key in table), (0, ()))


def _ends(path: str) -> Iterator[str]:
    """The path without its first 0, 1, 2 ... parts."""
    parts = path.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _paths(path: str, folders: Iterable[str]) -> Iterator[str]:
    """The path from each folder; nothing for an absolute path, or one that ends with '.' or '..'."""
    if not path.startswith("/") and posixpath.basename(path) not in (".", ".."):
        yield from (posixpath.normpath(f"{folder}/{path}") for folder in folders)


def _beside(name: PhotoName) -> str:
    """The path from the first folder; "" if there is none."""
    return next(_paths(_plain(name.path), name.folders[:1]), "")


def _steps_up(folder: str, file: str) -> int:
    """The number of steps up from `folder` to the first folder that contains the file."""
    above = set(with_parents(folder_of(file)))
    return next(steps for steps, parent in enumerate(with_parents(folder)) if parent in above)


def _plain(path: str) -> str:
    """The path with '/' between its parts, percent-encoding decoded and letters composed (NFC)."""
    return unicodedata.normalize("NFC", _SERVED.sub("", unquote(path.replace("\\", "/"))))
