from segpipe.core.plurals import counted


def test_only_one_is_singular():
    assert [counted(count, "image") for count in (0, 1, 2)] == ["0 images", "1 image", "2 images"]


def test_nouns_that_end_in_s_or_x_get_es():
    assert [counted(2, noun) for noun in ("class", "box", "epoch")] == ["2 classes", "2 boxes", "2 epochs"]
