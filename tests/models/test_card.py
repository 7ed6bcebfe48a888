import os

import pytest
import torch

from segpipe.errors import UserError
from segpipe.models import build, card
from tests.disk import full_disk

TINY = "mobilenetv3_small_050"
SEEN = (True, False, True)


def a_model(seed=0):
    return build.segmenter("pspnet", TINY, 3, SEEN, seed=seed).eval()


def a_card(**facts):
    network = a_model()
    return card.ModelCard(
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


def test_a_model_file_gives_back_the_same_network_and_card(tmp_path):
    model, path = a_model(), tmp_path / "model.pt"
    card.save(path, model, a_card(data="abc", epoch=3, miou=0.5))
    loaded, its_card = card.load(path)
    picture = torch.arange(3 * 40 * 40, dtype=torch.uint8).view(1, 3, 40, 40)
    with torch.no_grad():
        assert torch.equal(loaded(picture), model(picture))
    assert its_card == a_card(data="abc", epoch=3, miou=0.5)
    assert not loaded.training


def test_equal_content_gives_equal_bytes_however_it_came_about(tmp_path):
    model = a_model()
    card.save(tmp_path / "a.pt", model, a_card(x=1, y=2))
    model.to(memory_format=torch.channels_last)  # other strides, same numbers
    card.save(tmp_path / "b.pt", model, a_card(y=2, x=1))
    card.save(tmp_path / "c.pt", *card.load(tmp_path / "a.pt"))
    first = (tmp_path / "a.pt").read_bytes()
    assert (tmp_path / "b.pt").read_bytes() == first
    assert (tmp_path / "c.pt").read_bytes() == first
    card.save(tmp_path / "d.pt", a_model(seed=1), a_card(x=1, y=2))
    assert (tmp_path / "d.pt").read_bytes() != first


def test_a_model_file_needs_no_code_to_be_read(tmp_path):
    card.save(tmp_path / "model.pt", a_model(), a_card())
    document = torch.load(tmp_path / "model.pt", weights_only=True)
    assert document["format"] == card.FORMAT


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(UserError, match=r"model.pt: no such model file; train one with `dvc repro` or name another$"):
        card.load(tmp_path / "model.pt")


def foreign_contents(tmp_path):
    card.save(tmp_path / "good.pt", a_model(), a_card())
    whole = (tmp_path / "good.pt").read_bytes()
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    document = torch.load(tmp_path / "good.pt", weights_only=True)
    document["state"].popitem()
    torch.save(document, tmp_path / "tensor_missing.pt")
    others = ((tmp_path / name).read_bytes() for name in ("other.pt", "list.pt", "tensor_missing.pt"))
    return [b"", b"a text", whole[: len(whole) // 2], *others]


def test_a_foreign_or_damaged_file_is_said_in_one_line(tmp_path):
    path = tmp_path / "model.pt"
    for content in foreign_contents(tmp_path):
        path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            card.load(path)
        assert str(caught.value).startswith(f"{path}: not a model file of this program (")
        assert str(caught.value).endswith("); name a models/model.pt")
        assert "\n" not in str(caught.value)


def test_loading_leaves_the_random_state_alone(tmp_path):
    card.save(tmp_path / "model.pt", a_model(), a_card())
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    card.load(tmp_path / "model.pt")
    assert torch.equal(torch.rand(3), expected)


def test_a_disk_without_room_is_said_in_one_line_and_the_last_model_stays(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"the last model")
    with full_disk(4096), pytest.raises(UserError) as caught:
        card.save(path, a_model(), a_card())
    assert str(caught.value) == (
        f"{path}: cannot be written (File too large); make room or allow writing there, then run again"
    )
    assert path.read_bytes() == b"the last model"
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_said_in_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=r"model.pt: cannot be written \(Permission denied\); make room or allow"):
        card.save(tmp_path / "model.pt", a_model(), a_card())


def test_a_file_where_the_folder_should_be_is_said_in_one_line(tmp_path):
    (tmp_path / "models").write_text("")
    with pytest.raises(UserError, match=r"models/model.pt: cannot be written \((File exists|Not a directory)\); make"):
        card.save(tmp_path / "models" / "model.pt", a_model(), a_card())
