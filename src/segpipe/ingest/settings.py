"""The section `ingest` of params.yaml: the source folder, its format and its classes."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from segpipe.core.errors import UserError
from segpipe.core.settings import Settings
from segpipe.data.classes import BACKGROUND, class_of_categories
from segpipe.ingest.names import AUTO, FORMAT_NAMES

_PART = "(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
_STORED = re.compile(rf"[0-9]{{1,9}}|{_PART}, ?{_PART}, ?{_PART}")


def _classes(value: Any) -> Any:
    """Check `ingest.classes` with one message for all the types that it may have. Raises ValueError."""
    names = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    parts = [
        part for name in names for part in (name if isinstance(name, list) and isinstance(value, dict) else [name])
    ]
    if value != AUTO and (not parts or not all(isinstance(part, str) and part.strip() for part in parts)):
        raise ValueError("names no class; write auto, a list of names, or names by class: {vehicle: [car, bus]}")
    if isinstance(value, dict):
        try:
            class_of_categories(value)
        except UserError as error:
            raise ValueError(str(error)) from None
    return value


class Ingest(Settings):
    """The source folder with its images and annotations, and the classes to learn."""

    source: str = Field("data/demo", min_length=1, description="folder of images and annotations; it is only read")
    format: str = Field(AUTO, description=f"{AUTO} (detect the format), or one of: {', '.join(FORMAT_NAMES)}")
    task: Literal["multiclass", "binary"] = Field("multiclass", description="binary: all classes become one")
    classes: Annotated[Literal["auto"] | list[str] | dict[str, str | list[str]], BeforeValidator(_classes)] = Field(
        "auto",
        description="classes in the order of their indices; auto: every class with an annotation; "
        "a mapping merges or renames: {vehicle: [car, bus], human: person}",
    )
    mask_values: dict[str, str] = Field(
        {},
        description="for masks: the class of each stored value or colour, "
        'like {"0": background, "128,0,0": car, "255": ignore}',
    )
    image_pattern: str = Field("", description='for index masks in any folders: glob of the images, "photos/**/*.jpg"')
    mask_pattern: str = Field("", description='and glob of their masks, "labels/**/*.png"')

    @model_validator(mode="after")
    def _consistent(self) -> "Ingest":
        if self.format not in (AUTO, *FORMAT_NAMES):
            raise ValueError(f"format is {self.format!r}; use one of {AUTO}, {', '.join(FORMAT_NAMES)}")
        if isinstance(self.classes, list) and len(set(self.classes)) < len(self.classes):
            raise ValueError("classes names a class twice")
        if BACKGROUND in self.classes:
            raise ValueError(f"classes names {BACKGROUND}, the class of all pixels without another class; remove it")
        if bool(self.image_pattern) != bool(self.mask_pattern):
            raise ValueError("image_pattern and mask_pattern are used together: set both or neither")
        invalid = [value for value in self.mask_values if not _STORED.fullmatch(value)]
        if invalid:
            problem = f"{invalid[0]!r} is neither a number nor three numbers from 0 to 255"
            raise ValueError(f'mask_values maps stored numbers, or colours like "128,0,0", to names; {problem}')
        written: dict[tuple[int, ...], str] = {}
        for value in self.mask_values:
            other = written.setdefault(tuple(map(int, value.split(","))), value)
            if other != value:
                raise ValueError(f"mask_values: {other!r} and {value!r} are the same value; keep one of them")
        return self
