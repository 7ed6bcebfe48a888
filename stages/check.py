"""What must hold before the pipeline starts: params.yaml is sound, its files are there, DVC sees what changed."""

from pathlib import Path

from segpipe.classes import ClassTable
from segpipe.errors import UserError
from stages.params import Ingest, load
from stages.running import run

_CLASS_TABLE = Path("data/checked/classes.json")


def main() -> None:
    """Raises UserError with the first thing that does not hold."""
    params = load()
    _refuse_unseen_order(params.ingest)
    source = Path(params.ingest.source)
    if not source.is_dir():
        raise UserError(f"params.yaml: ingest.source: {source} is no folder; name the folder of your photographs")
    named = {
        "split.pins": params.split.pins,
        "split.scene_table": params.split.scene_table,
        "train.weights_file": params.train.weights_file,
    }
    for key, file in named.items():
        path = Path(file)
        if not path.is_file():
            raise UserError(f"params.yaml: {key}: {path} is no file; name one, or restore data/{path.name} from git")


def _refuse_unseen_order(ingest: Ingest) -> None:
    """DVC compares mappings without their order, which is that of the classes."""
    if not isinstance(ingest.classes, dict) or ingest.task == "binary" or not _CLASS_TABLE.is_file():
        return
    before, now = ClassTable.read(_CLASS_TABLE).names[1:], tuple(ingest.classes)
    if before != now and sorted(before) == sorted(now):
        raise UserError(
            "params.yaml: ingest.classes: only the order of the classes changed since validate ran, which DVC does not "
            "see; run `dvc repro --force --single-item validate`, then go on"
        )


if __name__ == "__main__":
    run(main)
