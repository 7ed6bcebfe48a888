"""The frames of a CVAT video task: which picture each is, by the last number in its name."""

import posixpath
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from segpipe.core.errors import UserError
from segpipe.ingest.parsing import xml_text
from segpipe.ingest.source import Source, files_below, folder_of

_NUMBER = re.compile(r"[0-9]{1,9}")
_LAST_NUMBER = re.compile(r"([0-9]{1,9})[^0-9]*$")
_FOLDERS = ("images", "JPEGImages", "obj_train_data", ".")


def frame_records(source: Source, file: str, root: Element) -> list[dict[str, Any]]:
    """An image record for each frame that the task counts or a track names: id, file_name, frame and declared size."""
    picture_of = _pictures(source, file)
    named = {int(text) for shape in root.iterfind("track/*") if _NUMBER.fullmatch(text := shape.get("frame", ""))}
    counted = _counted(root)
    frames = sorted(named | {frame for frame in picture_of if frame in counted})
    size = _original_size(root)
    return [
        {"id": number, "frame": frame, "file_name": picture_of.get(frame, f"frame_{frame:06d}"), **size}
        for number, frame in enumerate(frames)
    ]


def refuse_several_videos(source: Source, documents: Mapping[str, Element]) -> None:
    """Raise UserError where tracks of several videos are over the pictures of one folder: a frame is only a number."""
    videos: dict[str, dict[str, str]] = {}
    for file, root in documents.items():
        picture = next(iter(_pictures(source, file).values()), "") if root.find("image") is None else ""
        names = {(element.text or "").strip() for element in root.iterfind("meta//source")} - {""}
        for name in sorted(names) if picture else ():
            videos.setdefault(folder_of(picture), {}).setdefault(name, file)
    for folder, files in videos.items():
        if len(files) > 1:
            several = " and ".join(f"{name!r} in {file}" for name, file in files.items())
            raise UserError(
                f"tracks of several videos ({several}) are over the pictures in {folder}, so that the number of a "
                "frame does not say of which it is; put the frames of each into a folder with its XML file"
            )


def _pictures(source: Source, file: str) -> dict[int, str]:
    """The picture of each frame: those with a number in the first of the folders beside the file that has such."""
    base = folder_of(file)
    for name in _FOLDERS:
        folder = posixpath.normpath(posixpath.join(base, name))
        inside = [picture for picture in files_below(source.image_files, folder) if folder_of(picture) == folder]
        numbers = {picture: int(found[1]) for picture in inside if (found := _LAST_NUMBER.search(_stem(picture)))}
        if numbers:
            alike = Counter(numbers.values())
            return {number: picture for picture, number in numbers.items() if alike[number] == 1}
    return {}


def _stem(picture: str) -> str:
    return posixpath.splitext(posixpath.basename(picture))[0]


def _counted(root: Element) -> range:
    """The frames that the task says it has; none where it does not say."""
    first, last = (xml_text(root, f"meta//{name}_frame") for name in ("start", "stop"))
    return range(int(first), int(last) + 1) if _NUMBER.fullmatch(first) and _NUMBER.fullmatch(last) else range(0)


def _original_size(root: Element) -> dict[str, Any]:
    width, height = (xml_text(root, f"meta//original_size/{key}") for key in ("width", "height"))
    known = _NUMBER.fullmatch(width) and _NUMBER.fullmatch(height)
    return {"width": int(width), "height": int(height)} if known else {}
