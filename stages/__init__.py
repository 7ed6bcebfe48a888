"""The pipeline, one thin file per stage, each run as `python -m stages.<name>`.

A stage runs the code in the same project folder. `dvc exp run --temp` and `--queue` work in a copy of the project,
whose hashes DVC records, while an editable install points to the folder where it was made.
"""

import os
import sys
from pathlib import Path

_SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(_SOURCE))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_SOURCE), os.environ.get("PYTHONPATH")]))  # for workers

import segpipe  # noqa: E402

_imported = Path(segpipe.__file__).resolve().parent
if _imported.parent != _SOURCE:  # before this module was
    sys.exit(f"error: the package segpipe comes from {_imported}, not from {_SOURCE}; run it with PYTHONPATH=src")

import segpipe.core.interrupts  # noqa: E402 - Ctrl-C is one line from here on
