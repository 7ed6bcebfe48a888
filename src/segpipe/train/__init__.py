"""The stage train: data, losses, epochs, schedule, budget, checkpoints.

Train on one device (with `compute.device: auto` on a GPU if there is one):

    dvc repro train                     # or: python -m stages.train, then dvc commit train

On 4 GPUs of one machine, with `train.processes: 4` in params.yaml:

    dvc repro train

On 2 machines with 4 GPUs each, with the project's folder on a disk that both can access. Run this on each of them
(HOST is the name of the first), then `dvc commit train` on one of them:

    torchrun --nnodes=2 --nproc-per-node=4 --rdzv-backend=c10d --rdzv-endpoint=HOST:29500 --rdzv-id=1 -m stages.train
"""
