"""Ctrl-C as one line. To be imported before what takes seconds to import: it works from there on."""

import sys
from types import TracebackType


def _in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C is no mistake of anybody's: no traceback."""
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("error: stopped by Ctrl-C; run it again\n")
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _in_one_line
