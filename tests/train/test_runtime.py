import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.train import runtime
from tests.train import tiny

GPU = torch.device("cuda")  # no GPU is needed


@pytest.fixture
def settings(monkeypatch):
    """PyTorch's settings of determinism, restored afterwards."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    flags = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    yield
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = flags
    torch.use_deterministic_algorithms(False)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


@pytest.mark.usefixtures("settings")
def test_on_a_cpu_algorithms_are_always_deterministic():
    runtime.set_determinism(tiny.CPU, strict=False)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()


@pytest.mark.usefixtures("settings")
def test_on_a_gpu_algorithms_are_fast_unless_strict():
    runtime.set_determinism(GPU, strict=False)
    assert not torch.are_deterministic_algorithms_enabled()
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (False, True)
    runtime.set_determinism(GPU, strict=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.usefixtures("settings")
def test_an_operation_without_a_deterministic_version_is_reported_with_a_remedy():
    runtime.set_determinism(GPU, strict=True)
    message = r"^put_ has no deterministic version on this device; choose another train\."
    with pytest.raises(UserError, match=message), runtime.explain_nondeterminism():
        torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))


def test_other_errors_are_not_changed():
    with pytest.raises(RuntimeError, match="shapes"), runtime.explain_nondeterminism():
        torch.zeros(2, 3) @ torch.zeros(2, 3)


@pytest.mark.parametrize(("capability", "is_on"), [(7, False), (8, True)])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(monkeypatch, capability, is_on):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(major=capability))
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda _: True, raising=False)
    assert runtime.autocast(GPU, amp=True)._enabled == is_on


FREE_128_MIB = """
import sys
from pathlib import Path
import numpy as np
from segpipe.train import runtime

if sys.argv[1] == "kept":
    runtime.keep_freed_memory()
pieces = [np.ones(16 << 20, np.uint8) for _ in range(8)]
del pieces
pages = int(Path("/proc/self/statm").read_text().split()[1])
print(pages * 4096 >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="nothing is changed for other C libraries")
def test_the_process_keeps_freed_memory():
    memory_mib = {
        how: int(subprocess.run([sys.executable, "-c", FREE_128_MIB, how], capture_output=True, check=True).stdout)
        for how in ("kept", "returned")
    }
    assert memory_mib["kept"] > memory_mib["returned"] + 100
