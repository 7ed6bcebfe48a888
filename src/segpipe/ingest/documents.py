"""One annotation file for each photograph: read one by one, so that a broken file costs its own photograph only."""

import json
from pathlib import Path
from typing import Any

from segpipe.core import machine
from segpipe.core.errors import AnnotationError
from segpipe.ingest import values
from segpipe.ingest.source import Source
from segpipe.ingest.xml_files import root_of


def file_bytes(path: Path) -> bytes:
    """The file's content, empty if it cannot be read; enough to tell formats apart."""
    try:
        return path.read_bytes()
    except OSError as error:
        machine.stop_if_at_fault(error, str(path))
        return b""


def json_document(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises AnnotationError (bad_record), without the file's name."""
    try:
        return values.json_object(json.loads(path.read_bytes()))
    except OSError as error:
        machine.stop_if_at_fault(error, str(path))
        raise AnnotationError(f"cannot be read ({error.strerror}); restore it or take it out of the source") from error
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno}: not valid JSON ({error.msg})"
        raise AnnotationError(f"{problem}; export it again, or take it out of the source") from error
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"not valid JSON ({error}); export it again, or take it out of the source") from error


def problem_of(source: Source, file: str) -> str:
    """Why a .json or .xml file cannot be read as what its name says, "" if it can, or has another name."""
    try:
        if file.lower().endswith(".json"):
            json_document(source.root / file)
        elif file.lower().endswith(".xml"):
            root_of(source, file)
    except AnnotationError as error:
        return str(error)
    return ""


def json_list(document: dict[str, Any], key: str) -> list[Any]:
    """A list of the document. Raises AnnotationError (bad_record)."""
    value = document.get(key)
    if not isinstance(value, list):
        raise AnnotationError(f"has no list {key!r}; export it again, or take it out of the source")
    return value
