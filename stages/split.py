"""split: data/checked + the store's class counts + what is pinned -> data/splits.csv, and the data report."""

import logging
from pathlib import Path

import numpy as np

from segpipe.core.command import run
from segpipe.core.errors import UserError, check_total
from segpipe.core.files import write_json, write_text
from segpipe.data import split_table, tables
from segpipe.data.classes import ClassTable
from segpipe.data.records import Photo
from segpipe.ledger import limits
from segpipe.ledger.rows import read_ledger
from segpipe.params import Params, Split, load
from segpipe.report import collect
from segpipe.split import assign, empty_sides, leaks, pins, scenes, summary
from segpipe.split.assign import Candidate, Plan, Pool
from segpipe.split.findings import check_totals

logger = logging.getLogger(__name__)


def main() -> None:
    """Place every image on one side, what belongs to it with it."""
    params = load()
    settings = params.split
    class_pixels = np.load("data/store/class_pixels.npy")
    photos = tables.read_photos(Path("data/checked/images.parquet"))
    check_total(len(photos) == len(class_pixels), f"{len(photos)} photographs checked, {len(class_pixels)} drawn")
    candidates = _candidates(photos, class_pixels, settings)
    _tell_copies(candidates)
    pool = Pool.gather(candidates, class_pixels, settings.near_duplicate_bits, params.seed)
    plan = Plan(
        method=settings.method,
        val=settings.val,
        test=settings.test,
        source_roles=settings.source_roles,
        folds=settings.folds,
        fold=settings.fold,
    )
    placed = assign.place(pool, plan)
    check_totals(placed, read_ledger(Path("data/ledger.parquet")))
    found = leaks.find_leaks(pool, placed, settings.near_duplicate_bits)
    names = ClassTable.read(Path("data/masks/classes.json")).names

    split_table.write(Path("data/splits.csv"), placed)
    write_text(Path("metrics/plots/split/classes.csv"), summary.class_csv(placed, class_pixels, names))
    pinned = sum(c.pin is not None for c in candidates)
    facts = summary.summary(placed, class_pixels, names) | {"leaks": leaks.counts(found, placed), "pinned": pinned}
    write_json(Path("metrics/split.json"), facts)
    _tell_pinned(settings, pinned, len(candidates))
    for line in summary.share_table(placed, class_pixels, names):
        logger.info(line)
    warnings = summary.warnings(placed, class_pixels, names) + leaks.lines(found, placed)
    if settings.method == "content":
        warnings += summary.advice(placed, class_pixels, names)
    for line in warnings:
        logger.warning(line)
    _report(params)
    empty_sides.refuse(pool, plan, placed, settings.near_duplicate_bits, params.seed)
    leaks.check_limit(found, placed, settings.max_leaks)


def _report(params: Params) -> None:
    limited = params.validation.limits
    report = collect.read("split", Path(params.ingest.source), limited, params.split.near_duplicate_bits)
    collect.write(report)
    logger.info("results/data_report.html shows what was found")
    limits.check("split", limited, report.rows, report.findings, lambda: None)


def _candidates(photos: list[Photo], class_pixels: np.ndarray, settings: Split) -> list[Candidate]:
    pinned = pins.read(Path(settings.pins))
    scene_of = _scenes(settings, photos)
    copies = scenes.copies([photo.file for photo in photos])
    return [
        Candidate(
            key=photo.key,
            sha256=photo.sha256,
            phash=photo.phash,
            scene=scene,
            source_split=photo.split,
            empty=settings.empty_masks == "leave_out" and not (photo.background or row[1:].any()),
            pin=pinned.get(photo.sha256),
            copy_of="" if scene else copy,  # what params.yaml says of an image counts more than its name
        )
        for photo, scene, copy, row in zip(photos, scene_of, copies, class_pixels, strict=True)
    ]


def _tell_copies(candidates: list[Candidate]) -> None:
    copies = [c for c in candidates if c.copy_of]
    if copies:
        originals = len({c.copy_of for c in copies})
        logger.info(
            "%d images are, by their names, copies of %d (first: %s); copies of an image belong together",
            len(copies), originals, copies[0].key,
        )  # fmt: skip


def _tell_pinned(settings: Split, pinned: int, images: int) -> None:
    if pinned:
        logger.info("%d of %d images keep the side that %s gives them", pinned, images, settings.pins)
    if pinned < images and (settings.method == "balanced" or settings.folds):
        logger.info("%d images are not pinned: added ones may move them; `make pin` keeps them", images - pinned)


def _scenes(settings: Split, photos: list[Photo]) -> list[str]:
    path, files = Path(settings.scene_table), {photo.key: photo.file for photo in photos}
    known = {row["key"]: row["file"] for row in tables.read_rows(Path("data/records/images.parquet"))}
    listed = scenes.by_table(path, settings.scene_column, known)
    if listed and settings.scene:
        raise UserError(f"params.yaml: split.scene and the rows of {path} both name scenes; keep one of them")
    if listed:
        return scenes.of_images(listed, files, path)
    return scenes.by_pattern(list(files.values()), settings.scene)


if __name__ == "__main__":
    run(main)
