"""The fields of an instance while its record is read: what a class may lack, its first problem, what its flags say."""

from collections.abc import Callable, Iterable
from typing import Any, ParamSpec

from segpipe.core.errors import AnnotationError
from segpipe.data.records import FLAGS

Fields = dict[str, Any]
Arguments = ParamSpec("Arguments")
UNKNOWN = "unknown_category"
_RAISED = frozenset({"1", "true", "yes", "on"})


def named(read: Callable[Arguments, str], *arguments: Arguments.args, **options: Arguments.kwargs) -> Fields:
    """The category that `read` gives; where nothing names the class, that as the problem: its shape is read anyway.

    Raises what `read` raises for any other reason than unknown_category.
    """
    try:
        return {"category": read(*arguments, **options)}
    except AnnotationError as error:
        if error.reason != UNKNOWN:
            raise
        return {"problem": error.reason, "detail": str(error)}


def failed(known: Fields, error: AnnotationError) -> Fields:
    """The fields with what went wrong; of several problems the first counts."""
    return known if known.get("problem") else known | {"problem": error.reason, "detail": str(error)}


def added(known: Fields, more: Fields) -> Fields:
    """The fields and more of them; what is said of a problem stays."""
    return known | more | ({"detail": known["detail"]} if known.get("problem") else {})


def flags(raised: Iterable[tuple[Any, Any]]) -> tuple[str, ...]:
    """Those of FLAGS that pairs of name and value raise, as formats write both: 1, true, "yes" ..."""
    found = {str(name).strip().casefold() for name, value in raised if _is_raised(value)}
    return tuple(flag for flag in FLAGS if flag in found)


def _is_raised(value: Any) -> bool:
    return value is True or str(value).strip().casefold() in _RAISED
