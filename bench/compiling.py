"""The time of a training step on this device, with and without torch.compile, for the network in params.yaml.

`python -m bench.compiling [ARCHITECTURE...]` prints a row per mode: the seconds of the first step with compilation,
then the median and the minimum of STEPS steps on one batch in memory. On a CPU it takes minutes and needs a C++
compiler.
"""

import statistics
import sys
import time

import torch
import torch.nn.functional as F
import yaml

from bench.floor import ROOT
from segpipe.models.device import pick_device
from segpipe.models.segmenter import build_segmenter
from segpipe.params import Params
from segpipe.train import compiling, runtime
from segpipe.train import optimizer as schedule
from segpipe.train.distributed import SINGLE

CLASSES, STEPS = 12, 10


def main() -> None:
    """Print the table. Arguments: architectures (default: that of params.yaml)."""
    params = Params(**yaml.safe_load((ROOT / "params.yaml").read_text()))
    device = pick_device("auto")
    print(
        f"{device}, {torch.get_num_threads()} threads, batches of {params.train.batch_size} at {params.photos.size_hw}"
    )
    print("\n| network | mode | first step s | median s | minimum s |\n|---|---|---|---|---|")
    for architecture in sys.argv[1:] or [params.train.architecture]:
        for mode in ("off", *compiling.MODES):
            first, steps = timed(architecture, mode, params, device)
            times = f"{first:.1f} | {statistics.median(steps):.3f} | {min(steps):.3f}"
            print(f"| {architecture} | {mode} | {times} |", flush=True)


def timed(architecture: str, mode: str, params: Params, device: torch.device) -> tuple[float, list[float]]:
    """Seconds of the first step of a training, and of each of STEPS more."""
    train, (height, width) = params.train, params.photos.size_hw
    torch.compiler.reset()
    segmenter = build_segmenter(architecture, train.encoder, CLASSES, [True] * CLASSES)
    network = compiling.compile_network(runtime.place(segmenter, device, SINGLE), mode)
    optimizer = schedule.OPTIMIZERS[train.optimizer](segmenter, train.lr, train.weight_decay, 1.0)
    schedule.train_mode(segmenter, is_encoder_frozen=False)
    images = 255 * torch.rand(train.batch_size, 3, height, width, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (train.batch_size, height, width), device=device)
    autocast = runtime.autocast(device, train.amp)

    def step() -> float:
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            logits = network(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        loss.item()  # waits for a GPU
        return time.perf_counter() - start

    first = step()
    for _ in range(compiling.WARM_STEPS):
        step()
    return first, [step() for _ in range(STEPS)]


if __name__ == "__main__":
    main()
