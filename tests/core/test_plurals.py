from segpipe.core.plurals import counted


def test_only_one_is_singular():
    assert [counted(count, "image") for count in (0, 1, 2)] == ["0 images", "1 image", "2 images"]


def test_a_noun_may_have_a_plural_of_another_form():
    assert counted(2, "class", "classes") == "2 classes"
