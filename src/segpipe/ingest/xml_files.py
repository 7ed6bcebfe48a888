"""XML of a source, read without entities and external references (defusedxml)."""

from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from segpipe.core import machine
from segpipe.core.errors import AnnotationError
from segpipe.ingest.source import Source

_REMEDY = "export it again, or take it out of the source"


def root_of(source: Source, file: str) -> Element:
    """The root element of an XML file. Raises AnnotationError (bad_record), without the file's name."""
    try:
        root: Element = ElementTree.fromstring((source.root / file).read_bytes())
    except OSError as error:
        machine.stop_if_at_fault(error, file)
        raise AnnotationError(f"cannot be read ({error.strerror}); restore it or take it out of the source") from error
    except DefusedXmlException as error:
        problem = f"defines entities or external references ({type(error).__name__}), which are never followed"
        raise AnnotationError(f"{problem}; remove them") from error
    except ParseError as error:
        line, column = error.position
        problem = f"line {line}, column {column + 1}: not valid XML ({str(error).split(':')[0]})"
        raise AnnotationError(f"{problem}; {_REMEDY}") from error
    except (ValueError, LookupError, RecursionError) as error:  # an encoding that is none
        raise AnnotationError(f"not valid XML ({error}); {_REMEDY}") from error
    return root


def text_of(element: Element, path: str) -> str:
    """The text of the first element at `path` below, without blanks around it; "" if there is none."""
    return (element.findtext(path) or "").strip()
