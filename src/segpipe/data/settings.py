"""The section `photos` of params.yaml: how images come to training size."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segpipe.core.settings import Settings, Side
from segpipe.data.preprocessing import Fit


class Tiles(Settings):
    """The tiles that large images are cut into. They have the shape of photos.height and photos.width."""

    side: Literal[0] | Annotated[int, Field(ge=32, le=16_384)] = Field(
        0, description="longer side of a tile in pixels of the image; images with a longer side are cut; 0: no tiles"
    )
    overlap: int = Field(64, ge=0, description="minimum overlap of neighbouring tiles in pixels of the image")


class Photos(Settings):
    """The size of the images that the network sees, and how each image comes to this size."""

    height: Side = Field(160, description="height in pixels")
    width: Side = Field(160, description="width in pixels")
    fit: Literal["letterbox", "crop", "stretch"] = Field(
        "letterbox", description="letterbox: scale and pad; crop: scale and cut; stretch: scale each side"
    )
    tiles: Tiles = Field(default_factory=Tiles)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def preprocessing(self) -> Fit:
        """The preprocessing with these settings."""
        return Fit(self.fit, self.size_hw, self.tiles.side, self.tiles.overlap)

    @model_validator(mode="after")
    def _tiles_advance(self) -> "Photos":
        tile_hw = self.preprocessing.tile_hw
        if self.tiles.side and self.tiles.overlap > min(tile_hw) // 3:
            problem = f"an overlap of {self.tiles.overlap} pixels is too large for tiles of {tile_hw[1]} x {tile_hw[0]}"
            raise ValueError(f"{problem}; set tiles.overlap to a third of the shorter side or less")
        return self
