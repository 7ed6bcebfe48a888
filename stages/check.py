"""check: params.yaml -> data/class_order.json; refuses unsound settings before any other stage runs.

It depends on the file params.yaml itself: other stages see the values of their keys alone, so that DVC would skip them
over a key that none of them has, or restore their outputs over one that its run cache does not see.
"""

from pathlib import Path

from segpipe.core.command import run
from segpipe.core.errors import UserError
from segpipe.core.files import write_json
from segpipe.params import load


def main() -> None:
    """Raises UserError with the first thing that does not hold."""
    params = load()
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
    classes = params.ingest.classes
    # DVC compares mappings without their order, which is that of the class indices
    write_json(Path("data/class_order.json"), classes if isinstance(classes, str) else list(classes))


if __name__ == "__main__":
    run(main)
