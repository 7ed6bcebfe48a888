"""The section `render` of params.yaml."""

from pydantic import Field

from segpipe.core.settings import Settings


class Render(Settings):
    """The contents of the model's page."""

    samples: int = Field(6, ge=0, le=100, description="sheets each of the worst, the median and the best images")
