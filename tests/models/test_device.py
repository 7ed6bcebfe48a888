import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.models.device import pick_device


def test_auto_is_a_device_that_can_compute():
    assert torch.ones(2, device=pick_device("auto")).sum().item() == 2


def test_a_device_is_chosen_by_name():
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", ""])
def test_a_missing_device_is_an_error_of_one_line(name):
    with pytest.raises(UserError, match=rf"^device '{name}' is not available here; use auto, cpu, cuda or mps$"):
        pick_device(name)
