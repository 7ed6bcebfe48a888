"""The section `rasterize` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from segpipe.core.settings import Settings


class Rasterize(Settings):
    """The order in which overlapping objects are drawn."""

    priority: Literal["smaller_on_top", "record_order"] | Annotated[list[str], Field(min_length=1)] = Field(
        "smaller_on_top", description="which object is on top; record_order: the later one; a list: classes, top first"
    )
