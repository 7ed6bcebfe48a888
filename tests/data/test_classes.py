import pytest

from segpipe.core.errors import UserError
from segpipe.data.classes import ClassTable, class_indices, class_names, class_table, refuse_unknown, select


def test_listed_classes_keep_their_order():
    class_of = select(["dog", "cat"], ["cat", "dog", "cow"], {"cat", "dog"})
    assert list(class_of.items()) == [("dog", "dog"), ("cat", "cat")]


def test_auto_keeps_the_sources_order_and_leaves_out_unused_categories():
    class_of = select("auto", ["cow", "background", "cat"], {"cat", "cow", "background"})
    assert list(class_of.items()) == [("cow", "cow"), ("cat", "cat")]
    assert select("auto", ["cow", "cat"], {"cat"}) == {"cat": "cat"}


def test_a_mapping_merges_and_renames_in_its_order():
    used = {"bus", "car", "person", "truck", "tree"}
    class_of = select({"vehicle": ["truck", "car"], "human": "person"}, sorted(used), used)
    assert class_of == {"truck": "vehicle", "car": "vehicle", "person": "human"}
    assert class_names(class_of) == ("vehicle", "human")


def test_an_unknown_category_of_a_class_is_an_error_with_a_suggestion():
    with pytest.raises(UserError, match="no annotation has the class 'buss'; did you mean 'bus'"):
        select({"vehicle": ["car", "buss"]}, ["bus", "car"], {"bus", "car"})


def test_an_unknown_class_in_the_priority_is_an_error_with_a_suggestion():
    refuse_unknown("smaller_on_top", ["vehicle"])
    refuse_unknown(["vehicle"], ["human", "vehicle"])
    with pytest.raises(UserError) as caught:
        refuse_unknown(["vehicel"], ["human", "vehicle"])
    assert str(caught.value) == (
        "rasterize.priority names 'vehicel'; did you mean 'vehicle'? the classes are human, vehicle"
    )


def test_a_class_without_annotations_is_an_error_with_a_suggestion():
    with pytest.raises(UserError) as caught:
        select(["cat", "dgo"], ["cat", "dog"], {"cat", "dog"})
    assert str(caught.value) == (
        "no annotation has the class 'dgo'; did you mean 'dog'? the source has cat, dog; "
        "correct ingest.classes in params.yaml"
    )


def test_binary_merges_all_classes_into_one():
    assert class_table(("cat", "dog"), "binary").names == ("background", "foreground")
    assert class_table(("cat",), "binary").names == ("background", "cat")
    assert class_indices(("cat", "dog"), "binary") == {"cat": 1, "dog": 1}
    assert class_indices(("cat", "dog"), "multiclass") == {"cat": 1, "dog": 2}


def test_more_classes_than_8_bits_can_number_are_refused():
    with pytest.raises(UserError, match="256 classes"):
        ClassTable(("background", *(f"c{i}" for i in range(255))))
