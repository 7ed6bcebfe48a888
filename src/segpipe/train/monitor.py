"""Which pictures a person is shown of a training, and when."""

from itertools import islice

import numpy as np
import torch

from segpipe.models.segmenter import Segmenter
from segpipe.pictures.sheets import Sample
from segpipe.train import augment
from segpipe.train import data as batches
from segpipe.train.data import TrainingData
from segpipe.train.recipe import RunRecipe

TRAINING_PICTURES, VALIDATION_PICTURES = 16, 8
_TIMES = 8  # that predictions are shown in a training, and after its first epoch


def training_pictures(data: TrainingData, recipe: RunRecipe) -> list[Sample]:
    """The first TRAINING_PICTURES pictures of the first epoch, varied as they will be; fewer if there are no more."""
    size_hw = batches.crop_hw(data, recipe)
    steps = -(-TRAINING_PICTURES // recipe.images_per_step)
    pictures = []
    for batch in islice(batches.training_batches(data, recipe, 1, 0, torch.device("cpu")), steps):
        assert batch.draws is not None
        images, truths = augment.apply(batch.images, batch.labels, batch.draws, size_hw)
        pixels = images.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()  # (N, h, w, 3)
        for key, image, truth in zip(batch.keys, pixels, truths.numpy(), strict=True):
            pictures.append(Sample(key=key, image=image, truth=truth))
    return pictures[:TRAINING_PICTURES]


def validation_pictures(data: TrainingData, preds: np.ndarray) -> list[Sample]:
    """Those that `predictions` are of, with them."""
    return [
        Sample(key=data.keys[i], image=np.asarray(data.images[i]), truth=np.asarray(data.labels[i]), pred=pred)
        for i, pred in zip(validation_positions(data).tolist(), preds, strict=True)
    ]


def validation_positions(data: TrainingData) -> np.ndarray:
    """At most VALIDATION_PICTURES of the validation pictures' positions, spread over all of them."""
    count = len(data.val_index)
    few = min(count, VALIDATION_PICTURES)
    return data.val_index[np.arange(few) * count // max(1, few)]


def is_due(epoch: int, epochs: int, data: TrainingData) -> bool:
    """Whether predictions are shown after that epoch: after the first, the last, and some between."""
    return len(data.val_index) > 0 and (epoch in (1, epochs) or epoch % -(-epochs // _TIMES) == 0)


def predictions(segmenter: Segmenter, data: TrainingData, device: torch.device) -> np.ndarray:
    """The class of each pixel of the validation pictures that are shown, uint8 (n, h, w); leaves the eval mode on."""
    images = torch.from_numpy(np.asarray(data.images[validation_positions(data)])).permute(0, 3, 1, 2)
    segmenter.eval()
    with torch.inference_mode():
        return segmenter(images.to(device)).argmax(dim=1).to(torch.uint8).cpu().numpy()
