import numpy as np
import torch

from segpipe.train import randomness


def test_an_epoch_shows_every_picture_in_full_batches():
    batches = randomness.order(10, 4, seed=0, epoch=1)
    assert batches.shape == (3, 4)
    assert sorted(batches.ravel()[:10].tolist()) == list(range(10))
    assert batches.ravel()[10:].tolist() == batches.ravel()[:2].tolist()  # filled up from the start of the order


def test_one_picture_is_repeated_to_fill_a_batch():
    assert randomness.order(1, 2, seed=0, epoch=1).tolist() == [[0, 0]]


def test_every_epoch_and_seed_has_its_own_order_and_keeps_it():
    def first(seed, epoch):
        return randomness.order(50, 5, seed, epoch).ravel().tolist()

    assert first(0, 1) == first(0, 1)
    assert len({tuple(first(seed, epoch)) for seed in (0, 1) for epoch in (1, 2)}) == 4


def test_no_two_places_of_a_training_share_their_random_numbers():
    places = [
        (seed, use, epoch, step) for seed in range(3) for use in range(3) for epoch in range(3) for step in range(3)
    ]
    assert len({randomness.seed_for(*place) for place in places}) == len(places)


def test_a_generator_starts_at_its_place():
    def draw():
        return torch.rand(4, generator=randomness.generator(5, randomness.AUGMENT, 2, 3))

    assert torch.equal(draw(), draw())
    assert np.unique(draw()).size == 4
