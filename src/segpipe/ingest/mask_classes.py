"""What the values of masks mean, numbers and colours alike."""

from collections.abc import Iterable
from dataclasses import dataclass

from segpipe.data.classes import BACKGROUND
from segpipe.ingest.colour_classes import COLOUR_FILES, ColourClasses
from segpipe.ingest.mask_surveys import Survey
from segpipe.ingest.value_classes import IGNORE, ValueClasses
from segpipe.masks.mask_files import colour_of

MAX_COLOURS = 256


@dataclass(frozen=True, slots=True)
class MaskClasses:
    """numbers: what stored numbers mean; colours: what colours mean, None if nothing declares it."""

    numbers: ValueClasses
    colours: ColourClasses | None = None

    def meaning(self, survey: Survey, value: int) -> str | None:
        """The class name, "background" or "ignore" that a value of a mask stands for; None if nothing names it.

        A palette picture goes by its colours where all of them are declared, else by its indices.
        """
        if survey.coloured:
            return self.colours.meaning(value) if self.colours else self.numbers.meaning(value & 255)
        if self._by_palette(survey):
            return self.colours.meaning(survey.palette[value]) if self.colours else None
        return self.numbers.meaning(value)

    def problem(self, survey: Survey) -> str:
        """Why the mask cannot be used although it can be read, "" if it can."""
        if survey.coloured and not self.colours and not survey.grey:
            problem = "it holds colours, not class numbers, and nothing says what they mean"
            return f"{problem}; declare them in {COLOUR_FILES[0]} or {COLOUR_FILES[1]} or under ingest.mask_values"
        if survey.coloured and len(survey.pixels) > MAX_COLOURS:
            problem = f"{len(survey.pixels)} colours are those of a photograph, or of a mask with blended edges"
            return f"{problem}; export the mask without antialiasing"
        return ""

    def unnamed(self, survey: Survey, value: int) -> str:
        """What is wrong with a value that nothing names."""
        if survey.coloured and self.colours:
            colour = ",".join(map(str, colour_of(value)))
            return f"{self.colours.named_by} does not name the colour {colour}; add it there"
        return f"{self.numbers.named_by} does not name the value {value}; add it there"

    def categories(self, surveys: Iterable[Survey]) -> tuple[str, ...]:
        """The class names in their own order: those of the colours if masks go by them, then those of the numbers."""
        found = list(surveys)
        by_colour = [s for s in found if self.colours and (s.coloured or self._by_palette(s))]
        names = list(self.colours.names.values()) if self.colours and by_colour else []
        present = {value & 255 if s.coloured else value for s in found if s not in by_colour for value, _ in s.pixels}
        if present:
            names += self.numbers.categories(present)
        return tuple(dict.fromkeys(name for name in names if name not in (BACKGROUND, IGNORE)))

    @property
    def named_by(self) -> str:
        """Who names the values, "" for the default numbers."""
        return self.colours.named_by if self.colours else self.numbers.named_by

    def _by_palette(self, survey: Survey) -> bool:
        if not self.colours or not survey.palette or self.numbers.by_user:
            return False
        used = [survey.palette[value] for value, _ in survey.pixels if value < len(survey.palette)]
        return len(used) == len(survey.pixels) and all(self.colours.meaning(colour) for colour in used)
