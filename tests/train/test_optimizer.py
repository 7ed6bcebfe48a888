import pytest
import torch

from segpipe.models.segmenter import build_segmenter
from segpipe.train import optimizer


@pytest.fixture
def segmenter():
    return build_segmenter("fpn", "mobilenetv3_small_050", 2, [True, True])


def test_the_rate_rises_linearly_then_falls_as_a_cosine():
    factors = [optimizer.lr_factor(step, steps=103, warmup_steps=2) for step in range(103)]
    assert factors[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert factors[52] == pytest.approx((1 + optimizer.FINAL_FACTOR) / 2)  # half-way between step 2 and step 102
    assert factors[-1] == pytest.approx(optimizer.FINAL_FACTOR)
    assert factors[2:] == sorted(factors[2:], reverse=True)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 5), (2, 2), (3, 1)])
def test_very_short_trainings_have_a_positive_rate(steps, warmup):
    assert all(0 < optimizer.lr_factor(step, steps, warmup) <= 1 for step in range(steps))


def test_every_parameter_is_in_one_group_with_the_right_rate_and_decay(segmenter):
    adamw = optimizer.adamw(segmenter, lr=1e-3, weight_decay=0.1, encoder_lr_factor=0.5)
    group_of = {id(p): group for group in adamw.param_groups for p in group["params"]}
    parameters = dict(segmenter.named_parameters())
    assert len(group_of) == len(parameters) == sum(len(group["params"]) for group in adamw.param_groups)
    for name, parameter in parameters.items():
        group = group_of[id(parameter)]
        assert group["lr"] == (5e-4 if ".encoder." in name else 1e-3), name
        assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0), name


def test_a_factor_scales_every_groups_peak(segmenter):
    adamw = optimizer.adamw(segmenter, lr=1e-3, weight_decay=0.1, encoder_lr_factor=0.5)
    assert optimizer.set_lr(adamw, 0.1) == pytest.approx(1e-4)
    assert optimizer.set_lr(adamw, 0.5) == pytest.approx(5e-4)  # of the peak, not of the last rate
    assert {round(group["lr"], 9) for group in adamw.param_groups} == {5e-4, 2.5e-4}


def test_a_long_gradient_is_shortened_and_its_norm_is_returned():
    layer = torch.nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    assert optimizer.clip_gradients(layer, 1.0).item() == pytest.approx(5.0)
    assert layer.weight.grad.tolist()[0] == pytest.approx([0.6, 0.8], abs=1e-5)


def test_poly_falls_nearly_as_a_line():
    factors = [optimizer.lr_factor(step, steps=11, warmup_steps=0, decay=optimizer.poly) for step in range(11)]
    assert factors[0] == pytest.approx(1.0)
    assert factors[5] == pytest.approx(0.01 + 0.99 * 0.5**0.9)
    assert factors[-1] == pytest.approx(optimizer.FINAL_FACTOR)


def test_sgd_has_the_groups_of_adamw(segmenter):
    sgd, adamw = (make(segmenter, 1e-2, 0.1, 0.5).param_groups for make in (optimizer.sgd, optimizer.adamw))
    assert [(g["peak_lr"], g["weight_decay"], len(g["params"])) for g in sgd] == [
        (g["peak_lr"], g["weight_decay"], len(g["params"])) for g in adamw
    ]
    assert {(group["momentum"], group["nesterov"]) for group in sgd} == {(0.9, True)}


def test_a_frozen_encoder_changes_neither_weights_nor_statistics(segmenter):
    optimizer.train_mode(segmenter, is_encoder_frozen=True)
    assert segmenter.training
    assert not any(module.training for module in segmenter.encoder.modules())
    assert not any(parameter.requires_grad for parameter in segmenter.encoder.parameters())
    optimizer.train_mode(segmenter, is_encoder_frozen=False)
    assert all(module.training for module in segmenter.modules())
    assert all(parameter.requires_grad for parameter in segmenter.parameters())
