"""train: data/photos, data/labels and data/splits.csv -> models/model.pt, the model of one training."""

from pathlib import Path

from segpipe.core.command import run_stage
from segpipe.params import load
from segpipe.tracking import provenance
from segpipe.tracking.run import open_training
from segpipe.tracking.tracker import RunFacts
from segpipe.train import outputs
from segpipe.train.prepare import prepare


def main() -> None:
    """Train, or continue a training that was stopped; write the model, its curves and its run."""
    params = load()
    job = prepare(params.train, params.seed, params.compute, "stages.train").planned()
    if job.group.rank:
        job.fit_without_log()
        return
    facts = RunFacts(
        name=f"{params.train.architecture}-{params.train.encoder}",
        inputs=job.inputs,
        params=params.model_dump(mode="json", by_alias=True),
        tags=provenance.tags(Path("dvc.lock"), [params.ingest.source, "data/photos", "data/labels", "data/splits.csv"]),
        classes=job.store.classes.names,
    )
    with open_training(facts, params.tracking, job.checkpoint.is_file()) as tracked:
        outputs.train(job, tracked)


if __name__ == "__main__":
    run_stage("train", main)
