"""train: data/store + data/splits.csv -> models/model.pt, the best network of one training."""

import logging
from pathlib import Path

from segpipe.core.command import run
from segpipe.core.files import write_json
from segpipe.models import model_file
from segpipe.params import load
from segpipe.tracking import provenance
from segpipe.tracking.run import open_training
from segpipe.tracking.tracker import RunFacts
from segpipe.train import checkpoint, distributed, epoch, history, loop, monitor, planning, prepare
from segpipe.train.prepare import CHECKPOINTS, SPLITS, STORE
from segpipe.train.recipe import RunRecipe

logger = logging.getLogger(__name__)
MODEL, SHEETS = Path("models/model.pt"), Path("results/training")
CURVES, CLASS_CURVES = Path("metrics/plots/train/epochs.csv"), Path("metrics/plots/train/classes.csv")


def main() -> None:
    """Train, or go on where an earlier process was stopped; write the model, its curves and its run."""
    params = load()
    own = params.train
    device, group = prepare.device_and_group(own, params.compute.device, "stages.train")
    store, data, segmenter, origin = prepare.data_and_network(own, params.seed)
    inputs = prepare.inputs(own, segmenter, params.seed)
    logger.info("%s on %s, weights: %s, %s", own.architecture, own.encoder, origin, device)
    path = checkpoint.path_of(CHECKPOINTS, inputs)
    recipe = RunRecipe.of(own, params.seed, params.compute.checkpoint_minutes)
    recipe = planning.planned_recipe(segmenter, data, recipe, path, device, group, fills_budget=own.epochs == "auto")
    training = loop.fit(segmenter, data, recipe, CHECKPOINTS, inputs, device, group)
    if group.rank:
        for _ in training:
            pass
        distributed.leave(group)
        return
    facts = RunFacts(
        name=f"{own.architecture}-{own.encoder}",
        inputs=inputs,
        params=params.model_dump(mode="json", by_alias=True),
        tags=provenance.tags(Path("dvc.lock"), [params.ingest.source, STORE.as_posix(), SPLITS.as_posix()]),
        classes=store.classes.names,
    )
    with open_training(facts, params.tracking, path.is_file()) as tracked:
        monitor.write_training_sheet(SHEETS / "training_pictures.png", data, recipe)
        tracked.log_picture(SHEETS / "training_pictures.png", monitor.TRAINING, step=0)
        records = monitor.follow(training, tracked, data, checkpoint.sheets_folder(path))
        distributed.leave(group)
        card = model_file.ModelCard(
            architecture=own.architecture,
            encoder=own.encoder,
            classes=store.classes.names,
            seen=data.seen,
            fit_mode=store.fit.mode,
            size_hw=store.fit.size_hw,
            tile_side=store.fit.tile_side,
            tile_overlap=store.fit.tile_overlap,
            mean=segmenter.mean,
            std=segmenter.std,
            flip_test=own.flip_test,
            facts=history.facts(records, own.ship) | {"inputs": inputs, "weights": origin},
        )
        model_file.save(MODEL, segmenter, card)
        history.write_curves(CURVES, records)
        history.write_class_curves(CLASS_CURVES, records)
        if len(data.val_index):
            preds = epoch.predict_monitored(segmenter, data, device)
            monitor.write_prediction_sheet(SHEETS / "validation_predictions.png", preds, data, "as shipped")
        summary = history.summary(records, recipe.epochs, own.patience, own.ship)
        write_json(Path("metrics/train.json"), summary)
        tracked.log_metrics({"train": summary})
        tracked.log_file(CURVES.parent, "train")
        tracked.log_file(Path("params.yaml"), "train")
        tracked.log_model(MODEL)


if __name__ == "__main__":
    run(main)
