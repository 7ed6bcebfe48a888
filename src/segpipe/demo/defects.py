"""Break a clean folder on purpose, a known number of times for each way, and write down which.

Every defect has pictures of its own, and every record ends with one reason only, so that no count depends on
another. Additions lie inside an object of the same class: the label map of a usable picture stays exact.
The manifest, OUT/defects.json:
    expected.images, expected.annotations   rows (all that come in), verdicts and reasons, as the final ledger counts
    planted      one entry for each defect: name, about (images or annotations), verdict, reason, count, why, and
                 the files or annotation ids
    orientation  EXIF-turned photographs: viewed, stored (the frame the annotation fits), undecidable (both fit)
    duplicates   pairs of files: equal (the same bytes), near (encoded anew, brightened)
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
from segpipe.demo.planting import LEAST_COUNT, Plot
from segpipe.demo.scenes import CLASSES

MANIFEST = Path("defects.json")


_STEPS: tuple[Callable[[Plot], None], ...] = (
    record_defects.past_border,  # first the ones that need a special picture
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
    """Break the pictures in `out` and the document, in place, and write the manifest.

    Raises UserError if there are too few pictures.
    """
    if len(document.images) < LEAST_COUNT:
        raise UserError(
            f"--count {len(document.images)} is too few to plant all defects; {LEAST_COUNT} or more, or --clean"
        )
    plot = Plot(out, document, list(document.images))
    for step in _STEPS:
        step(plot)
    write_json(out / MANIFEST, _manifest(plot))


def _manifest(plot: Plot) -> dict[str, Any]:
    unlisted = sum(entry["count"] for entry in plot.planted if entry["reason"] == "not_annotated")
    rows = {"images": len(plot.document.images) + unlisted, "annotations": len(plot.document.annotations)}
    expected = {about: _expected(plot, about, count) for about, count in rows.items()}
    return {"selected_classes": list(CLASSES), "expected": expected, "planted": plot.planted, **plot.notes}


def _expected(plot: Plot, about: str, rows: int) -> dict[str, Any]:
    verdicts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for entry in plot.planted:
        if entry["about"] == about:
            verdicts[entry["verdict"]] += entry["count"]
            reasons[entry["reason"]] += entry["count"]
    verdicts["kept"] = rows - verdicts.total()
    return {"rows": rows, "verdicts": dict(verdicts), "reasons": dict(reasons)}
