"""Runs in Weights & Biases, on its servers or in a folder that `wandb sync` uploads later."""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from segpipe.core import files
from segpipe.core.errors import UserError
from segpipe.tracking.naming import slug
from segpipe.tracking.tracker import NoSuchRunError, RunFacts

try:
    import wandb
except ImportError as missing:
    raise UserError(
        "tracking.wandb in params.yaml is on, but wandb is not installed; run `pip install segpipe[wandb]` "
        "or set tracking.wandb: off"
    ) from missing

_EPOCH, _STEP = "epoch", "step"  # the axes of curves


class WandbTracker:
    """One W&B run. We choose its id, so a continued offline run keeps it."""

    name = "wandb"

    def __init__(self, experiment: str, mode: Literal["offline", "online"]) -> None:
        """experiment: the name of W&B's project. Raises UserError for mode online without a login."""
        self.place = "wandb" if mode == "offline" else wandb.Settings().base_url
        self._project, self._mode = slug(experiment) or "segpipe", mode
        if mode == "online" and not wandb.api.api_key:
            raise UserError(
                "tracking.wandb in params.yaml is online, but there is no W&B key; run `wandb login`, "
                "set WANDB_API_KEY, or set tracking.wandb: offline"
            )

    def start(self, run: RunFacts, known_id: str | None) -> str:
        """Begin the run, or continue `known_id` with the current params."""
        run_id = known_id or run.token
        self._open(run_id, run.name, dict(run.params))
        self.set_tags(run.tags)
        return run_id

    def find(self, model_md5: str, known_id: str | None) -> str:
        """Continue the run."""
        if not known_id:
            raise NoSuchRunError(f"no W&B run is known to have trained model {model_md5}")
        self._open(known_id, None, {})
        return known_id

    def log_metrics(self, values: Mapping[str, float], step: int | None, time_ms: int) -> None:
        """Store numbers: those of an epoch as curves, final ones in the summary."""
        if step is None:
            self._run.summary.update(dict(values))
        elif step > self._newest.get(_EPOCH, -1):
            self._run.log({**values, _EPOCH: step, "_timestamp": time_ms / 1000})
            self._set_newest(_EPOCH, step)

    def log_steps(self, curves: Mapping[str, Sequence[float]], first: int, time_ms: int) -> None:
        """Store curves over training steps."""
        names, last = list(curves), first
        for last, values in enumerate(zip(*curves.values(), strict=True), first):
            if last > self._newest.get(_STEP, -1):
                finite = {name: value for name, value in zip(names, values, strict=True) if math.isfinite(value)}
                self._run.log({**finite, _STEP: last, "_timestamp": time_ms / 1000})
        self._set_newest(_STEP, max(last, self._newest.get(_STEP, -1)))

    def log_picture(self, path: Path, name: str, step: int, time_ms: int) -> None:
        """Show a picture at an epoch."""
        if step > self._newest.get(name, -1):
            self._run.log({name: wandb.Image(str(path)), _EPOCH: step, "_timestamp": time_ms / 1000})
            self._set_newest(name, step)

    def log_file(self, path: Path, folder: str) -> None:
        """Store a file, or the files of a folder; PNG pictures are shown."""
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                inside = file.relative_to(path) if path.is_dir() else Path(file.name)
                self._store(file, Path(folder) / inside)

    def log_model(self, path: Path, md5: str) -> None:
        """Store the model file."""
        self.set_tags({"model_md5": md5})
        self._store(path, Path("model") / path.name)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Store tags in the run's config: the tags of W&B are words without values."""
        self._run.config.update({f"tags/{name}": text for name, text in tags.items()}, allow_val_change=True)

    def end(self, status: str) -> None:
        """Close the run."""
        self._run.finish(exit_code=0 if status == "FINISHED" else 1)

    def _open(self, run_id: str, name: str | None, params: dict[str, Any]) -> None:
        settings = wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, save_code=False, init_timeout=30
        )
        self._run = wandb.init(
            project=self._project,
            id=run_id,
            name=name,
            mode=self._mode,
            resume="allow",
            dir=str(Path.cwd()),  # else W&B uses the folder of the process's first run
            settings=settings,
        )
        self._run.config.update(params, allow_val_change=True)
        self._run.define_metric("*", step_metric=_EPOCH)
        self._run.define_metric(f"{_STEP}/*", step_metric=_STEP)
        # a continued offline run cannot be asked which steps it has
        self._steps_file = Path("wandb") / f"{run_id}.json"
        self._newest: dict[str, int] = json.loads(self._steps_file.read_text()) if self._steps_file.is_file() else {}

    def _set_newest(self, name: str, step: int) -> None:
        self._newest[name] = step
        files.write_json(self._steps_file, self._newest)

    def _store(self, file: Path, target: Path) -> None:
        if file.suffix == ".png":
            self._run.log({target.with_suffix("").as_posix(): wandb.Image(str(file))})
            return
        copy = Path(self._run.dir) / target
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        self._run.save(str(copy), base_path=self._run.dir, policy="now")
