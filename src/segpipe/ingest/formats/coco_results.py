"""COCO results: a list of detections, whose pictures and class names stand in an instances file beside it.

Source: cocodataset.org/#format-results (object detection). They are read where that file has no annotations of its
own; beside annotations they are a model's predictions of the same pictures, and left alone.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from segpipe.core.errors import UserError
from segpipe.data.records import Dataset
from segpipe.ingest.formats import coco
from segpipe.ingest.parsing import file_bytes
from segpipe.ingest.source import Source

logger = logging.getLogger(__name__)

FORMAT = "coco_results"
_LISTED_AS = "annotations"


@dataclass(frozen=True, slots=True)
class Results:
    """lists: the detections by file; instances: the documents with images and categories, by file."""

    lists: Mapping[str, list[Any]]
    instances: Mapping[str, coco.Document]


def recognise(source: Source) -> Results | None:
    """The lists of detections of a source, None if there are none or they stand beside annotations."""
    lists = {file: found for file in source.with_suffix(".json") if (found := _detections(source, file)) is not None}
    if not lists:
        return None
    instances = coco.recognise(source)
    if any(document["annotations"] for document in instances.values()):
        logger.info("%s: predictions beside annotations; not read", ", ".join(lists))
        return None
    return Results(lists, instances)


def _detections(source: Source, file: str) -> list[Any] | None:
    data = file_bytes(source.root / file)
    if not data.lstrip().startswith(b"[") or b'"image_id"' not in data:
        return None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return document if coco.are_results(document) else None


def read(source: Source, results: Results) -> Dataset:
    """Read the detections: one Instance each. Raises UserError without exactly one file of images and categories."""
    names = ", ".join(results.lists)
    if len(results.instances) != 1:
        found = f"{len(results.instances)} instances files" if results.instances else "no instances file"
        raise UserError(
            f"{names}: detections name their pictures and classes by numbers only, and there is {found} beside them "
            "that says what the numbers mean; put the one that belongs to them there"
        )
    ((file, document),) = results.instances.items()
    lists = {name: {**document, _LISTED_AS: found} for name, found in results.lists.items()}
    dataset = coco.read(source, lists)
    images = [replace(i, place=i.place.replace(f"{i.place.split(': ')[0]}: ", f"{file}: ", 1)) for i in dataset.images]
    instances = [replace(i, place=i.place.replace(f": {_LISTED_AS}[", ": [", 1)) for i in dataset.instances]
    return replace(dataset, format=FORMAT, images=tuple(images), instances=tuple(instances))
