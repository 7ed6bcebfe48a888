"""The results in an output folder, and the list beside them by which they are known: nothing else is ever replaced."""

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
# What the system refuses because of one name; whatever else it refuses would stop the next result as well.
_OF_ONE_NAME = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ, errno.ELOOP)


class NotWrittenError(UserError):
    """One result cannot be written; the others may."""


class Results:
    """The files in an output folder that this or an earlier run has written, whatever else is there.

    A file is a result if its name and the hash of its content are in the list: a photograph or an edited mask of the
    same name is none. The list is only ever appended to, so that several processes may write to one folder, and a
    result is listed before it is written, so that a killed run leaves none that is not listed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._list = folder, folder / LIST
        self._written: dict[str, set[str]] = {}  # by `same_name`, the SHA-256 of each content
        self._bytes_read = 0

    def has(self, name: str) -> bool:
        """Whether the file of that name, a POSIX path, is there and is a result."""
        path, same = self._folder / name, same_name(name)
        self._read_on()
        if same not in self._written or path.is_symlink():
            return False
        try:
            content = files.sha256_of(path)
        except OSError:
            return False
        self._read_on()  # another process may have replaced it since
        return content in self._written[same]

    def check(self, names: Iterable[str], inputs: Iterable[Path]) -> None:
        """Raise UserError if a result of one of these names would replace an input, or what is no result."""
        read = {_place(file) for file in inputs}
        for name in names:
            path = self._folder / name
            if _place(path) in read:
                raise UserError(f"{path}: this picture would be replaced by a mask; choose another output folder")
            if self._is_foreign(name):
                raise UserError(self._kept(path))

    def write(self, name: str, content: bytes) -> Path:
        """Write a result, whole or not at all, and return its path.

        Raises NotWrittenError, or UserError where the next result could not be written either.
        """
        path = self._folder / name
        try:
            self._append(name, hashlib.sha256(content).hexdigest())
        except OSError as error:
            raise self._refused(error) from error
        if self._is_foreign(name):
            raise NotWrittenError(self._kept(path))
        try:
            files.write_bytes(path, content, durable=False)
        except OSError as error:
            if error.errno in _OF_ONE_NAME:
                raise NotWrittenError(f"{path}: cannot be written ({error.strerror})") from error
            raise self._refused(error) from error
        return path

    def _is_foreign(self, name: str) -> bool:
        return os.path.lexists(self._folder / name) and not self.has(name)

    def _kept(self, path: Path) -> str:
        why = f"{self._list} does not list it, or it was changed since"
        if not self._list.exists():
            why = f"there is no list {self._list}; older versions wrote none"
        return f"{path}: is not replaced: it is no result of an earlier run ({why}); choose another output folder"

    def _refused(self, error: OSError) -> UserError:
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

    def _read_on(self) -> None:
        """Read what has been appended to the list since the last time."""
        try:
            if self._list.stat().st_size == self._bytes_read:
                return
            with self._list.open("rb") as file:
                file.seek(self._bytes_read)
                text = file.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._bytes_read += len(whole)
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
                self._written.setdefault(same_name(entry["file"]), set()).add(entry["sha256"])
            except (ValueError, TypeError, KeyError):
                continue  # an empty line, or one cut short


def result_names(name: str, with_overlay: bool) -> list[str]:
    """The files written for the image called `name`: its mask and, on request, its overlay."""
    return [f"{name}.png", *([f"{name}.overlay.jpg"] if with_overlay else [])]


def same_name(name: str) -> str:
    """The same text for names that are one file on some file systems: in other case, or with accents written apart."""
    return unicodedata.normalize("NFC", name).casefold()


def _place(file: Path) -> str:
    """The same text for each path to a file, whatever links its folders are; a link to a file is a file of its name."""
    return os.path.join(os.path.realpath(file.parent), file.name)  # noqa: PTH118 - Path.resolve raises for a loop
