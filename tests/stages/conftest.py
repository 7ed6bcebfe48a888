"""Fixtures for tests of stages."""

import pytest

from segpipe.core import shards
from segpipe.data.records import Image
from segpipe.validate import packing


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard has 8 images at most, on average. Only ingest, which always runs in this process, divides images."""
    monkeypatch.setattr(shards, "_TARGET", 8)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that validate decodes in this process, in order; with one worker, these are all."""
    files: list[str] = []
    decode = packing.decode

    def counted(root, image: Image, with_fingerprint: bool):
        files.append(image.file)
        return decode(root, image, with_fingerprint)

    monkeypatch.setattr(packing, "decode", counted)
    return files
