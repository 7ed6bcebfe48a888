"""The section `render` of params.yaml."""

from pydantic import Field

from segpipe.core.settings import Settings


class Render(Settings):
    """What the page of the model shows."""

    samples: int = Field(6, ge=0, le=100, description="sheets each of the worst, the median and the best images")
