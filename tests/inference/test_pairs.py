import numpy as np
import pytest
import torch
from PIL import Image

from segpipe.core.errors import UserError
from segpipe.data.classes import ClassTable
from segpipe.inference.pairs import Pair, find_pairs, predicted
from segpipe.masks import label_png
from segpipe.models import model_file
from segpipe.models import segmenter as build

CLASSES = ClassTable(("background", "cat"))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    """A network that knows cats alone, and so calls every pixel a cat."""
    seen = (False, True)
    segmenter = build.segmenter("unet", "mobilenetv3_small_050", 2, seen).eval()
    facts = model_file.ModelCard(
        architecture="unet",
        encoder="mobilenetv3_small_050",
        classes=CLASSES.names,
        seen=seen,
        fit_mode="letterbox",
        size_hw=(32, 32),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
    )
    return segmenter, facts


def pair(folder, key, photo_size=(9, 5), mask_hw=(5, 9), frame="viewed", **how):
    Image.new("RGB", photo_size, "teal").save(folder / f"{key}.jpg", **how)
    label_png.write(folder / f"{key}.png", np.zeros(mask_hw, np.uint8), CLASSES)
    return Pair(key, "test", folder / f"{key}.jpg", frame, folder / f"{key}.png")


def test_every_pair_comes_back_in_order_with_truth_and_prediction(model, tmp_path):
    pairs = [pair(tmp_path, key) for key in ("b", "a", "c")]
    results = list(predicted(*model, pairs, 2, CPU))
    assert [result.pair.key for result in results] == ["b", "a", "c"]
    for result in results:
        assert (result.truth == 0).all()
        assert (result.pred == 1).all()
        assert result.image.shape == (5, 9, 3)


def test_the_frame_decides_which_way_round_a_photograph_is(model, tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    stored = pair(tmp_path, "stored", frame="stored", exif=turned)
    viewed = pair(tmp_path, "viewed", mask_hw=(9, 5), frame="viewed", exif=turned)
    assert [result.pred.shape for result in predicted(*model, [stored, viewed], 1, CPU)] == [(5, 9), (9, 5)]


def test_a_mask_of_another_size_is_named(model, tmp_path):
    odd = pair(tmp_path, "a", mask_hw=(5, 8))
    with pytest.raises(UserError, match=r"a\.png: is 8 x 5, its photograph 9 x 5; run `dvc repro`$"):
        list(predicted(*model, [odd], 1, CPU))


def test_a_missing_mask_is_named(model, tmp_path):
    lost = pair(tmp_path, "a")
    lost.mask.unlink()
    with pytest.raises(UserError, match=r"a\.png: cannot be read \(No such file or directory\); run `dvc repro`$"):
        list(predicted(*model, [lost], 1, CPU))


def test_a_key_without_a_photograph_is_named(tmp_path):
    with pytest.raises(UserError, match=r"^ghost: is in the split but not among the checked photographs"):
        find_pairs({"ghost": "test"}, [], tmp_path, tmp_path)
