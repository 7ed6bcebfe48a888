import copy
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.core.errors import UserError
from segpipe.data.records import Dataset
from segpipe.ingest.formats import coco
from segpipe.ingest.source import list_source
from tests.ingest.folders import coco as document
from tests.ingest.folders import drawn, photo, put_images

GOOD = document(
    [photo(1, "a.jpg"), photo(2, "b/c.jpg")],
    [
        drawn(1),
        drawn(2, segmentation=[[1, 1, 5, 1, 5, 4], [0, 0, 2, 0, 2, 2, 0, 2]]),
        drawn(3, segmentation={"size": [6, 8], "counts": [40, 4, 4]}, iscrowd=1),
        drawn(4, image_id=2, segmentation={"size": [6, 8], "counts": "X144"}),
    ],
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["1", "a.jpg", "../a.jpg", "C:\\a.jpg", "/", ".", "..", "a.jpg/", "%2e%2e/a.jpg", 10**400, -1])
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)


def spots(value: Any, path: tuple = ()) -> list[tuple]:
    """The path of every value below `value`."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [spot for key, inner in pairs for spot in [(*path, key), *spots(inner, (*path, key))]]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A good document in which a few values are replaced, removed or repeated."""
    changed = copy.deepcopy(GOOD)
    for _ in range(draw(st.integers(1, 4))):
        *path, key = draw(st.sampled_from(spots(changed)))
        holder = changed
        for step in path:
            holder = holder[step]
        action = draw(st.sampled_from(["replace", "remove", "repeat"]))
        if action == "replace":
            holder[key] = draw(anything)
        elif action == "remove" and spots(changed) != [(key,)]:
            del holder[key]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        if not spots(changed):
            break
    return changed


def read(root: Path, text: str) -> Dataset | None:
    (root / "instances.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    source = list_source(root)
    try:
        documents = coco.recognise(source)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return None
    return coco.read(source, documents)


def assert_complete(dataset: Dataset, text: str) -> None:
    """Every record came out once, with unique ids and keys, in text that UTF-8 can hold."""
    entries = json.loads(text)
    assert len(dataset.instances) == len(entries["annotations"])
    assert len({instance.id for instance in dataset.instances}) == len(dataset.instances)
    assert len({image.key.casefold() for image in dataset.images}) == len(dataset.images)
    assert len({image.file or image.place for image in dataset.images}) == len(dataset.images)
    assert {"a.jpg", "b/c.jpg"} <= {image.file for image in dataset.images}
    keys = {image.key for image in dataset.images} | {""}
    for instance in dataset.instances:
        assert instance.image_key in keys
        assert instance.problem or (instance.image_key and instance.category in dataset.categories)
        assert (instance.problem in ("", "unknown_category")) or not (instance.rings or instance.rle)
        assert instance.problem or instance.rings or instance.rle
    texts = [(image.file, image.place, image.detail) for image in dataset.images]
    texts += [(instance.id, instance.place, instance.detail) for instance in dataset.instances]
    assert "".join(map("".join, texts)).encode()


@settings(max_examples=250, deadline=None)
@given(mutated())
def test_a_mutated_document_gives_a_data_set_or_a_user_error(changed):
    with tempfile.TemporaryDirectory() as folder:
        root = put_images(Path(folder), ["a.jpg", "b/c.jpg"])
        text = json.dumps(changed)
        dataset = read(root, text)
        if dataset is not None:
            assert_complete(dataset, text)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 600), st.binary(max_size=3))
def test_a_truncated_or_overwritten_file_gives_a_data_set_or_a_user_error(position, inserted):
    data = json.dumps(GOOD).encode()
    with tempfile.TemporaryDirectory() as folder:
        root = put_images(Path(folder), ["a.jpg"])
        for damaged in (data[:position] + inserted, data[:position] + inserted + data[position + len(inserted) :]):
            (root / "instances.json").write_bytes(damaged)
            source = list_source(root)
            try:
                coco.read(source, coco.recognise(source))
            except UserError as error:
                assert str(error).startswith("instances.json: ")  # noqa: PT017
