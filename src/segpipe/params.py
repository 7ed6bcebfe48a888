"""params.yaml as typed values: the whole file is checked before a stage does any work."""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from segpipe.core.errors import UserError
from segpipe.data.classes import BACKGROUND, class_of_categories
from segpipe.data.preprocessing import Fit
from segpipe.ingest.names import AUTO, FORMAT_NAMES
from segpipe.ledger.reasons import LIMITED_CODES

PARAMS = Path("params.yaml")
_PART = "(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
_STORED = re.compile(rf"[0-9]{{1,9}}|{_PART}, ?{_PART}, ?{_PART}")
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0, le=100)]
Side = Annotated[int, Field(ge=32, le=4096)]
UNSEEN_NAMES = ("size", "nfiles")  # DVC's run cache leaves keys of these names out of its hash, at any depth
_NEW_KEYS = {
    "rasterize.size": "photos.height and photos.width",
    "rasterize.fit": "photos.fit",
    "rasterize.tiles": "photos.tiles",
}


class Section(BaseModel):
    """A part of params.yaml: no key it does not know, nothing changed after it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Compute(Section):
    """workers: processes for per-image work, 0: one a core; dask: the scheduler of a cluster that does it instead."""

    workers: Annotated[int, Field(ge=0, le=1024)]
    dask: str


def _classes(value: Any) -> Any:
    """Raises ValueError in words of the user's, not of each of the types that it may be."""
    names = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    parts = [
        part for name in names for part in (name if isinstance(name, list) and isinstance(value, dict) else [name])
    ]
    if value != AUTO and (not parts or not all(isinstance(part, str) and part.strip() for part in parts)):
        raise ValueError("names no class; give auto, a list of names, or names by class: {vehicle: [car, bus]}")
    if isinstance(value, dict):
        try:
            class_of_categories(value)
        except UserError as error:
            raise ValueError(str(error)) from None
    return value


class Ingest(Section):
    """Where the photographs and annotations are, and which classes count."""

    source: Annotated[str, Field(min_length=1)]
    format: str
    task: Literal["multiclass", "binary"]
    classes: Annotated[Literal["auto"] | list[str] | dict[str, str | list[str]], BeforeValidator(_classes)]
    mask_values: dict[str, str]
    image_pattern: str
    mask_pattern: str

    @model_validator(mode="after")
    def _consistent(self) -> "Ingest":
        if self.format not in (AUTO, *FORMAT_NAMES):
            raise ValueError(f"format is {self.format!r}, none of {AUTO}, {', '.join(FORMAT_NAMES)}")
        if isinstance(self.classes, list) and len(set(self.classes)) < len(self.classes):
            raise ValueError("classes names a class twice")
        if BACKGROUND in self.classes:
            raise ValueError(f"classes names {BACKGROUND}, which is what no class covers; take it out")
        if bool(self.image_pattern) != bool(self.mask_pattern):
            raise ValueError("image_pattern and mask_pattern go together: give both or neither")
        strange = [value for value in self.mask_values if not _STORED.fullmatch(value)]
        if strange:
            problem = f"{strange[0]!r} is neither a number nor three from 0 to 255"
            raise ValueError(f'mask_values maps stored numbers, or colours as "128,0,0", to names; {problem}')
        written: dict[tuple[int, ...], str] = {}
        for value in self.mask_values:
            other = written.setdefault(tuple(map(int, value.split(","))), value)
            if other != value:
                raise ValueError(f"mask_values: {other!r} and {value!r} are the same value; keep one of them")
        return self


class Validate(Section):
    """What annotations mean that do not say it all, what is done with empty pictures, and how much is too much."""

    crowd: Literal["ignore", "object", "drop"]
    difficult: Literal["object", "ignore", "drop"]
    occluded: Literal["object", "ignore", "drop"]
    unknown_class: Literal["ignore", "drop"]
    holes: Literal["union", "even_odd"]
    unannotated: Literal["skip", "keep"]
    box: Literal["region", "ignore", "drop"]
    line_width_px: Annotated[float, Field(ge=0, le=1000)]
    point_radius_px: Annotated[float, Field(ge=0, le=1000)]
    limits: dict[str, Share]

    @field_validator("limits")
    @classmethod
    def _known(cls, limits: dict[str, float]) -> dict[str, float]:
        for code in limits:
            if code not in LIMITED_CODES:
                close = difflib.get_close_matches(code, LIMITED_CODES, n=1, cutoff=0)
                raise ValueError(f"no reason or finding has the code {code!r}; did you mean {close[0]}?")
        return limits


class Tiles(Section):
    """How large pictures are cut: side: the longer side of a tile in native pixels, 0: not at all."""

    side: Literal[0] | Annotated[int, Field(ge=32, le=16_384)]
    overlap: Annotated[int, Field(ge=0)]


class Photos(Section):
    """The size of the images that the network sees, and how each image comes to it."""

    height: Side
    width: Side
    fit: Literal["letterbox", "crop", "stretch"]
    tiles: Tiles

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def preprocessing(self) -> Fit:
        """How an image comes to the training size."""
        return Fit(self.fit, self.size_hw, self.tiles.side, self.tiles.overlap)

    @model_validator(mode="after")
    def _tiles_reach_on(self) -> "Photos":
        tile_hw = self.preprocessing.tile_hw
        if self.tiles.side and self.tiles.overlap > min(tile_hw) // 3:
            what = f"of tiles of {tile_hw[1]} x {tile_hw[0]} pixels, {self.tiles.overlap} are too much overlap"
            raise ValueError(f"{what}; give tiles.overlap a third of the shorter side or less")
        return self


class Rasterize(Section):
    """priority: which of two overlapping objects is on top."""

    priority: Literal["smaller_on_top", "record_order"] | Annotated[list[str], Field(min_length=1)]


class Split(Section):
    """Who trains, validates, tests."""

    method: Literal["content", "balanced", "source"]
    val: Annotated[float, Field(ge=0, lt=1)]
    test: Annotated[float, Field(ge=0, lt=1)]
    source_roles: dict[str, Literal["train", "val", "test"]]
    scene: str
    scene_table: Annotated[str, Field(min_length=1)]
    scene_column: Annotated[str, Field(min_length=1)]
    near_duplicate_bits: Annotated[int, Field(ge=0, le=32)]
    empty_masks: Literal["leave_out", "keep"]
    pins: Annotated[str, Field(min_length=1)]
    folds: Annotated[int, Field(ge=0, le=100)]
    fold: Annotated[int, Field(ge=0)]
    max_leaks: Share

    @model_validator(mode="after")
    def _leaves_train(self) -> "Split":
        if self.folds == 1 or self.fold >= max(1, self.folds):
            raise ValueError(f"folds {self.folds} and fold {self.fold}: folds is 0 (off) or 2 and more, fold below it")
        if self.val + self.test >= 1:
            raise ValueError(f"val + test = {self.val + self.test} leaves nothing to train on")
        return self


class Augment(Section):
    """How far pictures are changed while training; 0 turns a kind off."""

    scale: Annotated[float, Field(ge=0, le=4)]
    rotate_deg: Annotated[float, Field(ge=0, le=180)]
    flip: Share
    flip_vertical: Share
    brightness: Share
    contrast: Share
    saturation: Share
    hue: Annotated[float, Field(ge=0, le=0.5)]


class Loss(Section):
    """How much each part of the loss counts; 0: not at all."""

    cross_entropy: Weight
    dice: Weight
    focal: Weight
    lovasz: Weight
    ohem: Weight
    boundary: Weight

    @model_validator(mode="after")
    def _is_something(self) -> "Loss":
        if not any(self.model_dump().values()):
            raise ValueError("at least one part must count")
        return self


def _weights(value: Any) -> Any:
    """Raises ValueError for a file's path, which has a key of its own: DVC must see the file."""
    if isinstance(value, str) and value not in ("imagenet", "file", "random"):
        raise ValueError("is imagenet, file or random; name a file in train.weights_file and set weights: file")
    return value


class Train(Section):
    """The network and how it is trained."""

    architecture: str
    encoder: str
    weights: Annotated[Literal["imagenet", "file", "random"], BeforeValidator(_weights)]
    weights_file: Annotated[str, Field(min_length=1)]
    epochs: Literal["auto"] | Annotated[int, Field(ge=1, le=10_000)]
    batch_size: Annotated[int, Field(ge=2, le=4096)]
    accumulate: Annotated[int, Field(ge=1, le=1024)]
    crop: tuple[Side, Side] | None
    optimizer: Literal["adamw", "sgd"]
    schedule: Literal["cosine", "poly"]
    lr: Annotated[float, Field(gt=0, le=1)]
    encoder_lr_factor: Annotated[float, Field(ge=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    warmup_epochs: Annotated[float, Field(ge=0)]
    loss: Loss
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    class_weights: Literal["none", "median_frequency", "effective_number"]
    rare_class_share: Share
    freeze_epochs: Annotated[int, Field(ge=0)]
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    ship: Literal["best", "last"]
    flip_test: bool
    patience: Annotated[int, Field(ge=0)]
    augment: Augment
    budget_hours: Positive
    checkpoint_minutes: Positive
    device: Literal["auto", "cpu", "cuda"]
    processes: Annotated[int, Field(ge=1, le=64)]
    amp: bool
    strict: bool
    compile: bool

    @model_validator(mode="after")
    def _shares_out(self) -> "Train":
        if self.batch_size % self.processes:
            raise ValueError(f"batch_size {self.batch_size} cannot be shared by {self.processes} processes")
        return self

    @model_validator(mode="after")
    def _falls_and_learns(self) -> "Train":
        if self.epochs == "auto":
            return self
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"in {self.epochs} epochs with warmup_epochs {self.warmup_epochs:g} the learning rate only rises; give "
                f"warmup_epochs {self.epochs / 2:g} or less"
            )
        if self.freeze_epochs >= self.epochs and self.weights == "random":
            raise ValueError(f"freeze_epochs {self.freeze_epochs} keeps a random encoder to the end; give 0")
        return self


class Evaluate(Section):
    """batch_size: pictures predicted at once."""

    batch_size: Annotated[int, Field(ge=1, le=1024)]


class Render(Section):
    """samples: sheets each of the worst, the median and the best pictures."""

    samples: Annotated[int, Field(ge=0, le=100)]


def _off(value: Any) -> Any:
    return "off" if value is False else value  # YAML 1.1 reads a bare off as false


class Tracking(Section):
    """Where runs are written down besides the metrics files."""

    mlflow: bool
    experiment: Annotated[str, Field(min_length=1)]
    tensorboard: bool
    wandb: Annotated[Literal["off", "offline", "online"], BeforeValidator(_off)]


class Params(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    compute: Compute
    ingest: Ingest
    validation: Annotated[Validate, Field(alias="validate")]
    photos: Photos
    rasterize: Rasterize
    split: Split
    train: Train
    evaluate: Evaluate
    render: Render
    tracking: Tracking


def load(path: Path = PARAMS) -> Params:
    """Read and check params.yaml. Raises UserError naming every key that is wrong, in one line."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the project's top folder") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: is empty, or no sections with settings; restore it, `git checkout {path}`")
    faults = _unseen_keys(document)
    try:
        params = Params.model_validate(document)
    except ValidationError as error:
        faults = [*(_said(fault) for fault in error.errors()), *faults]
    if faults:
        raise UserError(f"{path}: {'; '.join(faults)}")
    return params


def _unseen_keys(section: dict[Any, Any], place: str = "") -> list[str]:
    """What is wrong with each key whose changes DVC does not see: a stage would keep the result of an older value."""
    faults = []
    for name, value in section.items():
        key = f"{place}{name}"
        if name in UNSEEN_NAMES and key not in _NEW_KEYS:
            faults.append(f"{key}: DVC does not see changes of a key with the name {name!r}; use another name")
        if isinstance(value, dict):
            faults += _unseen_keys(value, f"{key}.")
    return faults


def _said(fault: Any) -> str:
    place = [str(part) for part in fault["loc"] if not str(part).startswith(("literal[", "list[", "constrained-"))]
    key = ".".join(place)
    if key in _NEW_KEYS:
        return f"{key}: this key has a new name: {_NEW_KEYS[key]}"
    if fault["type"] == "extra_forbidden":
        return f"{key}: no such key{_nearest(place)}"
    if fault["type"] == "missing":
        return f"{key}: is missing"
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
