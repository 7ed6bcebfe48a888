"""The path of one record through the pipeline: its origin, the result of each stage, and the reasons."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segpipe.core.errors import AnnotationError, UserError, at
from segpipe.core.files import atomic_write
from segpipe.core.plurals import counted
from segpipe.data import photos
from segpipe.data.preprocessing import Fit, sampled, stored_windows
from segpipe.data.records import Image, Instance, Photo
from segpipe.explain import picture
from segpipe.explain.lookup import Outputs, find, read
from segpipe.explain.picture import Illustration
from segpipe.ledger.reasons import reason_of
from segpipe.ledger.rows import Row
from segpipe.rasterize.image import DrawTask, paint

DATA = Path("data")
PICTURES = Path("results/explain")
_MAX_HIDING = 10
_MAX_LISTED = 40
_WIDTH = 12


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The settings of the pipeline that decide how an image is drawn."""

    root: Path  # the source folder
    priority: str | Sequence[str]
    fit: Fit


def explain(name: str, settings: RunSettings, output: Path | None = None) -> list[str]:
    """Lines about the one record that `name` means; its picture is drawn to `output`.

    name: an annotation's id or the part after its '#', or an image's key, file, file name or id in its record.
    output: a PNG file, by default in PICTURES.
    Raises UserError if the pipeline has not run, if `name` means no record or several, or if the picture cannot be
    written.
    """
    outputs = read(DATA)
    row = find(outputs, name)
    explained = _of_image if row.kind == "image" else _of_annotation
    lines, drawn = explained(outputs, row, settings)
    if isinstance(drawn, str):
        return [*lines, _line("picture", drawn)]
    path = output or PICTURES / f"{_safe_file_name(row.id)}.png"
    try:
        with atomic_write(path) as part:
            drawn.image.save(part, "PNG")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); name another file with --output") from error
    return [*lines, _line("picture", f"{path}: {drawn.legend}")]


def _of_annotation(outputs: Outputs, row: Row, settings: RunSettings) -> tuple[list[str], Illustration | str]:
    instance, photo = outputs.instances[row.id], outputs.photos.get(row.image_key)
    lines = [
        _line("annotation", row.id),
        _line("class", _class(row)),
        _line("record", row.place or row.id),
        _line("image", _image(outputs, row.image_key)),
        _line("ingest", _shape(instance)),
        *_validate_lines(outputs.checked[row.kind, row.id]),
        *_finding_lines(outputs, row),
    ]
    task = _task(outputs, photo, settings) if photo else None
    position = _position(task, row.id)
    if task is None or position is None:
        lines += [_line("rasterize", "not drawn"), *_split_lines(outputs, row)]
        return [*lines, *_remedy_lines(row)], _undrawn(outputs, outputs.images.get(row.image_key), settings, instance)
    pixels = _pixels(task, position, settings.fit)
    lines += [*_rasterize_lines(outputs, row, pixels, settings), *_split_lines(outputs, row), *_remedy_lines(row)]
    image = _read_photo(task.photo, settings)
    if isinstance(image, str):
        return lines, image
    return lines, picture.of_instance(image, task.instances[position], pixels.mask, pixels.visible)


def _of_image(outputs: Outputs, row: Row, settings: RunSettings) -> tuple[list[str], Illustration | str]:
    record, photo = outputs.images[row.id], outputs.photos.get(row.id)
    annotations = [r for r in outputs.rows.values() if r.kind == "annotation" and r.image_key == row.id]
    verdicts = Counter(annotation.verdict for annotation in annotations).most_common()
    declared = f"{record.width} x {record.height} pixels declared" if record.width else "no size declared"
    more = len(annotations) - _MAX_LISTED
    lines = [
        _line("image", row.id),
        _line("file", record.file or "none"),
        _line("record", row.place or record.file),
        _line("ingest", f"{declared}{f'; {record.detail}' if record.detail else ''}"),
        *_validate_lines(outputs.checked[row.kind, row.id]),
        *_finding_lines(outputs, row),
        *(_photo_lines(photo, settings.fit) if photo else []),
        *_split_lines(outputs, row),
        _line("annotations", ", ".join(f"{count} {verdict}" for verdict, count in verdicts) or "none"),
        *(_line("", _summary(annotation)) for annotation in annotations[:_MAX_LISTED]),
        *([_line("", f"and {more} more")] if more > 0 else []),
        *_remedy_lines(row),
    ]
    if photo is None:
        return lines, _undrawn(outputs, record, settings)
    image = _read_photo(photo, settings)
    if isinstance(image, str):
        return lines, image
    label_map = paint(_task(outputs, photo, settings)).label_map()
    return lines, picture.of_image(image, label_map, outputs.classes)


def _read_photo(photo: Photo, settings: RunSettings) -> np.ndarray | str:
    """The image as validate decoded it, uint8 (H, W, 3), or the reason why there is none."""
    try:
        image = photos.read_rgb(settings.root / photo.file, photo.frame)
    except AnnotationError as error:
        return f"none: {photo.file}: {error}"
    if image.shape[:2] != (photo.height, photo.width):
        return f"none: {photo.file}: its size has changed since validate ran; run `dvc repro`"
    return image


@dataclass(frozen=True, slots=True)
class _Pixels:
    """The pixels of one drawn instance."""

    mask: np.ndarray  # bool (H, W), the pixels that it covers, also under other objects
    visible: np.ndarray  # bool (H, W), those of them that the label map shows
    hidden_by: list[tuple[Instance, int]]  # the instances on top of it, with the pixels that each hides
    store_px: list[int]  # its visible pixels in each row of the store


def _pixels(task: DrawTask, position: int, fit: Fit) -> _Pixels:
    owners = paint(task).owners()
    mask = picture.mask_of(task.instances[position], owners.shape, task.root)
    counts = np.bincount(owners[mask], minlength=len(task.instances) + 1).tolist()
    others = [(task.instances[i - 1], n) for i, n in enumerate(counts) if n and i not in (0, position + 1)]
    visible = owners == position + 1
    store_px = [int(visible[np.ix_(*sampled(window))].sum()) for window in stored_windows(owners.shape, fit)]
    return _Pixels(mask, visible, sorted(others, key=lambda pair: -pair[1]), store_px)


def _task(outputs: Outputs, photo: Photo, settings: RunSettings) -> DrawTask:
    priority = settings.priority if isinstance(settings.priority, str) else tuple(settings.priority)
    return DrawTask(settings.root, photo, outputs.drawn.get(photo.key, ()), outputs.indices, priority)


def _position(task: DrawTask | None, id_: str) -> int | None:
    instances = task.instances if task else ()
    return next((i for i, instance in enumerate(instances) if instance.id == id_), None)


def _rasterize_lines(outputs: Outputs, row: Row, pixels: _Pixels, settings: RunSettings) -> list[str]:
    if not outputs.rasterized:
        return [_line("rasterize", "has not run yet; run `dvc repro`")]
    now = int(pixels.mask.sum()), int(pixels.visible.sum()), sum(pixels.store_px)
    lines = [_line("rasterize", f"{row.verdict}: {row.px_before:,} px, {row.px_after:,} px visible")]
    if now != (row.px_before, row.px_after, row.px_store):
        new = "now {:,} px, {:,} px visible, {:,} px at training size".format(*now)
        lines.append(_line("", f"{new}: params.yaml or the source has changed; run `dvc repro`"))
    for instance, count in pixels.hidden_by[:_MAX_HIDING]:
        lines.append(_line("", f"{count:,} px under {instance.id} ({instance.category or instance.role})"))
    rows = len(pixels.store_px)
    tiles = f" in {sum(map(bool, pixels.store_px))} of the image's {rows} tiles" if rows > 1 else ""
    vanished = ": it vanishes; see photos.height and photos.width" if row.px_after and not row.px_store else ""
    return [*lines, _line("at training", f"{row.px_store:,} px at {_size(settings.fit)}{tiles}{vanished}")]


def _validate_lines(row: Row) -> list[str]:
    """The verdict of validate. row: of the ledger after validate."""
    lines = [_line("validate", f"{row.verdict}{f' ({row.reason})' if row.reason else ''}")]
    if row.reason:
        reason = reason_of(row.verdict, row.reason)
        lines += [_line("", f"{reason.title}. {reason.meaning}"), _line("", reason.done)]
    if row.detail:
        lines.append(_line("", row.detail))
    if row.area_before is not None and row.area_after is not None and row.reason == "self_crossing":
        lines.append(_line("", f"{row.area_before:,.1f} square pixels as drawn, {row.area_after:,.1f} corrected"))
    return lines


def _finding_lines(outputs: Outputs, row: Row) -> list[str]:
    lines = []
    for finding in outputs.findings.get((row.kind, row.id), ()):
        reason = reason_of("", finding.code)
        detail = f" ({finding.detail})" if finding.detail else ""
        lines += [_line("note", f"{reason.title}{detail}. {reason.meaning}"), _line("", reason.done)]
    return lines


def _remedy_lines(row: Row) -> list[str]:
    if not row.reason:
        return []
    reason = reason_of(row.verdict, row.reason)
    settings = f" (params.yaml: {', '.join(reason.settings)})" if reason.settings else ""
    return [_line("to do", f"{reason.remedy}{settings}")]


def _split_lines(outputs: Outputs, row: Row) -> list[str]:
    if outputs.splits is None:
        return [_line("split", "has not run yet; run `dvc repro`")]
    assigned = outputs.splits.get(row.image_key)
    if assigned is None:
        return [_line("split", "none: the image is not used")]
    fold = f", fold {assigned.fold}" if assigned.fold else ""
    group = f"; in the group of {assigned.group}" if assigned.group not in ("", row.image_key) else ""
    reason = f" ({assigned.reason})" if assigned.reason else ""
    return [_line("split", (assigned.split or "left out of training") + reason + fold + group)]


def _class(row: Row) -> str:
    is_merged = row.class_name not in ("", row.category)
    return f"{row.category}, counts as {row.class_name}" if is_merged else row.category or "none"


def _image(outputs: Outputs, key: str) -> str:
    image = outputs.images.get(key)
    return f"{image.file or image.place} (key {key})" if image else "not in the source"


def _shape(instance: Instance) -> str:
    if instance.problem:
        return f"cannot be used: {instance.detail}"
    if instance.rle:
        shape = f"run lengths of {instance.rle.size_hw[1]} x {instance.rle.size_hw[0]} pixels"
    elif instance.mask_file:
        shape = f"pixels of value {instance.mask_value} in {instance.mask_file}"
    else:
        points = counted(sum(len(ring) // 2 for ring in instance.rings), "point")
        rings = "" if instance.kind in ("line", "point") else f"{counted(len(instance.rings), 'ring')} with "
        holes = f", {counted(len(instance.holes), 'hole')}" if instance.holes else ""
        shape = f"{rings}{points}{holes}"
    role = "" if instance.role == "object" else f", role {instance.role}"
    return f"a {instance.kind}{role}: {shape}"


def _photo_lines(photo: Photo, fit: Fit) -> list[str]:
    turn = f", EXIF orientation {photo.orientation}" if photo.orientation != 1 else ""
    rows = len(stored_windows((photo.height, photo.width), fit))
    return [
        _line("used as", f"{photo.width} x {photo.height} pixels, {photo.frame} frame{turn}"),
        _line("at training", f"{rows} tiles of {_size(fit)}" if rows > 1 else _size(fit)),
    ]


def _size(fit: Fit) -> str:
    return f"{fit.size_hw[1]} x {fit.size_hw[0]} pixels"


def _summary(row: Row) -> str:
    px = "" if row.px_before is None else f", {row.px_before:,} px"
    px += "" if row.px_after is None else f", {row.px_after:,} visible"
    return f"{row.id}: {row.category or 'no class'}, {row.verdict}{f' ({row.reason})' if row.reason else ''}{px}"


def _undrawn(
    outputs: Outputs, record: Image | None, settings: RunSettings, instance: Instance | None = None
) -> Illustration | str:
    """The image with the outline of an instance that is not drawn, if any; the reason if the photo cannot be read."""
    if record is None or not record.file or record.problem:  # such a file may be outside the source
        return "none: there is no readable photo of it"
    photo = outputs.photos.get(record.key)
    try:
        with at(record.file):
            image = photos.read_rgb(settings.root / record.file, photo.frame if photo else "viewed")
    except AnnotationError as error:
        return f"none: {error}"
    size_hw = image.shape[:2]
    if instance is None:
        return picture.of_image(image, np.zeros(size_hw, np.uint8), outputs.classes)
    nothing = np.zeros(size_hw, bool)
    try:
        mask = picture.mask_of(instance, size_hw, settings.root)
    except AnnotationError:
        mask = nothing
    return picture.of_instance(image, instance, mask, nothing)


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}} {text}"


def _safe_file_name(id_: str) -> str:
    return re.sub(r"[^\w.-]+", "_", id_).lstrip(".")[-100:]
