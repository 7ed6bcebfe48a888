from segpipe.core.plurals import counted


def test_only_one_is_singular():
    assert [counted(count, "image") for count in (0, 1, 2)] == ["0 images", "1 image", "2 images"]


def test_nouns_that_end_in_a_hissing_sound_get_es():
    assert [counted(2, noun) for noun in ("class", "box", "patch")] == ["2 classes", "2 boxes", "2 patches"]
