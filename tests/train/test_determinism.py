import os

import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.train import determinism
from tests.train import tiny

GPU = torch.device("cuda")  # only its name is looked at: no GPU is needed


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    flags = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    yield
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = flags
    torch.use_deterministic_algorithms(False)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_on_a_cpu_algorithms_are_deterministic_without_being_asked():
    determinism.prepare(tiny.CPU, strict=False)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()


def test_a_gpu_is_fast_unless_it_is_to_be_strict():
    determinism.prepare(GPU, strict=False)
    assert not torch.are_deterministic_algorithms_enabled()
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (False, True)
    determinism.prepare(GPU, strict=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_an_operation_without_a_deterministic_version_is_said_with_what_to_do():
    determinism.prepare(GPU, strict=True)
    said = r"^put_ has no deterministic version on this device; choose another train\."
    with pytest.raises(UserError, match=said), determinism.explained():
        torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match="shapes"), determinism.explained():
        torch.zeros(2, 3) @ torch.zeros(2, 3)
