"""Train in several processes: a program for test_distributed.py.

usage: python -m tests.train.spread FOLDER [JSON of changes to the recipe]
The process of rank 0 writes the records and the weights into FOLDER.
"""

import json
import sys
from pathlib import Path

import torch

from segpipe.models.segmenter import build_segmenter
from segpipe.train import distributed, history, loop
from tests.train import tiny


def main(folder: Path, changes: dict) -> None:
    torch.set_num_threads(1)
    recipe = tiny.recipe(**{"batch_size": 4, "optimizer": "sgd", "lr": 1e-3, "epochs": 2, "ship": "last"} | changes)
    data = tiny.data(train=10, val=5)
    group = distributed.join(tiny.CPU, recipe.batch_size)
    network = build_segmenter("unet", tiny.ENCODER, 4, data.seen)  # no dropout: its masks differ between processes
    records = tiny.epochs(loop.fit(network, data, recipe, folder, "abc", tiny.CPU, group))
    if group.rank == 0:
        (folder / "records.json").write_text(history.as_json(records))
        torch.save(network.state_dict(), folder / "weights.bin")
    distributed.leave(group)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})
