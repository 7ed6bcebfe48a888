"""All defects of the demo folder, planted a known number of times, and their manifest.

Defects do not share images, and every record has at most one reason, so the counts do not depend on each other. Added
annotations are inside an object of the same class, so the label map of a usable image stays exact.
The manifest, OUT/defects.json:
    expected.images, expected.annotations   rows (all records), verdicts and reasons, as in the final ledger
    planted      one entry for each defect: name, about (images or annotations), verdict, reason, count, why, and
                 the files or annotation ids
    orientation  photos with an EXIF rotation: viewed, stored (the frame that fits the annotation), undecidable (both)
    duplicates   pairs of files: equal (identical bytes), near (brightened and encoded again)
    greyscale    files with one channel
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segpipe.core.errors import UserError
from segpipe.core.files import write_json
from segpipe.demo import file_defects, record_defects
from segpipe.demo.folder import Document
from segpipe.demo.planting import MIN_COUNT, Planting
from segpipe.demo.scenes import CLASSES

MANIFEST = Path("defects.json")


_STEPS: tuple[Callable[[Planting], None], ...] = (
    record_defects.past_border,  # first those that need a special image
    file_defects.turned,
    file_defects.unmatched,
    file_defects.missing_files,
    file_defects.broken_files,
    file_defects.unsupported_files,
    file_defects.wrong_sizes,
    file_defects.greyscale,
    file_defects.unlisted_files,
    file_defects.empty_mask,
    record_defects.crossings,
    record_defects.removed_rings,
    record_defects.bad_rings,
    record_defects.bad_runs,
    record_defects.no_area,
    record_defects.outside,
    record_defects.unknown_ids,
    record_defects.bad_records,
    record_defects.hidden,
    file_defects.duplicates,
    record_defects.natural,
)


def plant(out: Path, document: Document) -> None:
    """Plant all defects in the photos in `out` and in the document, in place, and write the manifest.

    Raises UserError if there are too few images.
    """
    if len(document.images) < MIN_COUNT:
        raise UserError(
            f"--count {len(document.images)} is too small to plant all defects; use {MIN_COUNT} or more, or --clean"
        )
    planting = Planting(out, document, list(document.images))
    for step in _STEPS:
        step(planting)
    write_json(out / MANIFEST, _manifest(planting))


def _manifest(planting: Planting) -> dict[str, Any]:
    unlisted = sum(entry["count"] for entry in planting.planted if entry["reason"] == "not_annotated")
    rows = {"images": len(planting.document.images) + unlisted, "annotations": len(planting.document.annotations)}
    expected = {about: _expected(planting, about, count) for about, count in rows.items()}
    return {"selected_classes": list(CLASSES), "expected": expected, "planted": planting.planted, **planting.notes}


def _expected(planting: Planting, about: str, rows: int) -> dict[str, Any]:
    verdicts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for entry in planting.planted:
        if entry["about"] == about:
            verdicts[entry["verdict"]] += entry["count"]
            reasons[entry["reason"]] += entry["count"]
    verdicts["kept"] = rows - verdicts.total()
    return {"rows": rows, "verdicts": dict(verdicts), "reasons": dict(reasons)}
