"""CSV files that any tool opens: no text in them is a formula to a spreadsheet, and it is read back as it was."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from segpipe.core.files import write_text

# Source: https://owasp.org/www-community/attacks/CSV_Injection; the last four are = + - @ in full width
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-][0-9]+(\.[0-9]+)?")
_JOIN = "; "  # between the names of one cell


def text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The table as CSV with LF line ends; text that would be a formula gets an apostrophe before it, a number none."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\r\n")  # or a cell with one of the two would not be quoted
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
    """The rows of a table of `write`, by column, without the apostrophes. Raises OSError."""
    with path.open(encoding="utf-8", newline="") as file:
        table = csv.reader(file)
        header = [_plain(cell) for cell in next(table, [])]
        return [dict(zip(header, map(_plain, row), strict=False)) for row in table]


def joined(names: Iterable[str]) -> str:
    """Several names as the text of one cell; a name that would be read as two, or as another, is quoted."""
    return _JOIN.join(_quoted(name) for name in names)


def parted(cell: str) -> tuple[str, ...]:
    """The names that `joined` wrote."""
    return tuple(next(csv.reader(io.StringIO(cell, newline=""), delimiter=_JOIN[0], skipinitialspace=True), ()))


def _safe(cell: str) -> str:
    return f"'{cell}" if _is_formula(cell) else cell


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell


def _is_formula(cell: str) -> bool:
    """Also with apostrophes before it: then one more can be put there and removed again."""
    return bool(_FORMULA.match(cell)) and not _NUMBER.fullmatch(cell)


def _quoted(name: str) -> str:
    is_clear = name and name == name.strip() and not name.startswith('"') and not re.search(r"[;\r\n]", name)
    return name if is_clear else '"{}"'.format(name.replace('"', '""'))
