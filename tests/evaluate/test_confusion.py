import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_confusion_matrix

from segpipe.evaluate.confusion import confusion_matrix


def test_pixels_are_counted_by_target_row_and_pred_column():
    target = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
    pred = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)
    assert confusion_matrix(target, pred, 3, 255).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_ignored_pixels_are_not_counted():
    matrix = confusion_matrix(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), 2, 255)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[0, 0], [0, 0]]


def test_many_classes_do_not_overflow_eight_bits():
    one = np.full((1, 1), 199, np.uint8)
    assert confusion_matrix(one, one, 200, 255)[199, 199] == 1


def test_chunks_of_an_image_are_all_counted():
    target, pred = np.array([[0, 1, 255, 1, 0], [0, 1, 1, 1, 0]], np.uint8), np.eye(2, 5, dtype=np.uint8)
    assert confusion_matrix(target, pred, 2, 255, chunk_px=4).tolist() == [[3, 1], [4, 1]]


@pytest.mark.parametrize(
    ("target", "pred", "message"),
    [
        ([0, 1], [0], "their shapes must be equal"),
        ([0, 2], [0, 0], "target has values 0..2 outside 0..1"),
        ([0, -1], [0, 0], "target has values -1..0 outside 0..1"),
        ([0, 1], [0, 255], "pred has values 0..255 outside 0..1"),
        ([255, 1], [255, 0], "pred has values 0..255 outside 0..1"),  # an ignored pixel needs a class too
        ([0.0, 1.0], [0, 1], "class indices are integers"),
    ],
)
def test_arrays_that_are_not_label_maps_are_refused(target, pred, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(np.array(target), np.array(pred), 2, 255)


def test_an_ignore_index_that_is_a_class_is_refused():
    with pytest.raises(ValueError, match="ignore_index 1 is one of the 2 classes"):
        confusion_matrix(np.zeros((1, 1), int), np.zeros((1, 1), int), 2, 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 255]), st.integers(0, 3)), min_size=1))
def test_the_sum_is_the_number_of_pixels_that_are_not_ignored(pixels):
    target, pred = np.array(pixels, np.uint8).T
    assert confusion_matrix(target, pred, 4, 255).sum() == sum(value != 255 for value in target.tolist())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 255]), st.integers(0, 3)), min_size=1))
def test_counts_equal_those_of_torchmetrics(pixels):
    target, pred = np.array(pixels, np.int64).T
    expected = multiclass_confusion_matrix(
        torch.from_numpy(pred), torch.from_numpy(target), num_classes=4, ignore_index=255
    )
    np.testing.assert_array_equal(confusion_matrix(target, pred, 4, 255), expected.numpy())
