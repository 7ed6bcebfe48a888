from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from segpipe.core import memory
from segpipe.core.files import sha256_of
from segpipe.data import store
from segpipe.data.classes import ClassTable
from segpipe.data.preprocessing import Fit
from segpipe.data.records import Instance, Photo
from segpipe.rasterize import dataset, image, redrawing

CLASSES = ClassTable(("background", "cat"))


def instance(number: int, width: float) -> Instance:
    ring = (1.0, 1.0, 1.0 + width, 1.0, 1.0 + width, 5.0, 1.0, 5.0)
    return Instance(id=f"j#{number}", image_key=f"p{number}", category="cat", rings=(ring,))


def photo(root: Path, number: int) -> Photo:
    """A photo of 12 x 8 pixels; every third one has 30 x 8."""
    path, width = root / f"p{number}.png", 12 if number % 3 else 30
    noise = np.random.default_rng(number).integers(0, 256, (8, width, 3), np.uint8)
    Picture.fromarray(noise).save(path)
    return Photo(
        key=f"p{number}", file=path.name, split=None, width=width, height=8, frame="viewed", orientation=1,
        undecidable=False, sha256=sha256_of(path), background=False,
    )  # fmt: skip


def rasterize(root: Path, out: Path, kept: Path, widths: dict[int, float], size_hw=(6, 6), tiles=(0, 0)) -> list[str]:
    """Run the stage over photos with a box of the given width each; return the keys of the drawn images."""
    photos = [photo(root, number) for number in widths]
    instances = [instance(number, width) for number, width in widths.items()]
    fit = Fit("letterbox", size_hw, *tiles)
    tasks = dataset.draw_tasks(
        photos, instances, root, {"cat": 1}, CLASSES, "smaller_on_top", fit, out / "masks", out / "store"
    )
    rows = dataset.store_rows(tasks)
    store.begin(out / "store", len(rows), fit)
    drawn_keys = []

    def spread(new):
        drawn_keys.extend(task.photo.key for task in new)
        return map(image.draw, new)

    keys = redrawing.keys_of(tasks)
    drawn = redrawing.draw_all(tasks, keys, kept, spread)
    counts = dataset.class_pixels(drawn), dataset.row_pixels(drawn)
    store.finish(out / "store", rows, CLASSES, fit, *counts)
    redrawing.keep(tasks, keys, drawn, kept)
    return drawn_keys


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def test_only_edited_images_are_drawn_and_the_result_equals_a_clean_run(tmp_path):
    before = {1: 3.0, 2: 4.0, 3: 5.0}
    after = {3: 5.0, 1: 3.0, 4: 2.0, 2: 6.0}  # one moved, one edited, one new
    assert rasterize(tmp_path, tmp_path / "a", tmp_path / "kept", before) == ["p1", "p2", "p3"]
    assert rasterize(tmp_path, tmp_path / "b", tmp_path / "kept", after) == ["p4", "p2"]
    assert rasterize(tmp_path, tmp_path / "clean", tmp_path / "nothing", after) == ["p3", "p1", "p4", "p2"]
    assert files(tmp_path / "b") == files(tmp_path / "clean")


def test_unchanged_images_in_tiles_keep_all_their_rows(tmp_path):
    before = {3: 3.0, 1: 4.0, 6: 5.0}
    after = {9: 3.0, 1: 4.0, 6: 9.0, 3: 3.0}  # one new, one edited, both in tiles; one in tiles moved
    for widths, out, kept in ((before, "a", "kept"), (after, "b", "kept"), (after, "clean", "nothing")):
        drawn_keys = rasterize(tmp_path, tmp_path / out, tmp_path / kept, widths, tiles=(12, 3))
        assert drawn_keys == {"a": ["p3", "p1", "p6"], "b": ["p9", "p6"], "clean": ["p9", "p1", "p6", "p3"]}[out]
    assert files(tmp_path / "b") == files(tmp_path / "clean")
    opened = store.Store.open(tmp_path / "b/store")
    assert opened.keys == ("p9",) * 3 + ("p1",) + ("p6",) * 3 + ("p3",) * 3  # 12 + 9 + 9 = 30


def test_changed_tiles_redraw_only_images_that_are_cut_differently(tmp_path):
    for tiles, drawn_keys in (((0, 0), ["p1", "p3"]), ((12, 3), ["p3"]), ((12, 4), ["p3"]), ((40, 4), ["p3"])):
        assert rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", {1: 3.0, 3: 4.0}, tiles=tiles) == drawn_keys


def test_nothing_is_drawn_when_nothing_changed(tmp_path):
    for expected in (["p1"], [], []):
        assert rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", {1: 3.0}) == expected


def test_a_changed_setting_redraws_everything(tmp_path):
    rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", {1: 3.0})
    assert rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", {1: 3.0}, size_hw=(8, 8)) == ["p1"]


def test_images_of_a_damaged_cache_are_drawn_again(tmp_path):
    rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", {1: 3.0})
    (tmp_path / "kept/index.pickle").write_bytes(b"\x80\x05broken")
    assert rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", {1: 3.0}) == ["p1"]
    rows = tmp_path / "kept/images.npy"
    whole = rows.read_bytes()
    rows.unlink()
    assert rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", {1: 3.0}) == ["p1"]
    rows.unlink()  # its bytes are shared with the store
    rows.write_bytes(whole[:-9])
    assert rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", {1: 3.0}) == ["p1"]


def test_one_changed_bit_in_the_index_is_detected(tmp_path, caplog):
    rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", {1: 3.0})
    index = tmp_path / "kept/index.pickle"
    data = bytearray(index.read_bytes())
    data[len(data) // 2] ^= 1
    index.write_bytes(data)
    assert rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", {1: 3.0}) == ["p1"]
    assert "index.pickle cannot be used (damaged): every result is computed again" in caplog.text


def test_one_changed_bit_in_a_kept_mask_redraws_its_image(tmp_path):
    widths = {1: 3.0, 2: 4.0, 4: 5.0}
    rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", widths)
    masks = tmp_path / "kept/masks.bin"
    data = bytearray(masks.read_bytes())
    data[len((tmp_path / "out/masks/p1.png").read_bytes()) + 40] ^= 1  # of the second
    masks.write_bytes(data)
    assert rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", widths) == ["p2"]
    masks.write_bytes(masks.read_bytes()[:-1])
    assert rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", widths) == ["p4"]
    masks.unlink()
    assert rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", widths) == ["p1", "p2", "p4"]


def test_the_index_contains_no_mask(tmp_path):
    rasterize(tmp_path, tmp_path / "out", tmp_path / "kept", {1: 3.0, 3: 4.0})
    assert b"PNG" not in (tmp_path / "kept/index.pickle").read_bytes()
    masks = [(tmp_path / f"out/masks/p{number}.png").read_bytes() for number in (1, 3)]
    assert (tmp_path / "kept/masks.bin").read_bytes() == b"".join(masks)


def test_the_key_depends_on_photo_instances_settings_and_code(tmp_path, monkeypatch):
    one = dataset.draw_tasks(
        [photo(tmp_path, 1)], [instance(1, 3.0)], tmp_path, {"cat": 1}, CLASSES, "smaller_on_top",
        Fit("letterbox", (6, 6)), tmp_path, tmp_path,
    )[0]  # fmt: skip
    other_photo = replace(one, photo=replace(one.photo, sha256="other"))
    keys = redrawing.keys_of([one, other_photo, replace(one, instances=()), replace(one, priority="record_order")])
    assert len(set(keys)) == 4
    assert redrawing.keys_of([replace(one, position=5)]) == keys[:1]
    monkeypatch.setattr(memory, "version", lambda: "another")
    assert redrawing.keys_of([one]) != keys[:1]
