"""Check params.yaml and the files that it names, before anything runs.

Example: segpipe check
"""

import argparse
import logging

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no option: the command reads params.yaml of the current folder."""


def run(options: argparse.Namespace) -> None:
    """Log that params.yaml is valid. Raises UserError with the first fault."""
    from segpipe import params

    params.load_and_check_files()
    logger.info("%s is valid", params.PARAMS)
