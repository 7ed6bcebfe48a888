import numpy as np
import torch

from segpipe.data.classes import IGNORE_INDEX
from segpipe.train import augment, sampling
from tests.train.test_augment import IDENTITY, SHAPE_ONLY


def focus_points(labels, rarity, share, seed=0):
    rarity = torch.tensor(rarity, dtype=torch.float64)
    return sampling.focus_points(labels, rarity, share, torch.Generator().manual_seed(seed))


def test_an_epoch_shows_every_image_in_full_batches():
    batches = sampling.epoch_order(10, 4, seed=0, epoch=1)
    assert batches.shape == (3, 4)
    assert sorted(batches.ravel()[:10].tolist()) == list(range(10))
    assert batches.ravel()[10:].tolist() == batches.ravel()[:2].tolist()  # filled up from the start of the order


def test_one_image_is_repeated_to_fill_a_batch():
    assert sampling.epoch_order(1, 2, seed=0, epoch=1).tolist() == [[0, 0]]


def test_the_order_depends_on_seed_and_epoch_only():
    def order(seed, epoch):
        return sampling.epoch_order(50, 5, seed, epoch).ravel().tolist()

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (1, 2)}) == 4


def test_seeds_differ_between_seeds_purposes_epochs_and_steps():
    places = [
        (seed, purpose, epoch, step)
        for seed in range(3)
        for purpose in range(3)
        for epoch in range(3)
        for step in range(3)
    ]
    assert len({sampling.seed_for(*place) for place in places}) == len(places)


def test_generators_of_one_step_draw_equal_numbers():
    def draw():
        return torch.rand(4, generator=sampling.generator(5, sampling.AUGMENT, 2, 3))

    assert torch.equal(draw(), draw())
    assert np.unique(draw()).size == 4


def test_the_rarity_of_a_class_is_all_pixels_divided_by_its_pixels():
    assert sampling.class_rarity(np.array([[6, 1, 0], [2, 1, 0]])).tolist() == [10 / 8, 10 / 2, 0]


def test_a_focus_point_is_the_centre_of_a_pixel_of_the_class():
    labels = torch.full((1, 4, 8), IGNORE_INDEX, dtype=torch.uint8)
    labels[0, 3, 6] = 1
    assert focus_points(labels, [1.0, 1.0], 1.0).tolist() == [[2 * 6.5 / 8 - 1, 2 * 3.5 / 4 - 1]]


def test_focus_points_are_on_rarer_classes_more_often():
    labels = torch.zeros(400, 2, 2, dtype=torch.uint8)
    labels[:, 0, 0] = 1
    points = focus_points(labels, [1.0, 3.0], 1.0)
    hits = (points == torch.tensor([-0.5, -0.5])).all(dim=1).sum()
    assert 260 < hits < 340  # 3 in 4 of 400


def test_only_the_share_of_images_has_a_focus_point_and_unlabelled_images_have_no_point():
    labels = torch.zeros(400, 2, 2, dtype=torch.uint8)
    has_point = ~focus_points(labels, [1.0], 0.25).isnan().any(dim=1)
    assert 70 < has_point.sum() < 130
    assert focus_points(torch.full((3, 2, 2), IGNORE_INDEX, dtype=torch.uint8), [1.0], 1.0).isnan().all()


def test_crops_show_their_focus_points():
    labels = torch.zeros(16, 64, 64, dtype=torch.uint8)
    labels[:, 60, 3] = 1
    for strength in (IDENTITY, SHAPE_ONLY):
        points = focus_points(labels, [0.0, 1.0], 1.0)
        variations = augment.draw(labels, (24, 24), strength, torch.Generator().manual_seed(1), points)
        theta = variations.theta
        in_crop = torch.linalg.solve(theta[:, :, :2], points.float().unsqueeze(2) - theta[:, :, 2:])  # -1..1
        is_shown = (in_crop.squeeze(2).abs() <= 1).all(dim=1)
        assert is_shown.float().mean() >= 0.9  # a rotated crop in a corner may miss the point


def test_points_of_nan_change_nothing():
    labels = torch.zeros(3, 32, 32, dtype=torch.uint8)
    nan_points = torch.full((3, 2), torch.nan, dtype=torch.float64)
    without, with_nan = (
        augment.draw(labels, (16, 16), SHAPE_ONLY, torch.Generator().manual_seed(0), points)
        for points in (None, nan_points)
    )
    assert torch.equal(without.theta, with_nan.theta)
