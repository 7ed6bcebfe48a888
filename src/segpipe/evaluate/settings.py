"""The section `evaluate` of params.yaml."""

from pydantic import Field

from segpipe.core.settings import Settings


class Evaluate(Settings):
    """How val and test are predicted for their scores."""

    batch_size: int = Field(8, ge=1, le=1024, description="images predicted at once")
