"""params.yaml: the sections of all packages, read and checked as a whole before a stage does any work."""

import difflib
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from segpipe.core.errors import UserError
from segpipe.core.settings import Compute, Settings
from segpipe.data.settings import Photos
from segpipe.evaluate.settings import Evaluate
from segpipe.ingest.settings import Ingest
from segpipe.ledger.policies import Validate
from segpipe.rasterize.settings import Rasterize
from segpipe.report.settings import Render
from segpipe.split.settings import Split
from segpipe.tracking.settings import Tracking
from segpipe.train.recipe import Recipe

PARAMS = Path("params.yaml")
UNSEEN_NAMES = ("size", "nfiles")  # DVC's run cache leaves keys of these names out of its hash, at any depth
_FILES = ("split.pins", "split.scene_table", "train.weights_file")  # keys that name a file
_NEW_KEYS = {
    "rasterize.size": "photos.height and photos.width",
    "rasterize.fit": "photos.fit",
    "rasterize.tiles": "photos.tiles",
    "train.device": "compute.device",
    "train.checkpoint_minutes": "compute.checkpoint_minutes",
}


class Params(Settings):
    """All of params.yaml. A section or key that the file does not name has its default."""

    seed: int = Field(7, ge=0, lt=2**31, description="seed of the split, of the first weights and of the training")
    compute: Compute = Field(default_factory=Compute)
    ingest: Ingest = Field(default_factory=Ingest)
    validation: Annotated[Validate, Field(alias="validate", default_factory=Validate)]
    photos: Photos = Field(default_factory=Photos)
    rasterize: Rasterize = Field(default_factory=Rasterize)
    split: Split = Field(default_factory=Split)
    train: Recipe = Field(default_factory=Recipe)
    evaluate: Evaluate = Field(default_factory=Evaluate)
    render: Render = Field(default_factory=Render)
    tracking: Tracking = Field(default_factory=Tracking)


def load(path: Path = PARAMS) -> Params:
    """Read and check params.yaml. Raises UserError with every key that is wrong, in one line."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the project's top folder") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: holds no sections with settings; restore it, `git checkout {path}`")
    faults = _unseen_keys(document)
    try:
        params = Params.model_validate(document)
    except ValidationError as error:
        faults = [*(_message(fault) for fault in error.errors()), *faults]
    if faults:
        raise UserError(f"{path}: {'; '.join(faults)}")
    return params


def load_and_check_files() -> Params:
    """Read params.yaml of the current folder, and check it against dvc.yaml and the files that it names.

    Raises UserError with the first of these that does not hold.
    """
    params = load()
    require_dvc_keys()
    require_files(params)
    return params


def require_dvc_keys(path: Path = PARAMS, pipeline: Path = Path("dvc.yaml")) -> None:
    """Check that the file holds each key and section that dvc.yaml reads from it: DVC knows no defaults.

    Raises UserError with all that are missing. A folder without dvc.yaml needs none.
    """
    if not pipeline.is_file():
        return
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    stages = yaml.safe_load(pipeline.read_text(encoding="utf-8"))["stages"].values()
    read = [key for stage in stages for key in stage.get("params", [])]
    read += [dep[2:-1] for stage in stages for dep in stage["deps"] if dep.startswith("${")]
    missing = [key for key in dict.fromkeys(read) if not has_key(document, key)]
    if missing:
        names = ", ".join(missing)
        raise UserError(f"{path}: DVC needs {names} in the file; add it (docs/settings.md has the defaults)")


def has_key(document: Any, key: str) -> bool:
    """Whether a YAML document has a key, which has dots between the names of its sections."""
    for part in key.split("."):
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]
    return True


def require_files(params: Params) -> None:
    """Check that the folder and the files in params.yaml exist. Raises UserError with the first that does not."""
    source = Path(params.ingest.source)
    if not source.is_dir():
        raise UserError(f"params.yaml: ingest.source: {source} is not a folder; name the folder of your images")
    for key in _FILES:
        file_of = attrgetter(key)
        path = Path(file_of(params))
        if not path.is_file():
            default = file_of(Params.model_validate({}))
            raise UserError(f"params.yaml: {key}: {path} is not a file; name a file, or restore {default} from git")


def _unseen_keys(section: dict[Any, Any], place: str = "") -> list[str]:
    """A message for each key whose changes DVC does not see: a stage would keep the result of an older value."""
    faults = []
    for name, value in section.items():
        key = f"{place}{name}"
        if name in UNSEEN_NAMES and key not in _NEW_KEYS:
            faults.append(f"{key}: DVC does not see changes of a key with the name {name!r}; use another name")
        if isinstance(value, dict):
            faults += _unseen_keys(value, f"{key}.")
    return faults


def _message(fault: Any) -> str:
    place = [str(part) for part in fault["loc"] if not str(part).startswith(("literal[", "list[", "constrained-"))]
    key = ".".join(place)
    if key in _NEW_KEYS:
        return f"{key}: this key has a new name: {_NEW_KEYS[key]}"
    if fault["type"] == "extra_forbidden":
        return f"{key}: no such key{_nearest(place)}"
    message = fault["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    value = "" if isinstance(fault["input"], dict) else f", not {fault['input']!r}"
    return f"{key}: {message}{value}"


def _nearest(place: list[str]) -> str:
    section: Any = Params
    for part in place[:-1]:
        section = _fields(section).get(part)
    close = difflib.get_close_matches(place[-1], _fields(section), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "; remove it"


def _fields(section: Any) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in section.model_fields.items()}
