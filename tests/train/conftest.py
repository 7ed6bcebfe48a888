"""Fixtures of the tests of training."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks are fastest on one thread, and give equal results on any machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(False)
