"""check: params.yaml -> data/class_order.json; invalid settings are refused before any other stage runs.

It depends on the file params.yaml itself: other stages see only the values of their keys, so DVC would skip them if a
key that no stage knows is added, or restore their outputs if DVC's run cache does not see the key.
"""

from pathlib import Path

from segpipe.core.command import run_stage
from segpipe.core.files import write_json
from segpipe.params import load_and_check_files


def main() -> None:
    """Check all settings and the files that they name; write the order of the classes."""
    classes = load_and_check_files().ingest.classes
    # DVC compares mappings without their order, which decides the class indices
    write_json(Path("data/class_order.json"), classes if isinstance(classes, str) else list(classes))


if __name__ == "__main__":
    run_stage("check", main)
