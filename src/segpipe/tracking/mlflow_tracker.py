"""Runs in MLflow. Import this module only after `mlflow_setup.prepare()`."""

import logging
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import mlflow.pyfunc
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.types.schema import Schema, TensorSpec
from PIL import Image

from segpipe.tracking import mlflow_setup
from segpipe.tracking.naming import flat_params, slug
from segpipe.tracking.tracker import NoSuchRunError, RunFacts

_log = logging.getLogger(__name__)
MODEL_TAG, TOKEN_TAG = "model_md5", "segpipe.token"
_PACKAGE = Path(__file__).resolve().parent.parent
_SERVED = Path(__file__).resolve().with_name("mlflow_served.py")
_REQUIREMENTS = ("mlflow", "numpy", "pillow", "segmentation-models-pytorch", "timm", "torch", "torchvision")
_MAX_TAG = 5000  # characters of a tag value
_PARAMS, _METRICS = 100, 1000  # the most that MLflow accepts in one request
_Item = TypeVar("_Item", Metric, Param, RunTag)


class MlflowTracker:
    """One MLflow run. The constructor does not connect to the server, if there is one; the methods do."""

    name = "mlflow"

    def __init__(self, experiment: str) -> None:
        """experiment: its name; it is created if it does not exist."""
        self.place = mlflow_setup.tracking_uri()
        self._experiment, self._slug = experiment, slug(experiment) or "runs"
        self._run_id = ""
        self._started = False
        self._is_continued = False  # an earlier process may have stored steps in this run
        self._newest: dict[str, int] = {}  # the newest step of each metric or picture
        self._refused: set[str] = set()  # names for which a warning was logged

    def start(self, run: RunFacts, known_id: str | None) -> str:
        """Begin the run, or continue `known_id`: its params stay, and changed ones are listed in the tag `drift`."""
        self._connect()
        earlier = self._existing(self._run_id or known_id)
        if earlier is None and run.token:
            earlier = self._newest_with(TOKEN_TAG, run.token)
        if earlier is None:
            tags = {TOKEN_TAG: run.token}
            earlier = self._client.create_run(self._experiment_id(), run_name=run.name, tags=tags)
        elif not self._run_id:
            self._is_continued = True
        self._run_id, self._started = earlier.info.run_id, True
        self._client.update_run(self._run_id, status="RUNNING")
        self._describe(run, earlier)
        return self._run_id

    def find(self, model_md5: str, known_id: str | None) -> str:
        """Continue the newest run that is tagged with this model."""
        self._connect()
        run = self._existing(known_id)
        if run is None or run.data.tags.get(MODEL_TAG) != model_md5:
            run = self._newest_with(MODEL_TAG, model_md5)
        if run is None:
            raise NoSuchRunError(f"no run of experiment {self._experiment!r} has trained model {model_md5}")
        self._run_id, self._is_continued = run.info.run_id, True
        return self._run_id

    def log_metrics(self, values: Mapping[str, float], step: int | None, time_ms: int) -> None:
        """Store numbers, except for steps that the run has already."""
        if step is None:
            self._log([Metric(name, value, time_ms, 0) for name, value in values.items()])
        else:
            self._log_new([Metric(name, value, time_ms, step) for name, value in values.items()])

    def log_steps(self, curves: Mapping[str, Sequence[float]], first: int, time_ms: int) -> None:
        """Store curves in few requests, except for steps that the run has already."""
        self._log_new(
            [
                Metric(name, value, time_ms, step)
                for name, curve in curves.items()
                for step, value in enumerate(curve, first)
                if math.isfinite(value)
            ]
        )

    def log_picture(self, path: Path, name: str, step: int, time_ms: int) -> None:
        """Store a picture where MLflow's pages show all its steps side by side."""
        if step > self._newest_picture(name):
            with Image.open(path) as image:
                self._client.log_image(self._run_id, image, key=name, step=step, timestamp=time_ms, synchronous=True)
            self._newest[name] = step

    def log_file(self, path: Path, folder: str) -> None:
        """Store a file, or the files of a folder, as artifacts."""
        if path.is_dir():
            self._client.log_artifacts(self._run_id, str(path), folder or None)
        else:
            self._client.log_artifact(self._run_id, str(path), folder or None)

    def log_model(self, path: Path, md5: str) -> None:
        """Store the model with its code: MLflow can load and serve it.

        Its input is uint8 RGB images (N, H, W, 3) its output uint8 label maps (N, H, W).
        Source: https://mlflow.org/docs/latest/ml/model/models-from-code/
        """
        run = self._client.get_run(self._run_id)
        if run.data.tags.get(MODEL_TAG) == md5 and run.outputs and run.outputs.model_outputs:
            return  # a process that was killed has stored it
        self._client.set_tag(self._run_id, MODEL_TAG, md5)
        experiment_id = run.info.experiment_id
        logged = self._client.create_logged_model(experiment_id, name="model", source_run_id=self._run_id)
        description = Model(
            artifact_path=logged.artifact_location,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
            run_id=self._run_id,
        )
        with tempfile.TemporaryDirectory() as folder:
            _save_model(path, Path(folder) / "model", description)
            self._client.log_model_artifacts(logged.model_id, str(Path(folder) / "model"))
        self._client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        self._client.log_outputs(self._run_id, [LoggedModelOutput(logged.model_id, step=0)])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; long ones are cut."""
        cut = [RunTag(name, text[:_MAX_TAG]) for name, text in tags.items()]
        self._send(cut, _PARAMS, lambda part: self._client.log_batch(self._run_id, tags=part))

    def end(self, status: str) -> None:
        """Close the run, unless `find` opened it: then it is closed already."""
        if self._started:
            self._client.set_terminated(self._run_id, status)

    def _connect(self) -> None:
        mlflow_setup.create_database(self.place)
        self._client = MlflowClient(self.place)
        mlflow_setup.relocate_artifacts(self.place, self._experiment, self._slug)

    def _existing(self, run_id: str | None) -> Run | None:
        if not run_id:
            return None
        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                return None
            raise
        return run if run.info.lifecycle_stage == "active" else None

    def _newest_with(self, tag: str, text: str) -> Run | None:
        experiment = self._client.get_experiment_by_name(self._experiment)
        if experiment is None:
            return None
        runs = self._client.search_runs(
            [experiment.experiment_id],
            filter_string=f"tags.`{tag}` = '{text}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        return runs[0] if runs else None

    def _experiment_id(self) -> str:
        """The id of the experiment, created or restored if needed; without a server, artifacts go to ./mlartifacts."""
        experiment = self._client.get_experiment_by_name(self._experiment)
        if experiment is None:
            folder = None
            if not self.place.startswith(("http:", "https:", "databricks")):
                folder = mlflow_setup.artifact_folder(self._slug)
            return self._client.create_experiment(self._experiment, artifact_location=folder)
        if experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
        return experiment.experiment_id

    def _describe(self, run: RunFacts, earlier: Run) -> None:
        """Store params that are new, and all tags; changes since the run began are listed in the tag `drift`."""
        params = flat_params(run.params)
        new = [Param(name, text) for name, text in params.items() if name not in earlier.data.params]
        self._send(new, _PARAMS, lambda part: self._client.log_batch(self._run_id, params=part))
        drift = _drift(earlier.data.params, params) + _drift(earlier.data.tags, run.tags)
        tags = dict(run.tags) | (
            {"mlflow.source.git.commit": run.tags["git.commit"]} if "git.commit" in run.tags else {}
        )
        self.set_tags(tags | ({"drift": "; ".join(drift)} if drift else {}))

    def _log_new(self, metrics: list[Metric]) -> None:
        new = [metric for metric in metrics if metric.step > self._newest_step(metric.key)]
        self._log(new)
        for metric in new:
            self._newest[metric.key] = metric.step

    def _log(self, metrics: list[Metric]) -> None:
        self._send(metrics, _METRICS, lambda part: self._client.log_batch(self._run_id, metrics=part))

    def _send(self, items: list[_Item], most: int, log: Callable[[list[_Item]], None]) -> None:
        """Log `items`, at most `most` in a request; an item that MLflow refuses is left out, with a warning."""
        for start in range(0, len(items), most):
            part = items[start : start + most]
            try:
                log(part)
            except MlflowException as error:
                if error.error_code != ErrorCode.Name(INVALID_PARAMETER_VALUE):
                    raise
                if len(part) > 1:
                    self._send(part, -(-len(part) // 2), log)
                elif part[0].key not in self._refused:
                    self._refused.add(part[0].key)
                    _log.warning("tracking: mlflow refuses %s; the run continues without it (%s)", part[0].key, error)

    def _newest_step(self, name: str) -> int:
        if name not in self._newest:
            history = self._client.get_metric_history(self._run_id, name) if self._is_continued else []
            self._newest[name] = max((metric.step for metric in history), default=-1)
        return self._newest[name]

    def _newest_picture(self, name: str) -> int:
        """The newest step of a picture, from its files <name>+step+<step>+timestamp+... ("/" in the name is "~")."""
        if name not in self._newest:
            files = self._client.list_artifacts(self._run_id, "images") if self._is_continued else []
            parts = [Path(file.path).name.split("+") for file in files]
            steps = [int(part[2]) for part in parts if part[0] == name.replace("/", "~")]
            self._newest[name] = max(steps, default=-1)
        return self._newest[name]


def _drift(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [
        f"{name}: {before[name]} -> {now[name]}" for name in sorted(now) if before.get(name, now[name]) != now[name]
    ]


def _save_model(path: Path, folder: Path, description: Model) -> None:
    images, label_maps = TensorSpec(np.dtype(np.uint8), (-1, -1, -1, 3)), TensorSpec(np.dtype(np.uint8), (-1, -1, -1))
    mlflow.pyfunc.save_model(
        path=str(folder),
        mlflow_model=description,
        python_model=str(_SERVED),
        artifacts={"model": str(path)},
        code_paths=[str(_PACKAGE)],
        signature=ModelSignature(Schema([images]), Schema([label_maps])),
        pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in _REQUIREMENTS],
    )
