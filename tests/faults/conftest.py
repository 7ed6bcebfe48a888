import pytest

from tests.faults import sources
from tests.faults.sandbox import Sandbox


@pytest.fixture
def sandbox(tmp_path) -> Sandbox:
    """A sandbox with an empty source, and with files outside that no stage may read."""
    made = Sandbox(tmp_path)
    for folder in (made.source, made.work, made.outside):
        folder.mkdir()
    sources.put_photo(made.outside / "a.png")
    (made.outside / "secret.txt").write_text("secret")
    return made
