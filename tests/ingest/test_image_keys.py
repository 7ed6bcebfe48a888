import random

from hypothesis import given
from hypothesis import strategies as st

from segpipe.data.records import Image
from segpipe.ingest.image_keys import image_keys, with_keys

paths = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
nearly_equal_paths = st.lists(st.sampled_from("aA/.-_ é1jpg"), min_size=1, max_size=6).map("".join)


def test_a_key_is_the_path_without_suffix_in_safe_characters():
    assert image_keys(["train/Straße 1/photo (2).v1.jpg"]) == {
        "train/Straße 1/photo (2).v1.jpg": "train__Straße_1__photo__2_.v1"
    }


def test_a_decomposed_letter_is_composed():
    assert list(image_keys(["caf\u0065\u0301.jpg"]).values()) == ["caf\u00e9"]


def test_files_with_equal_keys_all_get_a_hash_of_their_path():
    # printf %s a/b.jpg | sha1sum
    assert image_keys(["a/b.jpg", "a__b.png", "A/B.jpg", "c.jpg"]) == {
        "a/b.jpg": "a__b-4cfd2b8c",
        "a__b.png": "a__b-01a8f954",
        "A/B.jpg": "A__B-9d3bd8cf",
        "c.jpg": "c",
    }


def test_a_file_named_like_a_hashed_key_gets_another_key():
    clashing = image_keys(["x.jpg", "x.png"])
    files = ["x.jpg", "x.png", f"{clashing['x.jpg']}.jpg"]
    assert len({key.casefold() for key in image_keys(files).values()}) == 3


def test_a_long_path_is_cut_and_gets_a_hash():
    first, second = ("é" * 150 + tail for tail in ("1.jpg", "2.jpg"))
    keys = image_keys([first, second])
    assert all(len(key.encode()) < 200 for key in keys.values())
    assert keys[first] != keys[second]


def test_a_key_never_starts_with_a_point():
    assert image_keys(["../secret.jpg"]) == {"../secret.jpg": "_.__secret"}


@given(st.lists(paths | nearly_equal_paths, max_size=12), st.randoms(use_true_random=False))
def test_keys_are_unique_safe_and_do_not_depend_on_the_order(files: list[str], chance: random.Random):
    keys = image_keys(files)
    assert set(keys) == set(files)
    assert len({key.casefold() for key in keys.values()}) == len(set(files))
    assert all(key and "/" not in key and "\0" not in key and not key.startswith(".") for key in keys.values())
    assert all(len(key.encode()) < 240 for key in keys.values())
    shuffled = list(files)
    chance.shuffle(shuffled)
    assert image_keys(shuffled) == keys


def test_the_key_of_an_image_without_a_file_comes_from_its_place():
    images = [Image(key="", file="a.jpg"), Image(key="", file="", place="a.json: images[0]")]
    assert [image.key for image in with_keys(images)] == ["a", "a_json__images_0_"]
