import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from segpipe.dataset.transforms import Fit, fit_image, training_window, windows
from segpipe.inference.overlay import outlines
from segpipe.inference.predict import predict
from segpipe.models.card import ModelCard

CPU = torch.device("cpu")
COLOURS = np.array([[0, 0, 0], [250, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8)


class ColourReader(nn.Module):
    """A network that knows the classes by their colours: the logit is minus the distance to the class's colour."""

    def __init__(self):
        super().__init__()
        self.eval()
        self.batches = []

    def forward(self, images):
        self.batches.append(len(images))
        colours = torch.tensor(COLOURS, dtype=torch.float32)
        return -(images[:, None].float() - colours[None, :, :, None, None]).norm(dim=2)


class Columns(nn.Module):
    """Class 1 wins where `logits` is positive, the same in every row of every window."""

    def __init__(self, *logits):
        super().__init__()
        self.eval()
        self.logits = torch.tensor(logits, dtype=torch.float32)

    def forward(self, images):
        ones = self.logits.expand(len(images), 1, *images.shape[2:])
        return torch.cat([torch.zeros_like(ones), ones], dim=1)


def card(mode, size_hw, seen=(True, True, True, True)):
    return ModelCard(
        architecture="none",
        encoder="none",
        classes=("background", "red", "green", "blue")[: len(seen)],
        seen=seen,
        fit_mode=mode,
        size_hw=size_hw,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


def blocks(height, width, side, seed):
    """A label map of squares, each of a random class."""
    grid = np.random.default_rng(seed).integers(0, 4, (-(-height // side), -(-width // side)))
    return np.kron(grid, np.ones((side, side), int))[:height, :width].astype(np.uint8)


def near_an_edge(label_map, distance):
    edges = outlines(label_map)
    for _ in range(distance):
        edges = edges | np.pad(edges, 1)[2:, 1:-1] | np.pad(edges, 1)[:-2, 1:-1]
        edges = edges | np.pad(edges, 1)[1:-1, 2:] | np.pad(edges, 1)[1:-1, :-2]
    return edges


@pytest.mark.parametrize("mode", ["letterbox", "crop", "stretch"])
def test_a_picture_of_the_networks_size_comes_back_exactly(mode):
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
def test_pictures_of_odd_sizes_come_back_but_for_pixels_at_edges(mode, size_hw, native_hw, seed):
    truth = blocks(*native_hw, 20, seed)
    [pred] = predict(ColourReader(), card(mode, size_hw), [COLOURS[truth]], CPU)
    assert pred.shape == native_hw
    # an edge is blurred over about two pixels of the coarser side
    [scaled, *_] = {window.scaled_hw for window in windows(native_hw, Fit(mode, size_hw))}
    blur = 2 * max(1, *(native / side for native, side in zip(native_hw, scaled, strict=True)))
    clear = ~near_an_edge(truth, int(np.ceil(blur)))
    np.testing.assert_array_equal(pred[clear], truth[clear])


def test_an_edge_stays_where_it_is_when_a_picture_is_shrunk_and_brought_back():
    truth = np.zeros((40, 80), np.uint8)
    truth[:, 40:] = 1  # half-pixel centres: the edge at 40 of 80 is the edge at 20 of 40
    [pred] = predict(ColourReader(), card("letterbox", (20, 40)), [COLOURS[truth]], CPU)
    np.testing.assert_array_equal(pred, truth)


def test_padding_has_no_say_at_the_border():
    truth = np.full((9, 64), 2, np.uint8)  # letterboxed into a square: more padding than picture
    [pred] = predict(ColourReader(), card("letterbox", (32, 32)), [COLOURS[truth]], CPU)
    assert (pred == 2).all()


def test_windows_that_overlap_are_averaged():
    # two windows of 4 on 6 columns, starting at 0 and 2:
    #   first   4 -3 -1  5
    #   second        4 -3 -1  5
    #   mean    4 -3 1.5  1 -1  5
    [pred] = predict(Columns(4, -3, -1, 5), card("crop", (4, 4), (True, True)), [np.zeros((4, 6, 3), np.uint8)], CPU)
    assert pred.tolist() == [[1, 0, 1, 1, 0, 1]] * 4


def test_no_more_windows_than_pictures_go_through_the_network_at_once():
    network = ColourReader()
    wide, square = COLOURS[blocks(16, 80, 5, seed=0)], COLOURS[blocks(16, 16, 5, seed=1)]
    predict(network, card("crop", (16, 16)), [wide, square], CPU)
    assert network.batches == [2, 2, 2]  # 5 windows and 1


def test_a_picture_is_predicted_alike_alone_and_in_company():
    pictures = [COLOURS[blocks(height, width, 6, seed=3)] for height, width in itertools.product((17, 40), (23, 61))]
    together = predict(ColourReader(), card("crop", (24, 24)), pictures, CPU)
    for picture, pred in zip(pictures, together, strict=True):
        [alone] = predict(ColourReader(), card("crop", (24, 24)), [picture], CPU)
        np.testing.assert_array_equal(alone, pred)


def test_a_class_that_training_never_showed_is_never_predicted():
    [pred] = predict(
        ColourReader(), card("stretch", (8, 8), (False, True, False, True)), [np.zeros((8, 8, 3), np.uint8)], CPU
    )
    assert set(np.unique(pred)) <= {1, 3}


def test_no_picture_gives_no_label_map():
    assert predict(ColourReader(), card("crop", (8, 8)), [], CPU) == []


def test_prediction_and_training_look_through_the_same_window():
    for mode in ("letterbox", "stretch"):
        fit = Fit(mode, (32, 48))
        assert windows((50, 37), fit) == [training_window((50, 37), fit)]


def test_the_network_sees_exactly_what_the_store_holds():
    picture = np.random.default_rng(0).integers(0, 256, (50, 37, 3), dtype=np.uint8)
    fit = Fit("letterbox", (32, 32))
    seen = []

    class Recorder(Columns):
        def forward(self, images):
            seen.append(images)
            return super().forward(images)

    predict(Recorder(0.0), card("letterbox", (32, 32), (True, True)), [picture], CPU)
    [window] = windows((50, 37), fit)
    np.testing.assert_array_equal(seen[0][0].permute(1, 2, 0).numpy(), fit_image(picture, fit, window))
