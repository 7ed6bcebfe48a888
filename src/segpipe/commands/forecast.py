"""Measure a few steps of training and log how long it will take and how much memory it needs.

Example: segpipe forecast
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no option: the command reads params.yaml of the current folder."""


def run(options: argparse.Namespace) -> None:
    """Measure and log; no file stays behind. Raises UserError."""
    from segpipe.params import load
    from segpipe.train import distributed, planning
    from segpipe.train.prepare import CHECKPOINTS, prepare

    params = load()
    job = prepare(params.train, params.seed, params.compute, "segpipe", "forecast")
    common = job.network, job.data, job.recipe, CHECKPOINTS, job.device, job.group
    planning.make_plan(*common, fills_budget=job.fills_budget)
    distributed.leave(job.group)
