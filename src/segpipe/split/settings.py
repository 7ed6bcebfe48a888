"""The section `split` of params.yaml: which images are in train, val and test."""

from typing import Literal

from pydantic import Field, model_validator

from segpipe.core.settings import Settings, Share


class Split(Settings):
    """The assignment of images to train, val and test."""

    method: Literal["content", "balanced", "source"] = Field(
        "content",
        description="content: by a hash of the file; balanced: equal shares of each class; source: the source's splits",
    )
    val: float = Field(0.15, ge=0, lt=1, description="share of the images in val")
    test: float = Field(0.15, ge=0, lt=1, description="share of the images in test")
    source_roles: dict[str, Literal["train", "val", "test"]] = Field(
        {"train": "train", "val": "val", "test": "test"},
        description="for method source: the use of each split of the source",
    )
    scene: str = Field(
        "",
        description="regular expression; images whose file names give the same match stay together, "
        'like "drive_(\\\\d+)"',
    )
    scene_table: str = Field(
        "data/scenes.csv", min_length=1, description="or a table with one row per image: its file and its scene"
    )
    scene_column: str = Field("scene", min_length=1, description="column of scene_table that holds the scene")
    near_duplicate_bits: int = Field(
        8,
        ge=0,
        le=32,
        description="images stay together if their details agree and their 64-bit perceptual hashes, in any "
        "orientation, differ in at most this many bits",
    )
    empty_masks: Literal["leave_out", "keep"] = Field(
        "leave_out", description="what train does with images whose mask has no object; val and test keep them"
    )
    pins: str = Field(
        "data/pins.csv", min_length=1, description="table of images with a fixed split; `segpipe pin` writes it"
    )
    folds: int = Field(0, ge=0, le=100, description="2 or more: the images outside test are cut into balanced folds")
    fold: int = Field(0, ge=0, description="the fold that is val, counted from 0")
    max_leaks: Share = Field(
        0.05, description="the stage fails if a larger share of val and test has a copy or its scene in another split"
    )

    @model_validator(mode="after")
    def _leaves_train(self) -> "Split":
        if self.folds == 1 or self.fold >= max(1, self.folds):
            problem = f"folds is {self.folds} and fold is {self.fold}"
            raise ValueError(f"{problem}; set folds to 0 (off) or 2 or more, and fold to a number below folds")
        if self.val + self.test >= 1:
            raise ValueError(f"val + test = {self.val + self.test} leaves no image for training")
        return self
