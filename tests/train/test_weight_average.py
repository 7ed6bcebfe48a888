import pytest
import torch
from torch import nn

from segpipe.train.weight_average import WeightAverage


def network_of(value):
    network = nn.BatchNorm1d(2)
    with torch.no_grad():
        network.weight.fill_(value)
    return network


def test_a_step_keeps_the_decays_part_of_the_average():
    network = network_of(1.0)
    average = WeightAverage(network, decay=0.9)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.num_batches_tracked.fill_(7)
    average.update(step=1000)
    assert average.weights["weight"].tolist() == pytest.approx([1.1, 1.1])  # 0.9 * 1 + 0.1 * 2
    assert average.weights["num_batches_tracked"] == 7
    average.update(step=1001)
    assert average.weights["weight"].tolist() == pytest.approx([1.19, 1.19])


def test_the_first_steps_forget_faster():
    network = network_of(0.0)
    average = WeightAverage(network, decay=0.999)
    with torch.no_grad():
        network.weight.fill_(1.0)
    average.update(step=1)  # keeps (1 + 1) / (10 + 1)
    assert average.weights["weight"].tolist() == pytest.approx([9 / 11] * 2)


def test_the_average_is_worn_and_taken_off_again_even_after_an_error():
    network = network_of(1.0)
    average = WeightAverage(network, decay=0.5)
    with torch.no_grad():
        network.weight.fill_(3.0)

    def wear():
        with average.worn():
            assert network.weight.tolist() == [1.0, 1.0]
            raise KeyError

    with pytest.raises(KeyError):
        wear()
    assert network.weight.tolist() == [3.0, 3.0]
    assert average.weights["weight"].tolist() == [1.0, 1.0]


def test_a_saved_average_comes_back():
    network = network_of(1.0)
    average = WeightAverage(network_of(5.0), decay=0.5)
    average.load(WeightAverage(network, decay=0.5).weights)
    assert average.weights["weight"].tolist() == [1.0, 1.0]
