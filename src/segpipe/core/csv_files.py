"""CSV files that are safe to open in a spreadsheet: no text in them is a formula. `read` undoes this."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from segpipe.core.files import write_text

# Source: https://owasp.org/www-community/attacks/CSV_Injection; the last four are = + - @ in full width
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-][0-9]+(\.[0-9]+)?")
_SEPARATOR = "; "  # between the names in one cell


def text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""The table as CSV with LF line ends. Text that a spreadsheet would compute gets an apostrophe in front.

    >>> text(["file", "share"], [["=1+1.png", -0.5], ["-0.5", 1]])
    "file,share\n'=1+1.png,-0.5\n-0.5,1\n"
    """
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\r\n")  # with "\n", a cell that contains "\r" would not be quoted
    lines = []
    for row in (header, *rows):
        writer.writerow([_safe(cell) if isinstance(cell, str) else cell for cell in row])
        lines.append(line.getvalue().removesuffix("\r\n") + "\n")
        line.seek(0)
        line.truncate()
    return "".join(lines)


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write the table to `path`, whole or not at all."""
    write_text(path, text(header, rows))


def read(path: Path) -> list[dict[str, str]]:
    """The rows that `write` wrote, each a dict by column, without the apostrophes. Raises OSError."""
    with path.open(encoding="utf-8", newline="") as file:
        table = csv.reader(file)
        header = [_unescaped(cell) for cell in next(table, [])]
        return [dict(zip(header, map(_unescaped, row), strict=False)) for row in table]


def join_names(names: Iterable[str]) -> str:
    """Several names as the text of one cell. Ambiguous names are quoted.

    >>> join_names(["cat", "a; b"])
    'cat; "a; b"'
    """
    return _SEPARATOR.join(_quoted(name) for name in names)


def split_names(cell: str) -> tuple[str, ...]:
    """The names that `join_names` wrote."""
    reader = csv.reader(io.StringIO(cell, newline=""), delimiter=_SEPARATOR[0], skipinitialspace=True)
    return tuple(next(reader, ()))


def _safe(cell: str) -> str:
    return f"'{cell}" if _is_formula(cell) else cell


def _unescaped(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell


def _is_formula(cell: str) -> bool:
    """Whether the cell is a formula, with or without apostrophes in front; writing adds one, reading removes one."""
    return bool(_FORMULA.match(cell)) and not _NUMBER.fullmatch(cell)


def _quoted(name: str) -> str:
    is_clear = name and name == name.strip() and not name.startswith('"') and not re.search(r"[;\r\n]", name)
    return name if is_clear else '"{}"'.format(name.replace('"', '""'))
