import json
import os

import numpy as np
import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.models import model_file, sealed
from segpipe.models.segmenter import build_segmenter
from tests.disk import full_disk

TINY = "mobilenetv3_small_050"
SEEN = (True, False, True)


def a_model(seed=0):
    return build_segmenter("pspnet", TINY, 3, SEEN, seed=seed).eval()


def a_card(**facts):
    network = a_model()
    return model_file.ModelCard(
        architecture="pspnet",
        encoder=TINY,
        classes=("background", "cat", "d\u00f6g"),
        seen=SEEN,
        fit_mode="letterbox",
        size_hw=(48, 64),
        mean=network.mean,
        std=network.std,
        flip_test=True,
        facts=facts,
    )


def test_a_saved_model_is_loaded_with_the_same_weights_and_card(tmp_path):
    model, path = a_model(), tmp_path / "model.pt"
    model_file.save(path, model, a_card(data="abc", epoch=3, miou=0.5))
    loaded, card = model_file.load(path)
    image = torch.arange(3 * 40 * 40, dtype=torch.uint8).view(1, 3, 40, 40)
    with torch.no_grad():
        assert torch.equal(loaded(image), model(image))
    assert card == a_card(data="abc", epoch=3, miou=0.5)
    assert not loaded.training


def test_equal_content_of_any_origin_gives_equal_bytes(tmp_path):
    model = a_model()
    model_file.save(tmp_path / "a.pt", model, a_card(x=1, y=2))
    model.to(memory_format=torch.channels_last)  # other strides, same numbers
    model_file.save(tmp_path / "b.pt", model, a_card(y=2, x=1))
    model_file.save(tmp_path / "c.pt", *model_file.load(tmp_path / "a.pt"))
    first = (tmp_path / "a.pt").read_bytes()
    assert (tmp_path / "b.pt").read_bytes() == first
    assert (tmp_path / "c.pt").read_bytes() == first
    model_file.save(tmp_path / "d.pt", a_model(seed=1), a_card(x=1, y=2))
    assert (tmp_path / "d.pt").read_bytes() != first


def test_a_model_file_is_read_without_running_code(tmp_path):
    model_file.save(tmp_path / "model.pt", a_model(), a_card())
    document = torch.load(tmp_path / "model.pt", weights_only=True)
    assert (document["format"], len(document["sha256"])) == (model_file.FORMAT, 64)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(UserError, match=r"model.pt: no such model file; train one with `dvc repro` or name another$"):
        model_file.load(tmp_path / "model.pt")


def resealed(path, change):
    """Change the document of a model file and write it with the hash of the new content."""
    document = sealed.read(path, model_file.FORMAT)
    change(document)
    path.write_bytes(sealed.pack(document))


def error_of(path):
    """The error message of `load` without the file name."""
    with pytest.raises(UserError) as caught:
        model_file.load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.fixture
def saved(tmp_path):
    model_file.save(tmp_path / "model.pt", a_model(), a_card())
    return tmp_path / "model.pt"


def foreign_contents(path):
    whole = path.read_bytes()
    torch.save({"weight": torch.zeros(2)}, path.with_name("other.pt"))
    torch.save([1, 2], path.with_name("list.pt"))
    resealed(path, lambda document: document["state"].popitem())  # a tensor is missing
    others = ((path.with_name(name)).read_bytes() for name in ("other.pt", "list.pt", "model.pt"))
    return [b"", b"a text", b"PK\x03\x04", whole[: len(whole) // 2], whole[:-1], *others]


def test_a_foreign_or_damaged_file_is_an_error_of_one_line(saved):
    for content in foreign_contents(saved):
        saved.write_bytes(content)
        message = error_of(saved)
        assert message.startswith("damaged, or not a segpipe model file (")
        assert message.endswith("); copy it again, or train one with `dvc repro`")


def test_damaged_weights_are_not_loaded(saved):
    whole, random = saved.read_bytes(), np.random.default_rng(0)
    for number in range(10):
        damaged = bytearray(whole)
        position = int(random.integers(len(whole) // 4, len(whole) // 2))  # among the largest tensors
        if number % 2:
            damaged[position] ^= 1 << number % 8
        else:
            damaged[position : position + 4096] = random.bytes(4096)
        saved.write_bytes(damaged)
        assert error_of(saved).startswith("damaged, or not a segpipe model file (its content does not match ")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("segpipe model 1", "written by an older version of segpipe (its format is 'segpipe model 1'); train it again"),
        (
            "segpipe model 99",
            "written by a newer version of segpipe (its format is 'segpipe model 99'); update ",
        ),
        ("segpipe checkpoint 4", "not a segpipe model file (its format is 'segpipe checkpoint 4'); name a "),
        (7, "not a segpipe model file (its format is 7); name a file like models/model.pt"),
    ],
)
def test_the_error_names_another_version(version, message, saved):
    resealed(saved, lambda document: document.update(format=version))
    assert error_of(saved).startswith(message)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("size_hw", value) for value in ("48 x 64", [48.0, 64], [48.5, 64], ["48", "64"], [0, 64], [-48, 64], [48])),
        *(("size_hw", value) for value in ([48, 64, 3], [10**6, 10**6], None, [True, True])),
        *(("seen", value) for value in ([True], [], None, [False] * 3, [1, 0, 1], [True] * 4)),
        *(("std", value) for value in ([0, 1, 1], [float("nan"), 1, 1], [-1, 1, 1], [1, 1], "1", [1, 1, float("inf")])),
        *(("mean", value) for value in ([float("nan"), 0, 0], [0], [None, 0, 0])),
        *(("tile_side", value) for value in ("64", -5, 64.5, True)),
        *(("tile_overlap", value) for value in (48, 64, 10**9, -1, "8")),  # of tiles of 48 x 64
        *(("fit_mode", value) for value in ("odd", 3, None)),
        *(("classes", value) for value in ([], ["a", "a", "b"], [1, 2, 3], ["", "a", "b"], "abc", None)),
        *(("architecture", value) for value in ("resnet", 3, None)),
        *(("encoder", value) for value in ("no_such_encoder", 3)),
        *(("flip_test", value) for value in ("yes", 1, None)),
        *(("facts", value) for value in ([], {"a": [1]}, None)),
        ("colour", "of a later version"),
    ],
)
def test_an_invalid_field_of_the_card_is_an_error_of_one_line(key, value, saved):
    def change(document):
        entries = json.loads(document["card"]) | {"tile_side": 64, "tile_overlap": 8, key: value}
        document["card"] = json.dumps(entries)

    resealed(saved, change)
    message = error_of(saved)
    assert message.startswith("damaged, or not a segpipe model file (")
    assert key in message


@pytest.mark.parametrize("content", ["{", "[]", "3", 3, None])
def test_an_invalid_card_is_an_error_of_one_line(content, saved):
    resealed(saved, lambda document: document.update(card=content))
    assert error_of(saved).startswith("damaged, or not a segpipe model file (")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_written_nor_loaded(number, saved):
    broken = a_model()
    with torch.no_grad():
        next(broken.parameters()).view(-1)[0] = number
    before = saved.read_bytes()
    with pytest.raises(UserError, match=r"model.pt: its weights are not finite \(network\..*\.weight\); train"):
        model_file.save(saved, broken, a_card())
    assert saved.read_bytes() == before
    resealed(saved, lambda document: document.update(state=broken.state_dict()))
    assert error_of(saved).startswith("its weights are not finite (network.")


def test_a_path_that_is_not_a_file_is_an_error_of_one_line(tmp_path):
    assert error_of(tmp_path) == "is not a file; train one with `dvc repro` or name another"
    assert error_of(tmp_path / ("m" * 300)) == "no such model file; train one with `dvc repro` or name another"


def test_loading_does_not_change_the_random_state(tmp_path):
    model_file.save(tmp_path / "model.pt", a_model(), a_card())
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    model_file.load(tmp_path / "model.pt")
    assert torch.equal(torch.rand(3), expected)


def test_a_full_disk_is_an_error_of_one_line_and_the_last_model_is_kept(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"the last model")
    with full_disk(4096), pytest.raises(UserError) as caught:
        model_file.save(path, a_model(), a_card())
    assert str(caught.value) == (
        f"{path}: cannot be written (File too large); free some space or change the permissions, then run again"
    )
    assert path.read_bytes() == b"the last model"
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_an_error_of_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=r"model.pt: cannot be written \(Permission denied\); free some space"):
        model_file.save(tmp_path / "model.pt", a_model(), a_card())


def test_a_file_in_place_of_the_folder_is_an_error_of_one_line(tmp_path):
    (tmp_path / "models").write_text("")
    with pytest.raises(UserError, match=r"models/model.pt: cannot be written \((File exists|Not a directory)\); free"):
        model_file.save(tmp_path / "models" / "model.pt", a_model(), a_card())
