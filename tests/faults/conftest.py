import pytest

from tests.faults import sources
from tests.faults.way import World


@pytest.fixture
def world(tmp_path) -> World:
    """An empty source, and beside it files that no run may read."""
    made = World(tmp_path)
    for folder in (made.source, made.work, made.outside):
        folder.mkdir()
    sources.put_photo(made.outside / "a.png")
    (made.outside / "secret.txt").write_text("secret")
    return made
