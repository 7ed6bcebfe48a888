import numpy as np
import pytest
import torch
from PIL import Image

from segpipe.core.errors import UserError
from segpipe.data.classes import ClassTable
from segpipe.inference.pairs import PhotoPair, find_pairs, predict_pairs
from segpipe.masks import label_png
from segpipe.models import model_file
from segpipe.models.segmenter import build_segmenter

CLASSES = ClassTable(("background", "cat"))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    """A network that has seen only cats, so it predicts a cat at every pixel."""
    seen = (False, True)
    segmenter = build_segmenter("unet", "mobilenetv3_small_050", 2, seen).eval()
    card = model_file.ModelCard(
        architecture="unet",
        encoder="mobilenetv3_small_050",
        classes=CLASSES.names,
        seen=seen,
        fit_mode="letterbox",
        size_hw=(32, 32),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
    )
    return segmenter, card


def pair(folder, key, photo_size=(9, 5), mask_hw=(5, 9), frame="viewed", **how):
    Image.new("RGB", photo_size, "teal").save(folder / f"{key}.jpg", **how)
    label_png.write(folder / f"{key}.png", np.zeros(mask_hw, np.uint8), CLASSES)
    return PhotoPair(key, "test", folder / f"{key}.jpg", frame, folder / f"{key}.png")


def test_every_pair_gets_its_arrays_in_order(model, tmp_path):
    pairs = [pair(tmp_path, key) for key in ("b", "a", "c")]
    results = list(predict_pairs(*model, pairs, 2, CPU))
    assert [result.pair.key for result in results] == ["b", "a", "c"]
    for result in results:
        assert (result.truth == 0).all()
        assert (result.pred == 1).all()
        assert result.image.shape == (5, 9, 3)


def test_the_frame_decides_the_orientation_of_a_photo(model, tmp_path):
    rotated = Image.Exif()
    rotated[0x0112] = 6
    stored = pair(tmp_path, "stored", frame="stored", exif=rotated)
    viewed = pair(tmp_path, "viewed", mask_hw=(9, 5), frame="viewed", exif=rotated)
    assert [result.pred.shape for result in predict_pairs(*model, [stored, viewed], 1, CPU)] == [(5, 9), (9, 5)]


def test_a_mask_of_another_size_is_an_error(model, tmp_path):
    odd = pair(tmp_path, "a", mask_hw=(5, 8))
    with pytest.raises(UserError, match=r"a\.png: is 8 x 5, its photo 9 x 5; run `dvc repro`$"):
        list(predict_pairs(*model, [odd], 1, CPU))


def test_a_missing_mask_is_an_error(model, tmp_path):
    lost = pair(tmp_path, "a")
    lost.mask.unlink()
    with pytest.raises(UserError, match=r"a\.png: cannot be read \(No such file or directory\); run `dvc repro`$"):
        list(predict_pairs(*model, [lost], 1, CPU))


def test_a_key_without_a_photo_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"^ghost: is in the split but not among the checked photos"):
        find_pairs({"ghost": "test"}, [], tmp_path, tmp_path)
