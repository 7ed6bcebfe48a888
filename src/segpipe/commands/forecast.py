"""Measure a few steps of training and log how long it will take and how much memory it needs.

Example: segpipe forecast
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no option: the command reads params.yaml of the current folder."""


def run(options: argparse.Namespace) -> None:
    """Measure and log; no file stays behind. Raises UserError."""
    from segpipe.params import load
    from segpipe.train import distributed, planning, prepare
    from segpipe.train.recipe import RunRecipe

    params = load()
    section = params.train
    device, group = prepare.device_and_group(section, params.compute.device, "segpipe", "forecast")
    _, data, network, _ = prepare.data_and_network(section, params.seed)
    recipe = RunRecipe.of(section, params.seed, params.compute.checkpoint_minutes)
    fills_budget = section.epochs == "auto"
    planning.make_plan(network, data, recipe, prepare.CHECKPOINTS, device, group, fills_budget=fills_budget)
    distributed.leave(group)
