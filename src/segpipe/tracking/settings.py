"""The section `tracking` of params.yaml."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from segpipe.core.settings import Settings


def _off(value: Any) -> Any:
    return "off" if value is False else value  # YAML 1.1 reads a bare off as false


class Tracking(Settings):
    """The trackers of runs, besides the files in metrics/. These settings change no result and rerun no stage."""

    mlflow: bool = Field(True, description="log to MLflow: MLFLOW_TRACKING_URI, or mlflow.db in this folder")
    experiment: str = Field("segpipe", min_length=1, description="name of the experiment, also of the W&B project")
    tensorboard: bool = Field(False, description="write TensorBoard files to runs/")
    wandb: Annotated[Literal["off", "offline", "online"], BeforeValidator(_off)] = Field(
        "off", description="log to Weights & Biases"
    )
