"""The result files in an output folder and the list that identifies them: no other file is ever replaced."""

import errno
import hashlib
import json
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from segpipe.core import files
from segpipe.core.errors import UserError

LIST, CLASSES = ".segpipe-results.jsonl", "classes.json"
# Errors that concern one file name; any other error would stop the next result as well.
_OF_ONE_NAME = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ, errno.ELOOP)


class NotWrittenError(UserError):
    """One result cannot be written; the others can."""


class ResultFolder:
    """The files in an output folder that this run or an earlier run wrote.

    A file is a result if its name and the hash of its content are in the list. A photo or an edited mask of the same
    name is not a result. Lines are only appended to the list, so several processes can write to one folder. A result is
    listed before it is written, so a killed run leaves no result that is not listed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._list = folder, folder / LIST
        self._written: dict[str, set[str]] = {}  # the SHA-256 of each content, by `same_name`
        self._bytes_read = 0

    def has(self, name: str) -> bool:
        """Whether the file exists and is a result; name: POSIX path in the folder."""
        path, same = self._folder / name, same_name(name)
        self._read_list()
        if same not in self._written or path.is_symlink():
            return False
        try:
            content = files.sha256_of(path)
        except OSError:
            return False
        self._read_list()  # another process may have replaced the file meanwhile
        return content in self._written[same]

    def check(self, names: Iterable[str], inputs: Iterable[Path]) -> None:
        """Raise UserError if a result of one of these names would replace an input or a file that is not a result."""
        read = {_place(file) for file in inputs}
        for name in names:
            path = self._folder / name
            if _place(path) in read:
                raise UserError(f"{path}: this image would be replaced by a mask; choose another output folder")
            if self._is_foreign(name):
                raise UserError(self._not_replaced(path))

    def write(self, name: str, content: bytes) -> Path:
        """Write a result, whole or not at all, and return its path.

        Raises NotWrittenError, or UserError if the next result could not be written either.
        """
        path = self._folder / name
        try:
            self._append(name, hashlib.sha256(content).hexdigest())
        except OSError as error:
            raise self._folder_error(error) from error
        if self._is_foreign(name):
            raise NotWrittenError(self._not_replaced(path))
        try:
            files.write_bytes(path, content, durable=False)
        except OSError as error:
            if error.errno in _OF_ONE_NAME:
                raise NotWrittenError(f"{path}: cannot be written ({error.strerror})") from error
            raise self._folder_error(error) from error
        return path

    def _is_foreign(self, name: str) -> bool:
        return os.path.lexists(self._folder / name) and not self.has(name)

    def _not_replaced(self, path: Path) -> str:
        why = f"{self._list} does not list it, or it was changed since"
        if not self._list.exists():
            why = f"there is no list {self._list}; older versions did not write one"
        return f"{path}: is not replaced: it is not a result of an earlier run ({why}); choose another output folder"

    def _folder_error(self, error: OSError) -> UserError:
        return UserError(f"--output {self._folder}: cannot be written ({error.strerror or error})")

    def _append(self, name: str, content: str) -> None:
        listed = self._written.setdefault(same_name(name), set())
        if content in listed:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        # the first line end closes a line that a full disk may have cut short
        line = f"\n{json.dumps({'file': name, 'sha256': content})}\n"
        with self._list.open("ab") as file:
            file.write(line.encode())
        listed.add(content)

    def _read_list(self) -> None:
        """Read the lines that were appended to the list since the last call."""
        try:
            if self._list.stat().st_size == self._bytes_read:
                return
            with self._list.open("rb") as file:
                file.seek(self._bytes_read)
                text = file.read()
        except OSError:
            return
        complete = text[: text.rfind(b"\n") + 1]
        self._bytes_read += len(complete)
        for line in complete.splitlines():
            try:
                entry = json.loads(line)
                self._written.setdefault(same_name(entry["file"]), set()).add(entry["sha256"])
            except (ValueError, TypeError, KeyError):
                continue  # an empty line, or a line cut short


def result_names(name: str, with_overlay: bool) -> list[str]:
    """The files written for the image called `name`: its mask and, on request, its overlay.

    >>> result_names("day1/a", with_overlay=True)
    ['day1/a.png', 'day1/a.overlay.jpg']
    """
    return [f"{name}.png", *([f"{name}.overlay.jpg"] if with_overlay else [])]


def same_name(name: str) -> str:
    """A text that is equal for names that some file systems treat as one: upper and lower case, composed accents.

    >>> same_name("K\\u00dcCHE.png") == same_name("ku\\u0308che.png")
    True
    """
    return unicodedata.normalize("NFC", name).casefold()


def _place(file: Path) -> str:
    """The path of a file without links of folders; a link to a file is a file of its name."""
    return os.path.join(os.path.realpath(file.parent), file.name)  # noqa: PTH118 - Path.resolve raises for a loop
