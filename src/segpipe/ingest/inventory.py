"""What a source holds, in numbers."""

from collections import Counter
from typing import Any

from segpipe.data.records import Dataset


def inventory(dataset: Dataset) -> dict[str, Any]:
    """Counts for a metrics file: images by split, annotations by role, and the records with a problem by reason."""
    images, instances = dataset.images, dataset.instances
    return {
        "format": dataset.format,
        "categories": len(dataset.categories),
        "images": {
            "in": len(images),
            "annotated": sum(image.annotated for image in images),
            "by_split": dict(Counter(image.split or "none" for image in images)),
            "problems": dict(Counter(image.problem for image in images if image.problem)),
        },
        "annotations": {
            "in": len(instances),
            "by_kind": dict(Counter(instance.kind for instance in instances)),
            "by_role": dict(Counter(instance.role for instance in instances)),
            "problems": dict(Counter(instance.problem for instance in instances if instance.problem)),
        },
    }
