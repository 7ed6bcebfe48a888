"""Which images belong to one scene, video, drive or patient, or are copies of one: by their names, or by a table."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from segpipe.core.errors import UserError
from segpipe.core.files import read_text
from segpipe.data.split_words import split_named

# How tools name the augmented copies of an image that they write. The first group is the name that all of them share.
# Roboflow's hash had 32 digits until 2025, and has 20 letters and digits since.
_COPIES = {
    "Roboflow": re.compile(r"(.+?)\.rf\.(?:[0-9a-f]{32}|[0-9A-Za-z]{20})(?![0-9A-Za-z])"),
    "Augmentor": re.compile(r".*?_original_(.+)_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\."),
}
_IMAGE_COLUMNS = ("file", "key", "image", "filename", "file_name", "path")


def by_pattern(files: Sequence[str], pattern: str) -> list[str]:
    """For each file what `pattern`, a regular expression, finds in it: its first group, or all of the match; else "".

    Raises UserError for a pattern that is none, or that finds nothing in any file.
    """
    if not pattern:
        return [""] * len(files)
    try:
        found = [re.search(pattern, file) for file in files]
    except re.error as error:
        raise UserError(f"split.scene in params.yaml: {pattern!r} is no regular expression ({error})") from None
    if not any(found):
        raise UserError(f"split.scene in params.yaml: {pattern!r} finds nothing in any file name, such as {files[0]!r}")
    return [(match[1] if match.re.groups else match[0]) or "" if match else "" for match in found]


def copies(files: Sequence[str]) -> list[str]:
    """For each file the name that it shares with other copies of one image, "" where its name says nothing of copies.

    What comes before the pattern names the image, within one folder, or folders that only differ in the split that
    they name. A file of that very name is the image itself.

    >>> copies(["train/a_jpg.rf.7f39f8317fbdb1988ef4c628eba02591.jpg", "a.jpg", "b.jpg"])
    ['a_jpg', 'a_jpg', '']
    """
    named = [_copied(PurePosixPath(file)) for file in files]
    plain = [_within(PurePosixPath(file), PurePosixPath(file).name) for file in files]
    known = set(filter(None, named))
    names = [copy or (name if name in known else "") for copy, name in zip(named, plain, strict=True)]
    count = Counter(names)
    return [name if count[name] > 1 else "" for name in names]


def by_table(path: Path, column: str, known: Mapping[str, str]) -> dict[str, str]:
    """The scene of each image by key, "" where the table leaves it empty; nothing for a table without rows.

    path: CSV in UTF-8, its columns separated by commas, semicolons or tabs: one names images (file, key, image,
    filename, file_name or path, by the path inside the source, the key, or a name that only one image has), `column`
    their scenes; known: the file of every image of the source by its key.
    Raises UserError for a column that is missing and for rows that name no image, several, or one with two scenes.
    """
    keys = _names(known)
    scenes: dict[str, str] = {}
    for line, name, scene in _rows(path, column):
        fitting = keys.get(_plain(name), ())
        if len(fitting) != 1:
            several, none = (
                "several images; give its path in the source",
                "no image of the source; correct or remove it",
            )
            raise UserError(f"{path}: line {line}: {name!r} names {several if fitting else none}")
        if scenes.setdefault(fitting[0], scene) != scene:
            raise UserError(f"{path}: line {line}: {name!r} has another {column} in an earlier row; keep one of them")
    return scenes


def of_images(scenes: Mapping[str, str], files: Mapping[str, str], path: Path) -> list[str]:
    """The scene of each image in the order of `files`, their names by key. Raises UserError for images without one."""
    missing = [file for key, file in files.items() if key not in scenes]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"{path}: no row for {missing[0]}{more}; add one, with an empty scene for an image that belongs to none"
        )
    return [scenes[key] for key in files]


def _copied(file: PurePosixPath) -> str:
    found = next(filter(None, (pattern.match(file.name) for pattern in _COPIES.values())), None)
    return _within(file, found[1]) if found else ""


def _within(file: PurePosixPath, name: str) -> str:
    """Roboflow writes the dot of NAME.jpg as NAME_jpg."""
    folders = [part for part in file.parts[:-1] if not split_named(part)]
    return "/".join([*folders, name.replace(".", "_")])


def _rows(path: Path, column: str) -> Iterator[tuple[int, str, str]]:
    """Line, image and scene of each row."""
    text = read_text(path)
    header = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=header.count))
    columns = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = columns
    image_column = next((name for name in _IMAGE_COLUMNS if name in columns), None)
    said = f"only {', '.join(columns)}" if columns else "and no other"
    if image_column is None:
        raise UserError(
            f"{path}: no column {' or '.join(_IMAGE_COLUMNS)} that names images, {said}; name one of them so"
        )
    if column not in columns:
        raise UserError(f"{path}: no column {column}, {said}; set split.scene_column in params.yaml to one of them")
    try:
        for row in reader:
            if any(row.values()):
                yield reader.line_num, row[image_column] or "", (row[column] or "").strip()
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num}: is no CSV ({error}); mend it") from None


def _names(known: Mapping[str, str]) -> dict[str, list[str]]:
    """The keys of the images that a name fits: all of the path, or the key, before the file's name with or without
    its suffix."""
    exact = {name: [key] for key, file in known.items() for name in (key, file) if name}
    short: dict[str, list[str]] = {}
    for key, file in known.items():
        path = PurePosixPath(file)
        for name in {path.name, path.stem} - {""}:
            short.setdefault(name, []).append(key)
    return short | exact


def _plain(name: str) -> str:
    return name.strip().replace("\\", "/").removeprefix("./")
