"""Ctrl-C as one line instead of a traceback. Import this module before slow imports: it works from then on."""

import sys
from types import TracebackType


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("error: stopped by Ctrl-C; run it again\n")
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _one_line
