"""The outputs of the stage `train`: the model, the curves, the sheets and the summary."""

from pathlib import Path

from segpipe.core.files import write_json
from segpipe.models import model_file
from segpipe.tracking.run import Run
from segpipe.train import checkpoint, distributed, epoch, history, monitor
from segpipe.train.history import EpochRecord
from segpipe.train.prepare import Job

MODEL, SHEETS, PLOTS = Path("models/model.pt"), Path("results/training"), Path("metrics/plots/train")
SUMMARY = Path("metrics/train.json")


def train(job: Job, run: Run) -> None:
    """Train to the end, log to `run`, and write all outputs. Raises UserError and StoppedError."""
    sheet = SHEETS / "training_pictures.png"
    monitor.write_training_sheet(sheet, job.data, job.recipe)
    run.log_picture(sheet, monitor.TRAINING, step=0)
    records = monitor.follow(job.fit(), run, job.data, checkpoint.sheets_folder(job.checkpoint))
    distributed.leave(job.group)
    summary = _write(job, records)
    run.log_metrics({"train": summary})
    run.log_file(PLOTS, "train")
    run.log_file(Path("params.yaml"), "train")
    run.log_model(MODEL)


def _write(job: Job, records: list[EpochRecord]) -> dict[str, object]:
    """Write the model, the curves, the predictions of the model and the summary, which is returned."""
    model_file.save(MODEL, job.network, job.card(records))
    history.write_curves(PLOTS / "epochs.csv", records)
    history.write_class_curves(PLOTS / "classes.csv", records)
    if len(job.data.val_index):
        preds = epoch.predict_monitored(job.network, job.data, job.device)
        monitor.write_prediction_sheet(SHEETS / "validation_predictions.png", preds, job.data, "as shipped")
    summary = history.summary(records, job.recipe.epochs, job.recipe.patience, job.recipe.ship)
    write_json(SUMMARY, summary)
    return summary
