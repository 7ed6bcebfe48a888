"""Several processes that train one network: each takes some rows of every batch, all know the whole batch's loss.

Started by torchrun or by segpipe.train.launch; NCCL between GPUs, gloo between CPUs. All processes do the same
steps with the same weights, so a loss over the whole batch (Dice, Lovász) is exact and not a mean over the processes'.
The result is that of one process within float error, but for dropout: each process draws the masks of its own rows.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from timm.layers import convert_sync_batchnorm
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from segpipe.core.errors import UserError
from segpipe.train import launch


@dataclass(frozen=True, slots=True)
class Team:
    """This process's place among `size`; control: for decisions, on the CPU; None where one works alone."""

    rank: int = 0
    size: int = 1
    control: dist.ProcessGroup | None = None

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process: what depends on a clock is decided together."""
        if self.control is None:
            return flag
        votes = torch.tensor(int(flag))
        dist.all_reduce(votes, dist.ReduceOp.MAX, group=self.control)
        return bool(votes)

    def least(self, value: int) -> int:
        """The smallest of the processes' values."""
        if self.control is None:
            return value
        values = torch.tensor(value)
        dist.all_reduce(values, dist.ReduceOp.MIN, group=self.control)
        return int(values)

    def totals(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over the processes, in float64 on the CPU: not every GPU has it."""
        if self.control is None:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums, group=self.control)
        return sums.tolist()

    def own_rows(self, count: int, parts: int = 1) -> np.ndarray:
        """This process's rows of a batch of `count` that goes through the networks in equal parts: int64 positions."""
        return np.arange(count).reshape(parts, self.size, -1)[:, self.rank].ravel()

    def gathered(self, rows: Tensor) -> Tensor:
        """All processes' rows (N / size, ...) as (N, ...); a gradient flows to this one's only."""
        if self.size == 1:
            return rows
        everyones = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(everyones, rows.detach().contiguous())
        everyones[self.rank] = rows
        return torch.cat(everyones)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace float32 or int64 tensors of one kind by their sums over the processes."""
        if self.size > 1 and tensors:
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            dist.all_reduce(flat)
            for tensor, total in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
                tensor.copy_(total.view(tensor.shape))

    def sum_gradients(self, network: nn.Module) -> None:
        """Each process has the gradient through its own rows: add them up."""
        self.sum([parameter.grad for parameter in network.parameters() if parameter.grad is not None])

    def prepare(self, network: nn.Module, device: torch.device) -> None:
        """Batch norm over the whole batch, not over each process's rows; the state dict stays the same."""
        if self.size > 1 and device.type == "cuda":
            convert_sync_batchnorm(network)
        elif self.size > 1:
            for module in network.modules():
                module.__class__ = _SYNCED.get(type(module), module.__class__)


ALONE = Team()


def join(device: torch.device, batch_size: int) -> Team:
    """Meet the other processes, if torchrun or segpipe.train.launch started this one as one of several.

    The first process speaks for all: the others only warn. Raises UserError where the batch cannot be shared evenly.
    """
    if not launch.is_launched():
        return ALONE
    size = int(os.environ["WORLD_SIZE"])
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise UserError(
            f"the environment has WORLD_SIZE={size} without {', '.join(missing)}; use torchrun, or unset WORLD_SIZE"
        )
    if batch_size % size:
        raise UserError(f"train.batch_size {batch_size} cannot be shared by {size} processes; make it a multiple")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if dist.get_rank():
        logging.getLogger().setLevel(logging.WARNING)
    return Team(dist.get_rank(), size, dist.new_group(backend="gloo"))


def leave(team: Team) -> None:
    """Say goodbye to the others."""
    if team.size > 1:
        dist.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """This process's GPU where there are several; raises UserError where there are too few."""
    if device.type != "cuda" or device.index is not None or not launch.is_launched():
        return device
    number, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    needed = int(os.environ.get("LOCAL_WORLD_SIZE", number + 1))
    if needed > there:
        raise UserError(f"{needed} processes want a GPU each and there are {there}; lower train.processes")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


class _SyncedBatchNorm2d(nn.BatchNorm2d):
    """PyTorch has it for GPUs only. Source: Ioffe and Szegedy, Batch Normalization, ICML 2015, algorithm 1."""

    def forward(self, values: Tensor) -> Tensor:
        return _normalised(self, values) if self.training else super().forward(values)


class _SyncedBatchNormAct2d(BatchNormAct2d):
    """timm's, with its activation."""

    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            return super().forward(values)
        return self.act(self.drop(_normalised(self, values)))


_SYNCED: dict[type, type] = {nn.BatchNorm2d: _SyncedBatchNorm2d, BatchNormAct2d: _SyncedBatchNormAct2d}


class _Sum(torch.autograd.Function):
    """The sum over the processes; what depends on it in any of them counts in its gradient."""

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


def _normalised(norm: nn.BatchNorm2d, values: Tensor) -> Tensor:
    """values: float32 (N, C, h, w), of this process. Counts running statistics as PyTorch does."""
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
