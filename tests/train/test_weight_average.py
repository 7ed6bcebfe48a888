import pytest
import torch
from torch import nn

from segpipe.train.weight_average import WeightAverage


def network_of(value):
    network = nn.BatchNorm1d(2)
    with torch.no_grad():
        network.weight.fill_(value)
    return network


def test_a_step_keeps_the_share_decay_of_the_average():
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


def test_the_average_is_that_of_pytorchs_averaged_model_after_the_early_steps():
    network = network_of(1.0)
    average = WeightAverage(network, decay=0.9)
    theirs = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    theirs.update_parameters(network)  # the first update copies
    for step, value in enumerate((2.0, -1.0, 5.0), start=1000):
        with torch.no_grad():
            network.weight.fill_(value)
        average.update(step)
        theirs.update_parameters(network)
    torch.testing.assert_close(average.weights["weight"], theirs.module.weight.detach())


def test_the_first_steps_keep_less_of_the_average():
    network = network_of(0.0)
    average = WeightAverage(network, decay=0.999)
    with torch.no_grad():
        network.weight.fill_(1.0)
    average.update(step=1)  # keeps (1 + 1) / (10 + 1)
    assert average.weights["weight"].tolist() == pytest.approx([9 / 11] * 2)


def test_the_network_has_the_average_within_the_context_and_its_weights_after_an_error():
    network = network_of(1.0)
    average = WeightAverage(network, decay=0.5)
    with torch.no_grad():
        network.weight.fill_(3.0)

    def fail():
        with average.applied():
            assert network.weight.tolist() == [1.0, 1.0]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert network.weight.tolist() == [3.0, 3.0]
    assert average.weights["weight"].tolist() == [1.0, 1.0]


def test_a_saved_average_is_loaded():
    network = network_of(1.0)
    average = WeightAverage(network_of(5.0), decay=0.5)
    average.load(WeightAverage(network, decay=0.5).weights)
    assert average.weights["weight"].tolist() == [1.0, 1.0]
