import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from segpipe.data.preprocessing import Fit, fit_image, plan, stored_windows
from segpipe.inference.predict import predict, predict_each
from segpipe.models.model_file import ModelCard
from segpipe.pictures.overlay import edges
from tests.conftest import ROOT

CPU = torch.device("cpu")
COLOURS = np.array([[0, 0, 0], [250, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8)


class ColourReader(nn.Module):
    """A network that recognizes classes by their colour: the logit is minus the distance to the colour of the class."""

    def __init__(self):
        super().__init__()
        self.eval()
        self.batches = []

    def forward(self, images):
        self.batches.append(len(images))
        colours = torch.tensor(COLOURS, dtype=torch.float32)
        return -(images[:, None].float() - colours[None, :, :, None, None]).norm(dim=2)


class Columns(nn.Module):
    """A network that predicts class 1 in the columns where `logits` is positive, in every row of every window."""

    def __init__(self, *logits):
        super().__init__()
        self.eval()
        self.logits = torch.tensor(logits, dtype=torch.float32)

    def forward(self, images):
        ones = self.logits.expand(len(images), 1, *images.shape[2:])
        return torch.cat([torch.zeros_like(ones), ones], dim=1)


def card(mode, size_hw, seen=(True, True, True, True), tiles=(0, 0)):
    return ModelCard(
        architecture="none",
        encoder="none",
        classes=("background", "red", "green", "blue")[: len(seen)],
        seen=seen,
        fit_mode=mode,
        size_hw=size_hw,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        tile_side=tiles[0],
        tile_overlap=tiles[1],
    )


def blocks(height, width, side, seed):
    """A label map of squares, each of a random class."""
    grid = np.random.default_rng(seed).integers(0, 4, (-(-height // side), -(-width // side)))
    return np.kron(grid, np.ones((side, side), int))[:height, :width].astype(np.uint8)


def near_an_edge(label_map, distance):
    near = edges(label_map)
    for _ in range(distance):
        near = near | np.pad(near, 1)[2:, 1:-1] | np.pad(near, 1)[:-2, 1:-1]
        near = near | np.pad(near, 1)[1:-1, 2:] | np.pad(near, 1)[1:-1, :-2]
    return near


@pytest.mark.parametrize("mode", ["letterbox", "crop", "stretch"])
def test_an_image_of_the_networks_size_is_predicted_exactly(mode):
    truth = blocks(32, 48, 5, seed=1)
    [pred] = predict(ColourReader(), card(mode, (32, 48)), [COLOURS[truth]], CPU)
    assert pred.dtype == np.uint8
    np.testing.assert_array_equal(pred, truth)


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(["letterbox", "crop", "stretch"]),
    size_hw=st.tuples(st.integers(32, 64), st.integers(32, 64)),
    native_hw=st.tuples(st.integers(33, 150), st.integers(33, 150)),
    seed=st.integers(0, 99),
)
def test_images_of_any_size_are_predicted_exactly_except_at_edges(mode, size_hw, native_hw, seed):
    truth = blocks(*native_hw, 20, seed)
    [pred] = predict(ColourReader(), card(mode, size_hw), [COLOURS[truth]], CPU)
    assert pred.shape == native_hw
    # an edge is blurred over about two pixels of the coarser side
    [window, *_] = plan(native_hw, Fit(mode, size_hw)).windows
    spans = zip((window.rows, window.columns), window.content, strict=True)
    blur = 2 * max(1, *((native.stop - native.start) / (c.stop - c.start) for native, c in spans))
    clear = ~near_an_edge(truth, int(np.ceil(blur)))
    np.testing.assert_array_equal(pred[clear], truth[clear])


def test_an_edge_does_not_move_when_an_image_is_shrunk_and_its_logits_enlarged():
    truth = np.zeros((40, 80), np.uint8)
    truth[:, 40:] = 1  # half-pixel centres: the edge at 40 of 80 is the edge at 20 of 40
    [pred] = predict(ColourReader(), card("letterbox", (20, 40)), [COLOURS[truth]], CPU)
    np.testing.assert_array_equal(pred, truth)


def test_padding_does_not_change_the_border():
    truth = np.full((9, 64), 2, np.uint8)  # letterboxed into a square: more padding than image
    [pred] = predict(ColourReader(), card("letterbox", (32, 32)), [COLOURS[truth]], CPU)
    assert (pred == 2).all()


def test_overlapping_windows_are_blended_in_the_middle_of_the_overlap():
    # Tiles of 12 on 16 columns share columns 4 to 11; the 4 in the middle are blended, 6 to 9, where the first tile
    # has logit -8 and weights 7/8, 5/8, 3/8, 1/8, and the second has logit 5: -6.4, -3.1, 0.1, 3.4.
    columns = Columns(5, 5, 5, 5, 5, 5, -8, -8, -8, -8, 1, 1)
    tiled = card("letterbox", (12, 12), (True, True), (12, 4))
    [pred] = predict(columns, tiled, [np.zeros((12, 16, 3), np.uint8)], CPU)
    assert pred.tolist() == [[1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1]] * 12


def test_a_flip_test_is_the_mean_of_the_image_and_its_mirror_image():
    # the logits of an image and of its mirror image are equal; mirrored back they are 2, 4, -3, -1
    flipped = dataclasses.replace(card("stretch", (4, 4), (True, True)), flip_test=True)
    [pred] = predict(Columns(-1, -3, 4, 2), flipped, [np.zeros((4, 4, 3), np.uint8)], CPU)
    assert pred.tolist() == [[1, 1, 1, 1]] * 4  # 0.5 everywhere
    [pred] = predict(Columns(-3, -3, 4, 2), flipped, [np.zeros((4, 4, 3), np.uint8)], CPU)
    assert pred.tolist() == [[0, 1, 1, 0]] * 4  # -0.5, 0.5, 0.5, -0.5
    truth = blocks(40, 90, 7, seed=4)
    flipped = dataclasses.replace(card("crop", (32, 32), tiles=(32, 5)), flip_test=True)
    np.testing.assert_array_equal(predict(ColourReader(), flipped, [COLOURS[truth]], CPU)[0], truth)


def test_the_batch_size_of_predict_is_the_number_of_images():
    network = ColourReader()
    wide, square = COLOURS[blocks(16, 80, 5, seed=0)], COLOURS[blocks(16, 16, 5, seed=1)]
    predict(network, card("crop", (16, 16)), [wide, square], CPU)
    assert network.batches == [2, 2, 2, 1]  # 6 windows (they share an eighth: 16 + 14 * 5 reach 80) and 1


def test_an_image_is_predicted_equally_alone_and_with_others():
    images = [COLOURS[blocks(height, width, 6, seed=3)] for height, width in itertools.product((17, 40), (23, 61))]
    together = predict(ColourReader(), card("crop", (24, 24)), images, CPU)
    for image, pred in zip(images, together, strict=True):
        [alone] = predict(ColourReader(), card("crop", (24, 24)), [image], CPU)
        np.testing.assert_array_equal(alone, pred)


def test_a_class_that_was_never_seen_is_never_predicted():
    [pred] = predict(
        ColourReader(), card("stretch", (8, 8), (False, True, False, True)), [np.zeros((8, 8, 3), np.uint8)], CPU
    )
    assert set(np.unique(pred)) <= {1, 3}


def test_without_images_there_are_no_label_maps():
    assert predict(ColourReader(), card("crop", (8, 8)), [], CPU) == []


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_prediction_and_training_use_the_same_windows(mode):
    fit = Fit(mode, (32, 48))
    assert plan((50, 37), fit).windows == stored_windows((50, 37), fit)


@pytest.mark.parametrize("tiles", [(0, 0), (40, 12), (32, 7), (20, 0)])
def test_the_network_gets_exactly_the_images_of_the_store(tiles):
    image = np.random.default_rng(0).integers(0, 256, (90, 47, 3), dtype=np.uint8)
    seen = []

    class Recorder(Columns):
        def forward(self, images):
            seen.append(images.permute(0, 2, 3, 1).numpy())
            return super().forward(images)

    predict(Recorder(0.0), card("letterbox", (32, 32), (True, True), tiles), [image], CPU)
    fit = Fit("letterbox", (32, 32), *tiles)
    rows = [fit_image(image, fit, window) for window in stored_windows((90, 47), fit)]
    np.testing.assert_array_equal(np.concatenate(seen), np.stack(rows))


@settings(max_examples=60, deadline=None)
@given(
    size_hw=st.tuples(st.integers(32, 48), st.integers(32, 48)),
    overlap=st.integers(0, 10),
    native_hw=st.tuples(st.integers(1, 150), st.integers(49, 150)),
    seed=st.integers(0, 99),
)
def test_an_image_in_tiles_at_scale_one_is_predicted_exactly(size_hw, overlap, native_hw, seed):
    truth = np.random.default_rng(seed).integers(0, 4, native_hw, np.uint8)
    [pred] = predict(ColourReader(), card("crop", size_hw, tiles=(max(size_hw), overlap)), [COLOURS[truth]], CPU)
    np.testing.assert_array_equal(pred, truth)


def test_tiles_at_half_scale_are_predicted_exactly_except_at_edges():
    truth = blocks(190, 230, 20, seed=5)
    [pred] = predict(ColourReader(), card("letterbox", (32, 32), tiles=(64, 16)), [COLOURS[truth]], CPU)
    clear = ~near_an_edge(truth, 4)
    np.testing.assert_array_equal(pred[clear], truth[clear])


class Shifting(nn.Module):
    """A network that finds the bright half of an image, with another threshold in each window: up to 20 columns off."""

    def __init__(self):
        super().__init__()
        self.eval()
        self.offsets = itertools.cycle([20.0, -20.0, 5.0])

    def forward(self, images):
        offset = torch.tensor([next(self.offsets) for _ in images])[:, None, None]
        brightness = images[:, 0].float() + offset
        return torch.stack([torch.full_like(brightness, 120.0), brightness], dim=1)


def test_no_seam_is_visible_where_tiles_meet():
    # brightness grows by 1 a column: the border is where brightness + offset passes 120, 40 columns apart in two tiles
    ramp = np.broadcast_to(np.arange(240, dtype=np.uint8)[None, :, None], (700, 240, 3))
    tiled = card("letterbox", (256, 256), (True, True), (256, 80))
    [pred] = predict(Shifting(), tiled, [np.ascontiguousarray(ramp)], CPU)
    border = (pred == 0).sum(axis=1)
    assert {101, 141} <= set(border.tolist())
    assert np.abs(np.diff(border)).max() == 1  # 40 columns over 80 rows, where tiles without blending would jump by 40


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_large_and_small_images_share_batches_and_stay_in_order(batch_size):
    truths = {name: blocks(*hw, 7, seed=2) for name, hw in (("a", (20, 90)), ("b", (16, 16)), ("c", (70, 30)))}
    network, tiled = ColourReader(), card("letterbox", (16, 16), tiles=(16, 4))
    images = ((name, COLOURS[truth]) for name, truth in truths.items())
    results = list(predict_each(network, tiled, images, batch_size, CPU))
    assert [name for name, *_ in results] == ["a", "b", "c"]
    for name, image, pred in results:
        np.testing.assert_array_equal(image, COLOURS[truths[name]])
        np.testing.assert_array_equal(pred, truths[name])
    windows = 2 * 8 + 1 + 6 * 3  # 16 + 12 * 7 reach 100, 16 + 12 reach 28, 16 + 12 * 5 reach 76, 16 + 12 * 2 reach 40
    assert sum(network.batches) == windows
    assert max(network.batches) == min(batch_size, windows)


def test_no_more_images_are_read_than_a_batch_needs():
    read = []

    def images():
        for number in range(6):
            read.append(number)
            yield number, np.zeros((16, 16, 3), np.uint8)

    stream = predict_each(ColourReader(), card("stretch", (16, 16)), images(), 2, CPU)
    for number in range(3):
        next(stream)
        assert len(read) <= number + 2


LARGE = """
import resource
import numpy as np, torch
from tests.inference.test_predict import CPU, Columns, card, predict

class Many(Columns):
    def forward(self, images):
        return torch.rand(len(images), 4, *images.shape[2:]).repeat(1, 10, 1, 1)[:, :40]

network = Many(0.0)
classes = card("letterbox", (256, 256), (True,) * 4, (256, 32))
object.__setattr__(classes, "seen", (True,) * 40)
small, large = (np.zeros((side, side, 3), np.uint8) for side in (250, 1500))
predict(network, classes, [small], CPU)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
[pred] = predict(network, classes, [large], CPU)
print(pred.shape, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_the_logits_of_a_large_image_are_never_in_memory_at_once():
    # 40 classes at 1500 x 1500 are 343 MiB; the seam rows, 32 of them, are 7 MiB
    output = subprocess.run([sys.executable, "-c", LARGE], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    shape, mebibytes = output.rsplit(maxsplit=1)
    assert shape == "(1500, 1500)"
    assert int(mebibytes) < 100
