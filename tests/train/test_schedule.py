import pytest
import torch

from segpipe.models import segmenter as build
from segpipe.train import optimizer as schedule


def test_the_rate_rises_linearly_then_falls_as_a_cosine():
    factors = [schedule.lr_factor(step, steps=103, warmup_steps=2) for step in range(103)]
    assert factors[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert factors[52] == pytest.approx((1 + schedule.FINAL_FACTOR) / 2)  # half-way between step 2 and step 102
    assert factors[-1] == pytest.approx(schedule.FINAL_FACTOR)
    assert factors[2:] == sorted(factors[2:], reverse=True)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 5), (2, 2), (3, 1)])
def test_very_short_trainings_have_a_rate_too(steps, warmup):
    assert all(0 < schedule.lr_factor(step, steps, warmup) <= 1 for step in range(steps))


def test_every_parameter_is_in_one_group_with_its_own_rate_and_decay():
    segmenter = build.segmenter("fpn", "mobilenetv3_small_050", 2, [True, True])
    optimizer = schedule.adamw(segmenter, lr=1e-3, weight_decay=0.1, encoder_lr_factor=0.5)
    of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    parameters = dict(segmenter.named_parameters())
    assert len(of) == len(parameters) == sum(len(group["params"]) for group in optimizer.param_groups)
    for name, parameter in parameters.items():
        group = of[id(parameter)]
        assert group["lr"] == (5e-4 if ".encoder." in name else 1e-3), name
        assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0), name


def test_a_factor_scales_every_groups_peak():
    segmenter = build.segmenter("fpn", "mobilenetv3_small_050", 2, [True, True])
    optimizer = schedule.adamw(segmenter, lr=1e-3, weight_decay=0.1, encoder_lr_factor=0.5)
    assert schedule.set_lr(optimizer, 0.1) == pytest.approx(1e-4)
    assert schedule.set_lr(optimizer, 0.5) == pytest.approx(5e-4)  # of the peak, not of the last rate
    assert {round(group["lr"], 9) for group in optimizer.param_groups} == {5e-4, 2.5e-4}


def test_a_long_gradient_is_shortened_and_its_length_told():
    layer = torch.nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    assert schedule.clip_gradients(layer, 1.0).item() == pytest.approx(5.0)
    assert layer.weight.grad.tolist()[0] == pytest.approx([0.6, 0.8], abs=1e-5)


def test_poly_falls_nearly_as_a_line():
    factors = [schedule.lr_factor(step, steps=11, warmup_steps=0, fall=schedule.poly) for step in range(11)]
    assert factors[0] == pytest.approx(1.0)
    assert factors[5] == pytest.approx(0.01 + 0.99 * 0.5**0.9)
    assert factors[-1] == pytest.approx(schedule.FINAL_FACTOR)


def test_sgd_has_the_groups_of_adamw():
    segmenter = build.segmenter("fpn", "mobilenetv3_small_050", 2, [True, True])
    ours, theirs = (make(segmenter, 1e-2, 0.1, 0.5).param_groups for make in (schedule.sgd, schedule.adamw))
    assert [(g["peak_lr"], g["weight_decay"], len(g["params"])) for g in ours] == [
        (g["peak_lr"], g["weight_decay"], len(g["params"])) for g in theirs
    ]
    assert {(group["momentum"], group["nesterov"]) for group in ours} == {(0.9, True)}


def test_a_frozen_encoder_neither_learns_nor_counts():
    segmenter = build.segmenter("fpn", "mobilenetv3_small_050", 2, [True, True])
    schedule.train_mode(segmenter, is_encoder_frozen=True)
    assert segmenter.training
    assert not any(module.training for module in segmenter.encoder.modules())
    assert not any(parameter.requires_grad for parameter in segmenter.encoder.parameters())
    schedule.train_mode(segmenter, is_encoder_frozen=False)
    assert all(module.training for module in segmenter.modules())
    assert all(parameter.requires_grad for parameter in segmenter.parameters())
