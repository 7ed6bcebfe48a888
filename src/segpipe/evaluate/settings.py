"""The section `evaluate` of params.yaml."""

from pydantic import Field

from segpipe.core.settings import Settings


class Evaluate(Settings):
    """The prediction of val and test, from which the scores are computed."""

    batch_size: int = Field(8, ge=1, le=1024, description="images predicted at once")
