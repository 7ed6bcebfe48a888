"""Scenes of images (a video, a drive, a patient), by file names or a table; and copies of an image, by their names."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from segpipe.core.errors import UserError
from segpipe.core.files import read_text
from segpipe.core.plurals import counted
from segpipe.data.split_words import split_named

# The names that tools give to augmented copies of an image. The first group of each pattern is common to all copies.
# Roboflow's hash had 32 digits until 2025, and has 20 letters and digits since.
_COPIES = {
    "Roboflow": re.compile(r"(.+?)\.rf\.(?:[0-9a-f]{32}|[0-9A-Za-z]{20})(?![0-9A-Za-z])"),
    "Augmentor": re.compile(r".*?_original_(.+)_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\."),
}
_IMAGE_COLUMNS = ("file", "key", "image", "filename", "file_name", "path")


def scenes_of(
    files: Mapping[str, str], all_files: Mapping[str, str], pattern: str, table: Path, column: str
) -> dict[str, str]:
    """The scene of each image of `files`, "" for an image without one; by the pattern, or by a table that has rows.

    files, all_files: the file of each image by its key, of the images to assign and of all images of the source;
    pattern: as for by_pattern; table, column: as for by_table.
    Raises UserError if both name scenes, or one of them is wrong.
    """
    listed = by_table(table, column, all_files)
    if not listed:
        return dict(zip(files, by_pattern(list(files.values()), pattern), strict=True))
    if pattern:
        raise UserError(f"params.yaml: split.scene and the rows of {table} both name scenes; keep one of them")
    missing = [file for key, file in files.items() if key not in listed]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"{table}: no row for {missing[0]}{more}; add one, with an empty cell for an image without scene"
        )
    return {key: listed[key] for key in files}


def by_pattern(files: Sequence[str], pattern: str) -> list[str]:
    """The match of `pattern`, a regular expression, in each file name: its first group, or all of it; "" without one.

    Raises UserError for an invalid pattern, and for one that matches no file.

    >>> by_pattern(["drive_07/a.jpg", "drive_07/b.jpg", "extra/c.jpg"], r"drive_([0-9]+)")
    ['07', '07', '']
    """
    if not pattern:
        return [""] * len(files)
    try:
        matches = [re.search(pattern, file) for file in files]
    except re.error as error:
        problem = f"{pattern!r} is not a regular expression ({error}); correct it"
        raise UserError(f"params.yaml: split.scene: {problem}") from None
    if not any(matches):
        problem = f"{pattern!r} matches no file name, such as {files[0]!r}; correct it"
        raise UserError(f"params.yaml: split.scene: {problem}")
    return [(match[1] if match.re.groups else match[0]) or "" if match else "" for match in matches]


def by_table(path: Path, column: str, all_files: Mapping[str, str]) -> dict[str, str]:
    """The scene of each image by key, "" if its cell is empty; {} for a table without rows.

    path: CSV in UTF-8, separated by commas, semicolons or tabs. One column (file, key, image, filename, file_name or
    path) names images by their path in the source, their key, or an unambiguous file name; `column` names scenes.
    all_files: the file of every image of the source by its key.
    Raises UserError for a missing column, and for a row that names no image, several, or an image with another scene.
    """
    keys = _keys_by_name(all_files)
    scenes: dict[str, str] = {}
    for line, name, scene in _rows(path, column):
        fitting = keys.get(_normalized(name), ())
        if not fitting:
            raise UserError(f"{path}: line {line}: {name!r} is not an image of the source; correct or remove the row")
        if len(fitting) > 1:
            several = counted(len(fitting), "image")
            raise UserError(f"{path}: line {line}: {name!r} is the name of {several}; use the path in the source")
        if scenes.setdefault(fitting[0], scene) != scene:
            problem = f"an earlier row has another {column} for {name!r}; keep one of them"
            raise UserError(f"{path}: line {line}: {problem}")
    return scenes


def copies(files: Sequence[str]) -> list[str]:
    """The name that each file shares with other copies of one image, "" if its name is not that of a copy.

    The part before the pattern names the image, within one folder; folders that only name different splits count as
    one. A file with exactly this name is the image itself.

    >>> copies(["train/a_jpg.rf.7f39f8317fbdb1988ef4c628eba02591.jpg", "a.jpg", "b.jpg"])
    ['a_jpg', 'a_jpg', '']
    """
    copied = [_original(PurePosixPath(file)) for file in files]
    plain = [_in_folder(PurePosixPath(file), PurePosixPath(file).name) for file in files]
    originals = set(filter(None, copied))
    names = [copy or (name if name in originals else "") for copy, name in zip(copied, plain, strict=True)]
    count = Counter(names)
    return [name if count[name] > 1 else "" for name in names]


def _original(file: PurePosixPath) -> str:
    match = next(filter(None, (pattern.match(file.name) for pattern in _COPIES.values())), None)
    return _in_folder(file, match[1]) if match else ""


def _in_folder(file: PurePosixPath, name: str) -> str:
    folders = [part for part in file.parts[:-1] if not split_named(part)]
    return "/".join([*folders, name.replace(".", "_")])  # Roboflow writes NAME.jpg as NAME_jpg


def _rows(path: Path, column: str) -> Iterator[tuple[int, str, str]]:
    """The line number, image and scene of each row."""
    text = read_text(path)
    header = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=header.count))
    columns = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = columns
    image_column = next((name for name in _IMAGE_COLUMNS if name in columns), None)
    present = f"its columns are {', '.join(columns)}" if columns else "it has no columns"
    if image_column is None:
        raise UserError(f"{path}: no column names images, {present}; name one of them {' or '.join(_IMAGE_COLUMNS)}")
    if column not in columns:
        raise UserError(f"{path}: no column {column}, {present}; set split.scene_column in params.yaml to one of them")
    try:
        for row in reader:
            if any(row.values()):
                yield reader.line_num, row[image_column] or "", (row[column] or "").strip()
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num}: is not CSV ({error}); correct it") from None


def _keys_by_name(all_files: Mapping[str, str]) -> dict[str, list[str]]:
    """The keys of the images with each name: a path or a key, otherwise a file name with or without its suffix."""
    exact = {name: [key] for key, file in all_files.items() for name in (key, file) if name}
    short: dict[str, list[str]] = {}
    for key, file in all_files.items():
        path = PurePosixPath(file)
        for name in {path.name, path.stem} - {""}:
            short.setdefault(name, []).append(key)
    return short | exact


def _normalized(name: str) -> str:
    return name.strip().replace("\\", "/").removeprefix("./")
