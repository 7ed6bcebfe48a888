"""One record's whole way through the pipeline: where it comes from, what each stage made of it, and why."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from segpipe.core.errors import AnnotationError, UserError, at
from segpipe.core.files import whole
from segpipe.data import photos
from segpipe.data.preprocessing import Fit, sampled, stored_windows
from segpipe.data.records import Image, Instance, Photo
from segpipe.explain import picture as pictures
from segpipe.explain.lookup import Account, find, read
from segpipe.ledger.reasons import reason_of
from segpipe.ledger.rows import Row
from segpipe.rasterize import image as drawing

DATA = Path("data")
PICTURES = Path("results/explain")
_SHOWN = 10
_LISTED = 40
_WIDTH = 12


@dataclass(frozen=True, slots=True)
class Settings:
    """What the pipeline was run with. root: the source folder."""

    root: Path
    priority: str | Sequence[str]
    fit: Fit


def explain(asked: str, settings: Settings, output: Path | None = None) -> list[str]:
    """Lines about the one record that `asked` names, and its picture, drawn to `output` (default: in PICTURES).

    asked: an annotation's id or what follows its '#', or an image's key, file, file name or id in its record.
    Raises UserError if the pipeline has not run, or no record or several answer to the name, or the picture cannot be
    written.
    """
    account = read(DATA)
    row = find(account, asked)
    lines, picture = _of_image(account, row, settings) if row.kind == "image" else _of_one(account, row, settings)
    if isinstance(picture, str):
        return [*lines, _line("picture", picture)]
    path = output or PICTURES / f"{_safe(row.id)}.png"
    try:
        with whole(path) as part:
            picture.image.save(part, "PNG")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); give another by --output") from error
    return [*lines, _line("picture", f"{path}: {picture.legend}")]


def _of_one(account: Account, row: Row, settings: Settings) -> tuple[list[str], pictures.Drawn | str]:
    """An annotation."""
    instance, photo = account.instances[row.id], account.photos.get(row.image_key)
    lines = [
        _line("annotation", row.id),
        _line("class", _class(row)),
        _line("record", row.place or row.id),
        _line("photograph", _photograph(account, row.image_key)),
        _line("ingest", _read_as(instance)),
        *_validated(account.checked[row.kind, row.id]),
        *_noted(account, row),
    ]
    task = _task(account, photo, settings) if photo else None
    position = _position(task, row.id)
    if task is None or position is None:
        lines += [_line("rasterize", "not drawn"), *_split_lines(account, row)]
        return [*lines, *_advice(row)], _undrawn_picture(account, instance, settings)
    seen = _seen(task, position)
    lines += [*_rasterized(account, row, seen, settings), *_split_lines(account, row), *_advice(row)]
    pixels = _pixels(task.photo, settings)
    if isinstance(pixels, str):
        return lines, pixels
    return lines, pictures.of_instance(pixels, task.instances[position], seen.mask, seen.visible)


def _of_image(account: Account, row: Row, settings: Settings) -> tuple[list[str], pictures.Drawn | str]:
    """A photograph with all its annotations."""
    image, photo = account.images[row.id], account.photos.get(row.id)
    own = [other for other in account.rows.values() if other.kind == "annotation" and other.image_key == row.id]
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(r.verdict for r in own).most_common())
    declared = f"{image.width} x {image.height} pixels declared" if image.width else "no size declared"
    lines = [
        _line("photograph", row.id),
        _line("file", image.file or "none"),
        _line("record", row.place or image.file),
        _line("ingest", f"{declared}{f'; {image.detail}' if image.detail else ''}"),
        *_validated(account.checked[row.kind, row.id]),
        *_noted(account, row),
        *(_used(photo, settings.fit) if photo else []),
        *_split_lines(account, row),
        _line("annotations", verdicts or "none"),
        *(_line("", _brief(other)) for other in own[:_LISTED]),
        *([_line("", f"and {len(own) - _LISTED} more")] if len(own) > _LISTED else []),
        *_advice(row),
    ]
    if photo is None:
        return lines, _undrawn_picture(account, None, settings, image)
    pixels = _pixels(photo, settings)
    if isinstance(pixels, str):
        return lines, pixels
    label_map = drawing.paint(_task(account, photo, settings)).label_map()
    return lines, pictures.of_photograph(pixels, label_map, account.classes)


def _pixels(photo: Photo, settings: Settings) -> np.ndarray | str:
    """The photograph as validate saw it, uint8 (H, W, 3), or a word on why there is none."""
    try:
        pixels = photos.read_rgb(settings.root / photo.file, photo.frame)
    except AnnotationError as error:
        return f"none: {photo.file}: {error}"
    if pixels.shape[:2] != (photo.height, photo.width):
        return f"none: {photo.file}: its size changed since validate ran; run `dvc repro`"
    return pixels


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one instance covers and what of it shows, bool (H, W); the others on top of it and how many pixels each.

    store_px: pixels of it in each row of the store.
    """

    mask: np.ndarray
    visible: np.ndarray
    hidden_by: list[tuple[Instance, int]]
    store_px: list[int]


def _seen(task: drawing.DrawTask, position: int) -> _Seen:
    owners = drawing.paint(task).owners()
    mask = pictures.mask_of(task.instances[position], owners.shape, task.root)
    counts = np.bincount(owners[mask], minlength=len(task.instances) + 1).tolist()
    others = [(task.instances[i - 1], n) for i, n in enumerate(counts) if n and i not in (0, position + 1)]
    visible = owners == position + 1
    store_px = [int(visible[np.ix_(*sampled(window))].sum()) for window in task.windows]
    return _Seen(mask, visible, sorted(others, key=lambda pair: -pair[1]), store_px)


def _task(account: Account, photo: Photo, settings: Settings) -> drawing.DrawTask:
    return drawing.DrawTask(
        root=settings.root,
        photo=photo,
        instances=account.drawn.get(photo.key, ()),
        indices=dict(account.indices),
        classes=account.classes,
        priority=settings.priority if isinstance(settings.priority, str) else tuple(settings.priority),
        fit=settings.fit,
        position=0,
        masks=DATA / "masks",
        store=DATA / "store",
    )


def _position(task: drawing.DrawTask | None, id_: str) -> int | None:
    instances = task.instances if task else ()
    return next((i for i, instance in enumerate(instances) if instance.id == id_), None)


def _rasterized(account: Account, row: Row, seen: _Seen, settings: Settings) -> list[str]:
    if not account.rasterized:
        return [_line("rasterize", "has not run yet; run `dvc repro`")]
    now = int(seen.mask.sum()), int(seen.visible.sum()), sum(seen.store_px)
    lines = [_line("rasterize", f"{row.verdict}: {row.px_before:,} px by itself, {row.px_after:,} px show")]
    if now != (row.px_before, row.px_after, row.px_store):
        stale = "now they would be {:,} and {:,}, and {:,} at training".format(*now)
        lines.append(_line("", f"{stale}: params.yaml or the source changed since; run `dvc repro`"))
    for instance, count in seen.hidden_by[:_SHOWN]:
        lines.append(_line("", f"{count:,} px beneath {instance.id} ({instance.category or instance.role})"))
    rows = len(seen.store_px)
    tiles = f" in {sum(map(bool, seen.store_px))} of the photograph's {rows} tiles" if rows > 1 else ""
    gone = "" if row.px_store or not row.px_after else ": it vanishes; see photos.height and photos.width"
    return [*lines, _line("at training", f"{row.px_store:,} px at {_size(settings.fit)}{tiles}{gone}")]


def _validated(row: Row) -> list[str]:
    """The verdict of validate, in plain words."""
    lines = [_line("validate", f"{row.verdict}{f' ({row.reason})' if row.reason else ''}")]
    if row.reason:
        reason = reason_of(row.verdict, row.reason)
        lines += [_line("", f"{reason.title}. {reason.meaning}"), _line("", reason.done)]
    if row.detail:
        lines.append(_line("", row.detail))
    if row.area_before is not None and row.area_after is not None and row.reason == "self_crossing":
        lines.append(_line("", f"{row.area_before:,.1f} square pixels as it runs, {row.area_after:,.1f} corrected"))
    return lines


def _noted(account: Account, row: Row) -> list[str]:
    """What is worth knowing of the record besides its verdict."""
    lines = []
    for finding in account.findings.get((row.kind, row.id), ()):
        words = reason_of("", finding.code)
        detail = f" ({finding.detail})" if finding.detail else ""
        lines += [_line("note", f"{words.title}{detail}. {words.meaning}"), _line("", words.done)]
    return lines


def _advice(row: Row) -> list[str]:
    if not row.reason:
        return []
    reason = reason_of(row.verdict, row.reason)
    keys = f" (params.yaml: {', '.join(reason.settings)})" if reason.settings else ""
    return [_line("to do", f"{reason.remedy}{keys}")]


def _split_lines(account: Account, row: Row) -> list[str]:
    if account.splits is None:
        return [_line("split", "has not run yet; run `dvc repro`")]
    placed = account.splits.get(row.image_key)
    if placed is None:
        return [_line("split", "none: the photograph is not used")]
    fold = f", fold {placed.fold}" if placed.fold else ""
    group = f"; goes with {placed.group}" if placed.group not in ("", row.image_key) else ""
    reason = f" ({placed.reason})" if placed.reason else ""
    return [_line("split", (placed.split or "left out of training") + reason + fold + group)]


def _class(row: Row) -> str:
    merged = row.class_name not in ("", row.category)
    return f"{row.category}, counts as {row.class_name}" if merged else row.category or "none"


def _photograph(account: Account, key: str) -> str:
    image = account.images.get(key)
    return f"{image.file or image.place} (key {key})" if image else "none that the source knows"


def _read_as(instance: Instance) -> str:
    if instance.problem:
        return f"cannot be used: {instance.detail}"
    if instance.rle:
        shape = f"run lengths of {instance.rle.size_hw[1]} x {instance.rle.size_hw[0]} pixels"
    elif instance.mask_file:
        shape = f"pixels of value {instance.mask_value} in {instance.mask_file}"
    else:
        points = sum(len(ring) // 2 for ring in instance.rings)
        rings = "" if instance.kind in ("line", "point") else f"{len(instance.rings)} ring{_s(len(instance.rings))} of "
        holes = f", {len(instance.holes)} hole{_s(len(instance.holes))}" if instance.holes else ""
        shape = f"{rings}{points} point{_s(points)}{holes}"
    role = "" if instance.role == "object" else f", role {instance.role}"
    return f"a {instance.kind}{role}: {shape}"


def _used(photo: Photo, fit: Fit) -> list[str]:
    turn = f", EXIF orientation {photo.orientation}" if photo.orientation != 1 else ""
    rows = len(stored_windows((photo.height, photo.width), fit))
    return [
        _line("used as", f"{photo.width} x {photo.height} pixels, {photo.frame} frame{turn}"),
        _line("at training", f"{rows} tiles of {_size(fit)}" if rows > 1 else _size(fit)),
    ]


def _size(fit: Fit) -> str:
    return f"{fit.size_hw[1]} x {fit.size_hw[0]} pixels"


def _s(count: int) -> str:
    return "s" * (count != 1)


def _brief(row: Row) -> str:
    shown = "" if row.px_before is None else f", {row.px_before:,} px"
    shown += "" if row.px_after is None else f", {row.px_after:,} show"
    return f"{row.id}: {row.category or 'no class'}, {row.verdict}{f' ({row.reason})' if row.reason else ''}{shown}"


def _undrawn_picture(
    account: Account, instance: Instance | None, settings: Settings, image: Image | None = None
) -> pictures.Drawn | str:
    """The photograph with the outline of an instance that is not drawn; a word if there is no photograph."""
    image = image or (account.images.get(instance.image_key) if instance else None)
    if image is None or not image.file or image.problem:  # such a file may lead outside the source
        return "none: no photograph of it can be read"
    photo = account.photos.get(image.key)
    try:
        with at(image.file):
            pixels = photos.read_rgb(settings.root / image.file, photo.frame if photo else "viewed")
    except AnnotationError as error:
        return f"none: {error}"
    if instance is None:
        return pictures.of_photograph(pixels, np.zeros(pixels.shape[:2], np.uint8), account.classes)
    nothing = np.zeros(pixels.shape[:2], bool)
    try:
        mask = pictures.mask_of(instance, cast(tuple[int, int], pixels.shape[:2]), settings.root)
    except AnnotationError:
        mask = nothing
    return pictures.of_instance(pixels, instance, mask, nothing)


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}} {text}"


def _safe(id_: str) -> str:
    return re.sub(r"[^\w.-]+", "_", id_).lstrip(".")[-100:]
