"""The pipeline, one thin file per stage, each run as `python -m stages.<name>`."""

import sys
from types import TracebackType


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C is no mistake of anybody's, also while modules are still being imported: one line, no traceback."""
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("error: stopped by Ctrl-C; run it again\n")
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _told
