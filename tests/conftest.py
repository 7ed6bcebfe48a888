"""What every test may ask for."""

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in its background deaf to it


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, read-only; the test is skipped where it is absent."""
    folder = Path(os.environ.get("SEGPIPE_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set SEGPIPE_REAL_DATA)")
    return folder
