"""train: data/store + data/splits.csv -> models/model.pt, the best network of one training."""

import dataclasses
import logging
import sys
from pathlib import Path

import numpy as np
import torch

from segpipe.dataset import split_table
from segpipe.dataset.store import Store
from segpipe.errors import UserError
from segpipe.files import write_json
from segpipe.models import build, weights
from segpipe.models import card as model_card
from segpipe.models import device as devices
from segpipe.tracking import provenance, runs
from segpipe.tracking.interface import RunFacts
from segpipe.training import checkpoint, forecast, history, launch, loop, team
from segpipe.training.batches import TrainingData
from segpipe.training.inputs import inputs_hash
from segpipe.training.recipe import Augment, Loss, Recipe
from stages.params import Params, Train, load, run

logger = logging.getLogger(__name__)
STORE, SPLITS, MODEL = Path("data/store"), Path("data/splits.csv"), Path("models/model.pt")
CHECKPOINTS = Path(".segpipe/checkpoints")
CURVES = Path("metrics/plots/train/epochs.csv")
UNDECISIVE = ("budget_hours", "checkpoint_minutes", "device")  # settings that change no result


def main() -> None:
    """Train, or go on where an earlier process was stopped; write the model, its curves and its run."""
    params = load()
    own = params.train
    if own.processes > 1 and not launch.is_launched():
        sys.exit(launch.launch([sys.executable, "-m", "stages.train"], own.processes))
    device = team.own_device(devices.pick(own.device))
    mates = team.join(device, own.batch_size)
    if mates.rank:
        logging.getLogger().setLevel(logging.WARNING)  # the first process speaks for all
    store, data, segmenter, origin = data_and_network(params)
    inputs = _inputs(own, params.seed)
    logger.info("%s on %s, weights: %s, %s", own.architecture, own.encoder, origin, device)
    own_recipe = _planned(own, params.seed, segmenter, data, checkpoint.path_of(CHECKPOINTS, inputs), device, mates)
    training = loop.fit(segmenter, data, own_recipe, CHECKPOINTS, inputs, device, mates)
    if mates.rank:
        for _ in training:
            pass
        team.leave(mates)
        return
    facts = RunFacts(
        name=f"{own.architecture}-{own.encoder}",
        inputs=inputs,
        params=params.model_dump(mode="json", by_alias=True),
        tags=provenance.tags(Path("dvc.lock"), [params.ingest.source, STORE.as_posix(), SPLITS.as_posix()]),
        classes=store.classes.names,
    )
    with runs.open_training(facts, runs.Settings(**params.tracking.model_dump())) as tracked:
        records = []
        for record in training:
            records.append(record)
            tracked.log_metrics({"epoch": dataclasses.asdict(record)}, step=record.epoch)
        team.leave(mates)
        summary = history.summary(records, own_recipe.epochs, own.patience, own.ship)
        card = model_card.ModelCard(
            architecture=own.architecture,
            encoder=own.encoder,
            classes=store.classes.names,
            seen=data.seen,
            fit_mode=store.fit.mode,
            size_hw=store.fit.size_hw,
            mean=segmenter.mean,
            std=segmenter.std,
            facts=history.facts(records, own.ship) | {"inputs": inputs, "weights": origin},
        )
        model_card.save(MODEL, segmenter, card)
        history.write_curves(CURVES, records)
        write_json(Path("metrics/train.json"), summary)
        tracked.log_metrics({"train": summary})
        tracked.log_file(CURVES, "train")
        tracked.log_file(Path("params.yaml"), "train")
        tracked.log_model(MODEL)


def data_and_network(params: Params) -> tuple[Store, TrainingData, build.Segmenter, str]:
    """What is trained with, what is trained, and where its weights came from."""
    own, store = params.train, Store.open(STORE)
    data = _data(store, split_table.read(SPLITS))
    segmenter = build.segmenter(own.architecture, own.encoder, len(store.classes), data.seen, params.seed)
    return store, data, segmenter, weights.load_pretrained(segmenter, own.encoder, own.weights)


def _inputs(own: Train, seed: int) -> str:
    """A hash of all that decides the result; the budget does only where it decides the number of epochs."""
    undecisive = set(UNDECISIVE) - ({"budget_hours"} if own.epochs == "auto" else set())
    settings = own.model_dump(mode="json", exclude=undecisive) | {"seed": seed}
    return inputs_hash([*sorted(STORE.iterdir()), SPLITS], settings)


def _planned(
    own: Train,
    seed: int,
    segmenter: build.Segmenter,
    data: TrainingData,
    path: Path,
    device: torch.device,
    mates: team.Team,
) -> Recipe:
    """The recipe; before a training's first step also what to expect of it."""
    budget, note = 3600 * own.budget_hours, checkpoint.note_of(path)
    if path.is_file() and own.epochs != "auto":
        return recipe(own, seed, own.epochs)
    measured = forecast.probe(segmenter, data, recipe(own, seed, epochs=1), device, mates)
    epochs = forecast.planned_epochs(note, measured, budget, mates) if own.epochs == "auto" else own.epochs
    forecast.tell(measured, epochs, budget, path.parent)
    return recipe(own, seed, epochs)


def _data(store: Store, splits: dict[str, str]) -> TrainingData:
    sides = np.array([splits[key] for key in store.keys])
    if not (sides == "train").any():
        raise UserError("data/splits.csv: no image is left to train on; lower split.val and split.test in params.yaml")
    return TrainingData(
        images=store.images,
        labels=store.labels,
        keys=store.keys,
        train_index=np.flatnonzero(sides == "train"),
        val_index=np.flatnonzero(sides == "val"),
        class_pixels=store.class_pixels,
        class_names=store.classes.names,
    )


def recipe(own: Train, seed: int, epochs: int) -> Recipe:
    """params.yaml's train section as the library takes it."""
    return Recipe(
        epochs=epochs,
        batch_size=own.batch_size,
        accumulate=own.accumulate,
        crop_hw=own.crop,
        optimizer=own.optimizer,
        schedule=own.schedule,
        lr=own.lr,
        weight_decay=own.weight_decay,
        encoder_lr_factor=own.encoder_lr_factor,
        warmup_epochs=own.warmup_epochs,
        loss=Loss(**own.loss.model_dump()),
        label_smoothing=own.label_smoothing,
        class_weights=own.class_weights,
        rare_class_share=own.rare_class_share,
        freeze_epochs=own.freeze_epochs,
        ema_decay=own.ema_decay,
        ship=own.ship,
        patience=own.patience,
        augment=Augment(**own.augment.model_dump()),
        budget_seconds=own.budget_hours * 3600,
        checkpoint_minutes=own.checkpoint_minutes,
        amp=own.amp,
        seed=seed,
    )


if __name__ == "__main__":
    run(main)
