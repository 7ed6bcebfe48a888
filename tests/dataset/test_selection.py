import pytest

from segpipe.classes import ClassTable
from segpipe.dataset import selection
from segpipe.errors import UserError


def test_listed_classes_keep_their_order():
    assert selection.select(["dog", "cat"], ["cat", "dog", "cow"], {"cat", "dog"}) == ("dog", "cat")


def test_auto_takes_the_sources_order_and_leaves_out_what_is_never_used():
    assert selection.select("auto", ["cow", "background", "cat"], {"cat", "cow", "background"}) == ("cow", "cat")
    assert selection.select("auto", ["cow", "cat"], {"cat"}) == ("cat",)


def test_a_class_that_no_annotation_has_is_an_error_with_a_suggestion():
    with pytest.raises(UserError) as caught:
        selection.select(["cat", "dgo"], ["cat", "dog"], {"cat", "dog"})
    assert str(caught.value) == (
        "no annotation has the class 'dgo'; did you mean 'dog'? the source has cat, dog; "
        "correct ingest.classes in params.yaml"
    )


def test_binary_folds_every_class_into_one():
    assert selection.class_table(("cat", "dog"), "binary").names == ("background", "foreground")
    assert selection.class_table(("cat",), "binary").names == ("background", "cat")
    assert selection.class_indices(("cat", "dog"), "binary") == {"cat": 1, "dog": 1}
    assert selection.class_indices(("cat", "dog"), "multiclass") == {"cat": 1, "dog": 2}


def test_more_classes_than_a_mask_can_hold_are_refused():
    with pytest.raises(UserError, match="256 classes"):
        ClassTable(("background", *(f"c{i}" for i in range(255))))
