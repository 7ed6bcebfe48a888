"""Photos inside annotation files are read like files: equal pixels, limits and verdicts."""

import base64
import hashlib
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.core.errors import AnnotationError
from segpipe.data import photos


def embedded(folder: Path, data: object) -> Path:
    """A LabelMe file with `data` as its photo: bytes are encoded, other values are written unchanged."""
    path = folder / "a.json"
    text = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    path.write_text(json.dumps({"imagePath": "gone.jpg", "shapes": [], "imageData": text}))
    return path


def encoded(form: str, size_wh=(20, 10), **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def header_of(width: int, height: int) -> bytes:
    """A PNG whose header declares this size, without pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = b"IDAT" + zlib.compress(b"")
    chunks = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (head, end))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_pixels_size_and_hash_equal_those_of_the_file(tmp_path, form):
    data = encoded(form)
    (tmp_path / "file").write_bytes(data)
    path = embedded(tmp_path, data)
    np.testing.assert_array_equal(photos.read_rgb(path), photos.read_rgb(tmp_path / "file"))
    assert photos.read_size(path) == ((10, 20), 1)
    for file in (path, tmp_path / "file"):
        with photos.open_photo(file) as opened:
            opened.decode("viewed")
            assert opened.sha256() == hashlib.sha256(data).hexdigest()
    assert photos.suffix(path) == {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}[form]


def test_the_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = embedded(tmp_path, encoded("JPEG", exif=exif))
    assert photos.read_size(path) == ((10, 20), 6)
    assert photos.read_rgb(path).shape == (20, 10, 3)
    assert photos.read_rgb(path, "stored").shape == (10, 20, 3)


def test_a_large_jpeg_is_read_reduced(tmp_path):
    path = embedded(tmp_path, encoded("JPEG", (640, 320)))
    assert photos.read_reduced(path, "viewed", 0.2).shape == (80, 160, 3)


def test_a_data_uri_is_read(tmp_path):
    path = embedded(tmp_path, "data:image/png;base64," + base64.b64encode(encoded("PNG")).decode())
    assert photos.read_size(path) == ((10, 20), 1)


@pytest.mark.parametrize(
    ("data", "reason", "problem"),
    [
        ("%%%%", "unreadable", "is not an image file"),
        ("iVBOR", "unreadable", "is not base64"),
        ("bäd=", "unreadable", "is not base64"),
        (b"<svg/>", "unreadable", "is not an image file"),
        (b"", "unsupported_format", "contain no photo"),
        (None, "unsupported_format", "contain no photo"),
        ([1], "unsupported_format", "contain no photo"),
        (encoded("GIF"), "unsupported_format", "GIF images are not supported"),
        (encoded("PNG")[:100], "unreadable", "cannot be decoded"),
        (header_of(30_000, 20_000), "unreadable", "30000 x 20000 pixels are more than 300000000"),
    ],
)
def test_an_unusable_photo_is_an_error_with_its_reason(tmp_path, data, reason, problem):
    with pytest.raises(AnnotationError, match=problem) as caught:
        photos.read_rgb(embedded(tmp_path, data))
    assert caught.value.reason == reason


def test_a_missing_or_broken_annotation_file_is_an_error(tmp_path):
    with pytest.raises(AnnotationError) as caught:
        photos.read_rgb(tmp_path / "a.json")
    assert caught.value.reason == "missing_file"
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(AnnotationError, match="not valid JSON") as caught:
        photos.read_rgb(tmp_path / "a.json")
    assert caught.value.reason == "unreadable"
