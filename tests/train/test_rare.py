import numpy as np
import torch

from segpipe.data.classes import IGNORE_INDEX
from segpipe.train import augment, rare
from tests.train.test_augment import NOTHING, SHAPE_ONLY


def aims(labels, rarity, share, seed=0):
    return rare.aims(labels, torch.tensor(rarity, dtype=torch.float64), share, torch.Generator().manual_seed(seed))


def test_a_class_is_rarer_the_fewer_pixels_training_has_of_it():
    assert rare.rarity(np.array([[6, 1, 0], [2, 1, 0]])).tolist() == [10 / 8, 10 / 2, 0]


def test_an_aim_is_the_centre_of_a_pixel_of_the_class():
    labels = torch.full((1, 4, 8), IGNORE_INDEX, dtype=torch.uint8)
    labels[0, 3, 6] = 1
    assert aims(labels, [1.0, 1.0], 1.0).tolist() == [[2 * 6.5 / 8 - 1, 2 * 3.5 / 4 - 1]]


def test_rarer_classes_are_aimed_at_more_often():
    labels = torch.zeros(400, 2, 2, dtype=torch.uint8)
    labels[:, 0, 0] = 1
    points = aims(labels, [1.0, 3.0], 1.0)
    hits = (points == torch.tensor([-0.5, -0.5])).all(dim=1).sum()
    assert 260 < hits < 340  # 3 in 4 of 400


def test_only_the_share_asked_for_is_aimed_and_pictures_without_labels_never():
    labels = torch.zeros(400, 2, 2, dtype=torch.uint8)
    aimed = ~aims(labels, [1.0], 0.25).isnan().any(dim=1)
    assert 70 < aimed.sum() < 130
    assert aims(torch.full((3, 2, 2), IGNORE_INDEX, dtype=torch.uint8), [1.0], 1.0).isnan().all()


def test_crops_show_what_is_aimed_at():
    labels = torch.zeros(16, 64, 64, dtype=torch.uint8)
    labels[:, 60, 3] = 1
    for strength in (NOTHING, SHAPE_ONLY):
        points = aims(labels, [0.0, 1.0], 1.0)
        draws = augment.draw(labels, (24, 24), strength, torch.Generator().manual_seed(1), points)
        corner = torch.linalg.solve(draws.theta[:, :, :2], points.float().unsqueeze(2) - draws.theta[:, :, 2:])
        shown = (corner.squeeze(2).abs() <= 1).all(dim=1)  # where the pixel is in the crop's own -1..1
        assert shown.float().mean() >= 0.9  # a crop that is turned in a corner may miss it


def test_without_aims_nothing_changes():
    labels = torch.zeros(3, 32, 32, dtype=torch.uint8)
    none = torch.full((3, 2), torch.nan, dtype=torch.float64)
    plain, same = (
        augment.draw(labels, (16, 16), SHAPE_ONLY, torch.Generator().manual_seed(0), aim) for aim in (None, none)
    )
    assert torch.equal(plain.theta, same.theta)
