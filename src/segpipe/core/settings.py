"""The base of the sections of params.yaml, and the section `compute`.

Each section is a pydantic model in the package that uses it. A field has its default, its bounds and a description,
from which docs/settings.md is generated.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Side = Annotated[int, Field(ge=32, le=4096)]  # of what a network sees, in pixels


class Settings(BaseModel):
    """A section of params.yaml: unknown keys are refused, and values do not change after they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_keys(cls, section: Any) -> Any:
        """The defaults for a section without keys, which YAML reads as null."""
        return {} if section is None else section


class Compute(Settings):
    """The machines and processes that run the stages. These settings change no result and rerun no stage."""

    workers: int = Field(0, ge=0, le=1024, description="processes for per-image work; 0: one per CPU core")
    dask: str = Field("", description='address of a Dask scheduler, like "tcp://10.0.0.1:8786", that runs this work')
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="device for training")
    checkpoint_minutes: Positive = Field(5, description="minutes between checkpoints: at most this work is lost")
