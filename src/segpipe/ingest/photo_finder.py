"""Which file of the source a name in an annotation file means.

Names are only looked up in the list of the source's files, so no name, however written, leads outside it. The path as
written counts first, from each folder where it may be; several records may name a file so, but none whose neighbours
are found nearer to the annotation file. For all that is not found so, the stricter rule before the looser: the path in
other cases of letters; the file whose folders agree with the written ones, from the right and as far as both have some;
the only file of that name, although its folder is another. A file found so goes to one name: to the one with the best
claim, or, where two are equal, to neither.
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
_CASE, _FITS, _ONLY = range(3)
Origin = str | tuple[str | None, ...]
Meaning = tuple[Origin, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoName:
    """How a record names its photograph.

    path: as written; folders: where it may be, the annotation file's first; place: where the record is; origin: what
    relative paths start from, equal for records that mean the same file by the same path.
    """

    path: str
    folders: tuple[str, ...]
    place: str
    origin: Origin

    @property
    def meaning(self) -> Meaning:
        """Equal for records that mean the same file, wherever it is."""
        path = _plain(self.path)
        return ("" if _ABSOLUTE.match(path) else self.origin), path


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A file that is not where the record says, and what is worth knowing of that."""

    file: str
    note: Note


@dataclass(frozen=True, slots=True)
class _Claim:
    """The files that a name may mean by the strictest rule that has any. rank: the lower, the better."""

    rank: tuple[int, ...]
    files: Sequence[str]


class PhotoFinder:
    """The files of one source by path and by name. others: pictures that are no photographs."""

    def __init__(self, source: Source, others: Container[str] = ()) -> None:
        files = [*source.files, *source.refused]
        self._files = frozenset(files)
        self._by_plain: dict[str, list[str]] = defaultdict(list)
        for file in files:
            self._by_plain[_plain(file)].append(file)
        self._photos = [file for file in source.image_files if file not in others]
        self._within: dict[str, Mapping[str, Sequence[str]]] = {}

    def as_written(self, name: str, folders: Iterable[str]) -> str | None:
        """The file, refused ones included, that `name` means as written, from the first of `folders` that holds it.

        Separators, percent signs and the form of composed letters may be others where no file has these.
        """
        folders = list(folders)
        for path in dict.fromkeys([name, name.replace("\\", "/")]):
            for file in _paths(path, folders):
                if file in self._files:
                    return file
        for file in _paths(_plain(name), folders):
            if (found := self._by_plain.get(file)) and len(found) == 1:
                return found[0]
        return None

    def similar(
        self, names: Sequence[PhotoName | None], written: Mapping[str, str]
    ) -> list[FoundPhoto | AnnotationError | None]:
        """The picture that each name means though it is not there as written, or why there is none; None for None.

        written: the files that records name as written, each with the place of such a record.
        """
        claims = [self._claim(name) if name else None for name in names]
        sure = [(c.files[0], c.rank, n) for n, c in zip(names, claims, strict=True) if n and c and len(c.files) == 1]
        best: dict[str, tuple[int, ...]] = {}
        for file, rank, _ in sure:
            best[file] = min(best.get(file, rank), rank)
        rivals: dict[str, dict[Meaning, str]] = defaultdict(dict)
        for file, rank, name in sure:
            if rank == best[file]:
                rivals[file].setdefault(name.meaning, name.place)
        return [
            _granted(name, claim, rivals, written) if name and claim else None
            for name, claim in zip(names, claims, strict=True)
        ]

    def _claim(self, name: PhotoName) -> _Claim:
        path = posixpath.normpath(_plain(name.path))
        for file in _paths(path, name.folders):
            if found := self._by_path.get(file.casefold()):
                return _Claim((_CASE,), found)
        parts = path_inside(path).split("/")
        bases = with_parents(name.folders[0])
        for start in range(len(parts)):
            if start and "/".join(parts[start - 1 : -1]).casefold() in self._folder_ends:
                break  # the folder is there, without the file
            end = "/".join(parts[start:])
            depth, found = self._nearest(end, bases) if start == 0 else self._at(end, bases)
            if found:
                alike = [file for file in found if f"/{_plain(file)}".endswith(f"/{end}")]
                return _Claim((_FITS, start - len(parts), -depth, not alike), alike or found)
        return _Claim((_ONLY,), self._by_end.get(parts[-1].casefold(), ()))

    def _nearest(self, end: str, bases: Sequence[str]) -> tuple[int, Sequence[str]]:
        """The pictures whose path ends so, of the first of `bases` that holds any; and how deep that is."""
        folded = end.casefold()
        if folded not in self._within:
            within: dict[str, list[str]] = defaultdict(list)
            for file in self._by_end.get(folded, ()):
                for folder in with_parents(folder_of(file)):
                    within[folder].append(file)
            self._within[folded] = within
        return _first(self._within[folded], bases, bases)

    def _at(self, end: str, bases: Sequence[str]) -> tuple[int, Sequence[str]]:
        """The pictures of that path in the first of `bases` that has any; and how deep that is."""
        return _first(self._by_path, [file.casefold() for file in _paths(end, bases)], bases)

    @cached_property
    def _by_path(self) -> Mapping[str, Sequence[str]]:
        """The pictures by their path in small letters."""
        found: dict[str, list[str]] = defaultdict(list)
        for file in self._photos:
            found[_plain(file).casefold()].append(file)
        return found

    @cached_property
    def _by_end(self) -> Mapping[str, Sequence[str]]:
        """The pictures by their path in small letters, and by what is left of it without its first folders."""
        found: dict[str, list[str]] = defaultdict(list)
        for path, files in self._by_path.items():
            for end in _ends(path):
                found[end] += files
        return found

    @cached_property
    def _folder_ends(self) -> Container[str]:
        folders = {folder for path in self._by_path for folder in with_parents(folder_of(path))}
        return {end for folder in folders for end in _ends(folder)}


def _granted(
    name: PhotoName, claim: _Claim, rivals: Mapping[str, Mapping[Meaning, str]], written: Mapping[str, str]
) -> FoundPhoto | AnnotationError:
    """The one file of a claim if no other record has it, or may have it as well."""
    path = _plain(name.path)
    written_as = _beside(name) if path in claim.files else name.path  # a file further up than it may be
    several = f"{len(claim.files)} files ({', '.join(claim.files[:_SHOWN])})"
    missing, remedy = f"no file {written_as!r} in the source", "put the picture there or remove its record"
    if len(claim.files) != 1:
        if claim.files and claim.rank[0] != _ONLY:
            problem = f"{name.path!r} may be any of {several}; give its folder in the record"
        elif claim.files:
            problem = f"{missing}, and its name is that of {several} in other folders; correct its folder in the record"
        else:
            problem = f"{missing}; {remedy}"
        return AnnotationError(problem, "missing_file")
    (file,) = claim.files
    others = [place for meaning, place in rivals[file].items() if meaning != name.meaning]
    if other := written.get(file) or next(iter(others), ""):
        problem = f"{missing}; {file} has its name, but {other} may mean that as well; {remedy}"
        return AnnotationError(problem, "missing_file")
    if claim.rank[0] == _ONLY:
        return FoundPhoto(file, (OTHER_FOLDER, f"written {name.path!r}, and the only file of that name is {file}"))
    return FoundPhoto(file, found_elsewhere(written_as, file))


def are_strays(names: Sequence[PhotoName], files: Sequence[str]) -> list[bool]:
    """Whether each file, "" for none, is further up from its annotation file than others of the same folder.

    Where video1/json names video1/b.jpg, its a.jpg is hardly the one above video1. What is found from the first folder
    of a name is no stray, however far up it is.
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
    """What is worth knowing of a file that is not where its record says."""
    return FOUND_ELSEWHERE, f"written {written!r}, found as {file}"


def origin_of(annotation_file: str) -> Origin:
    """What the paths of an annotation file start from: its folder; those of another split mean other files."""
    return folder_of(annotation_file), split_named(annotation_file)


def path_inside(name: str) -> str:
    """`name` as a path below the source: '/' between its parts, no drive, no '..', not absolute."""
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", ".", "..") and not part.endswith(":"))


def _first(table: Mapping[str, Sequence[str]], keys: Sequence[str], bases: Sequence[str]) -> tuple[int, Sequence[str]]:
    """What the first of `keys` that is in the table has there, and the depth of its base."""
    return next(((len(bases) - number, table[key]) for number, key in enumerate(keys) if key in table), (0, ()))


def _ends(path: str) -> Iterator[str]:
    """The path, and what is left of it without its first part, its first two ..."""
    parts = path.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _paths(path: str, folders: Iterable[str]) -> Iterator[str]:
    """The path as seen from each folder; none of an absolute one, and of one that names a folder."""
    if not path.startswith("/") and posixpath.basename(path) not in (".", ".."):
        yield from (posixpath.normpath(f"{folder}/{path}") for folder in folders)


def _beside(name: PhotoName) -> str:
    """The path as seen from the first folder, "" if there is none."""
    return next(_paths(_plain(name.path), name.folders[:1]), "")


def _steps_up(folder: str, file: str) -> int:
    """How many folders above `folder` the first one is that holds the file."""
    above = set(with_parents(folder_of(file)))
    return next(steps for steps, parent in enumerate(with_parents(folder)) if parent in above)


def _plain(path: str) -> str:
    """A path with '/' between its parts, its percent signs decoded and its letters composed."""
    return unicodedata.normalize("NFC", _SERVED.sub("", unquote(path.replace("\\", "/"))))
