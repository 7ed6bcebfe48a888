"""Training in several processes: each process trains on part of every batch, all compute the loss of the whole batch.

torchrun or `launch` starts the processes. They communicate through NCCL between GPUs and gloo between CPUs. All
processes do the same steps with the same weights. A loss over the whole batch (Dice, Lovász) is exact, not a mean of
the processes' losses. The result equals that of one process within float error, except for dropout, whose masks are
drawn per process.

Not DistributedDataParallel: it averages a loss per process, and torch's SyncBatchNorm runs on GPUs only. Not torchrun's
elastic agent on one machine: it prints a traceback per process, where `launch` reports one error line.
"""

import logging
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from timm.layers import convert_sync_batchnorm
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from segpipe.core.errors import REPORTED, UserError

_POLL_SECONDS = 0.2
_BY_LAUNCHER = "the launcher reports"
_GRACE_SECONDS = 60.0  # a process that is asked to end may first write its checkpoint
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Group:
    """The processes that train together, seen from one of them."""

    rank: int = 0
    world_size: int = 1
    control: dist.ProcessGroup | None = None  # for decisions, on the CPU; None for a single process

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process. Decisions that depend on a clock must be made together."""
        if self.control is None:
            return flag
        flags = torch.tensor(int(flag))
        dist.all_reduce(flags, dist.ReduceOp.MAX, group=self.control)
        return bool(flags)

    def reduce_min(self, value: int) -> int:
        """The smallest of the processes' values."""
        if self.control is None:
            return value
        values = torch.tensor(value)
        dist.all_reduce(values, dist.ReduceOp.MIN, group=self.control)
        return int(values)

    def reduce_sum(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over the processes, in float64 on the CPU: some GPUs have no float64."""
        if self.control is None:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums, group=self.control)
        return sums.tolist()

    def rows(self, count: int, parts: int = 1) -> np.ndarray:
        """The positions of this process's images in a batch of `count` images: int64 (count / world_size,).

        The batch passes through the network in `parts` equal parts; each process has an equal share of each part.

        >>> Group(rank=1, world_size=2).rows(8, parts=2).tolist()
        [2, 3, 6, 7]
        """
        return np.arange(count).reshape(parts, self.world_size, -1)[:, self.rank].ravel()

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, (N, ...). Only this process's rows get a gradient.

        rows: (N / world_size, ...) of any dtype and range, of equal shape in every process. The result has this dtype.
        """
        if self.world_size == 1:
            return rows
        gathered = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(self.world_size)]
        dist.all_gather(gathered, rows.detach().contiguous())
        gathered[self.rank] = rows
        return torch.cat(gathered)

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Replace float32 or int64 tensors of one dtype by their sums over the processes."""
        if self.world_size > 1 and tensors:
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            dist.all_reduce(flat)
            for tensor, total in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
                tensor.copy_(total.view(tensor.shape))

    def all_reduce_gradients(self, network: nn.Module) -> None:
        """Sum the gradients over the processes; each process has the gradient through its rows."""
        self.all_reduce([parameter.grad for parameter in network.parameters() if parameter.grad is not None])

    def sync_batch_norm(self, network: nn.Module, device: torch.device) -> None:
        """Compute batch norm over the whole batch, not per process. The names in the state dict stay the same."""
        if self.world_size > 1 and device.type == "cuda":
            convert_sync_batchnorm(network)
        elif self.world_size > 1:
            for module in network.modules():
                module.__class__ = _SYNC.get(type(module), module.__class__)


SINGLE = Group()


def join(device: torch.device, batch_size: int) -> Group:
    """The group of this process: initialised if torchrun or `launch` started several processes, else SINGLE.

    Only rank 0 logs below warnings. Raises UserError if the batch cannot be divided by the number of processes.
    """
    if not is_launched():
        return SINGLE
    world_size = int(os.environ["WORLD_SIZE"])
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise UserError(
            f"the environment has WORLD_SIZE={world_size} without {', '.join(missing)}; "
            "start with torchrun, or unset WORLD_SIZE"
        )
    if batch_size % world_size:
        raise UserError(
            f"train.batch_size {batch_size} cannot be divided among {world_size} processes; make it a multiple"
        )
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if dist.get_rank():
        logging.getLogger().setLevel(logging.WARNING)
    return Group(dist.get_rank(), world_size, dist.new_group(backend="gloo"))


def leave(group: Group) -> None:
    """Destroy the process group."""
    if group.world_size > 1:
        dist.destroy_process_group()


def local_device(device: torch.device) -> torch.device:
    """The GPU of this process if several processes train on "cuda", else `device`.

    Raises UserError if there are fewer GPUs than processes.
    """
    if device.type != "cuda" or device.index is not None or not is_launched():
        return device
    local_rank, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    needed = int(os.environ.get("LOCAL_WORLD_SIZE", local_rank + 1))
    if needed > gpus:
        raise UserError(f"{needed} processes need a GPU each, but there are {gpus}; lower train.processes")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def is_launched() -> bool:
    """Whether this process is one of several. Some batch systems set WORLD_SIZE=1 for every process."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def launch(command: Sequence[str], processes: int) -> int:
    """Run `command` in several processes on this machine and wait. Returns 0, or the first failure's exit status.

    Signals are forwarded once to each process. If a process fails, the others are terminated. One error line names the
    failed process, unless it has reported an error itself.
    """
    port, signals = _free_port(), list[int]()
    with tempfile.TemporaryDirectory() as folder:
        reported = Path(folder) / "reported"
        # Each process has a new session: Ctrl-C in a terminal reaches only the launcher, which forwards it.
        children = [
            subprocess.Popen(
                command, env=_environment(rank, processes, port) | {REPORTED: str(reported)}, start_new_session=True
            )
            for rank in range(processes)
        ]

        def forward(number: int, frame: FrameType | None) -> None:
            signals.append(number)
            for child in children:
                child.send_signal(number)

        handlers = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            rank, status = _wait(children, signals, reported)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if status and not signals and (not reported.exists() or reported.read_text() == _BY_LAUNCHER):
            _log.error("error: rank %d of %d processes %s", rank, processes, _describe_exit(status))
        return status


def _wait(children: Sequence["subprocess.Popen[bytes]"], signals: Sequence[int], reported: Path) -> tuple[int, int]:
    """Wait for all processes. Returns the rank and exit status of the first failure, or 0, 0.

    signals: those forwarded so far. After a signal all processes end without help: rank 0 saves first.
    reported: the file of the process that reports the error; written here for a process that a signal has ended.
    """
    failure, deadline = (0, 0), float("inf")
    while True:
        statuses = [child.poll() for child in children]
        failed = [(rank, status) for rank, status in enumerate(statuses) if status]
        if failed and failure == (0, 0):
            # A process ended by a signal comes first: the others fail, or abort, because it is missing.
            failure = min(failed, key=lambda item: item[1] > 0 or item[1] == -signal.SIGABRT)
            deadline = time.monotonic() + _GRACE_SECONDS
            if failure[1] < 0 and not signals and not reported.exists():  # the others may be slow to notice
                reported.write_text(_BY_LAUNCHER)
            for child in children if not signals else ():
                child.terminate()
        if None not in statuses:
            return failure
        if time.monotonic() > deadline:
            for child in children:
                child.kill()
        time.sleep(_POLL_SECONDS)


def _describe_exit(status: int) -> str:
    if status > 0:
        return f"ended with exit status {status}"
    reason = ", most often because memory ran out" if status == -signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-status).name}{reason}; run again to continue from the last checkpoint"


def _environment(rank: int, world_size: int, port: int) -> dict[str, str]:
    """The variables that torch.distributed reads, and an equal share of the cores for each process."""
    threads = str(max(1, (os.cpu_count() or 1) // world_size))
    place = {
        **{"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size},
        "MASTER_PORT": port,
    }
    values = {name: str(value) for name, value in place.items()}
    # A torchrun that started this process would make the children connect to its port.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TORCHELASTIC_")}
    return {"OMP_NUM_THREADS": threads} | inherited | values | {"MASTER_ADDR": "127.0.0.1"}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class _SyncBatchNorm2d(nn.BatchNorm2d):
    """Source: Ioffe and Szegedy, Batch Normalization, ICML 2015, algorithm 1."""

    def forward(self, values: Tensor) -> Tensor:
        return _normalise(self, values) if self.training else super().forward(values)


class _SyncBatchNormAct2d(BatchNormAct2d):
    """timm's batch norm with an activation."""

    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            return super().forward(values)
        return self.act(self.drop(_normalise(self, values)))


_SYNC: dict[type, type] = {
    nn.BatchNorm2d: _SyncBatchNorm2d,
    BatchNormAct2d: _SyncBatchNormAct2d,
}


class _Sum(torch.autograd.Function):
    """The sum over the processes; its gradient is the sum of the processes' gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


def _normalise(norm: nn.BatchNorm2d, values: Tensor) -> Tensor:
    """Normalise float32 (N, C, h, w) of this process over all processes. Updates running statistics as PyTorch does."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    count = dist.get_world_size() * values.numel() // values.shape[1]
    mean = _Sum.apply(values.sum(dim=(0, 2, 3))) / count
    centred = values - mean.view(1, -1, 1, 1)
    variance = _Sum.apply((centred**2).sum(dim=(0, 2, 3))) / count
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * count / (count - 1), norm.momentum)
    scaled = centred * torch.rsqrt(variance + norm.eps).view(1, -1, 1, 1)
    return scaled * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)
