import pyarrow as pa

from segpipe.data import tables
from segpipe.data.records import Dataset, Image, Instance
from segpipe.validate.order import ANNOTATION, IMAGE, Order

IMAGES = (Image(key="a", file="a.png"), Image(key="b", file="b.png", place="images[7]"))
INSTANCES = tuple(
    Instance(id=str(number), image_key=key, category="cat", place=f"annotations[{number}]")
    for number, key in enumerate(["b", "a", ""])
)


def order(tmp_path) -> Order:
    """The order of a data set with one shard."""
    tables.write_dataset(tmp_path, Dataset(format="", categories=("cat",), images=IMAGES, instances=INSTANCES))
    return Order.read(tmp_path, 0)


def placed(order: Order, rows: list[tuple[str, int, int]]) -> list[tuple[str, str]]:
    """The ids and places of rows in order. rows: id, and position of the image and the annotation in the shard."""
    ids, images, annotations = zip(*rows, strict=True)
    numbers = {name: tables.column(values, pa.int32()) for name, values in ((IMAGE, images), (ANNOTATION, annotations))}
    table = order.of(pa.table({"id": tables.column(ids, pa.string()), "place": [""] * len(rows)} | numbers))
    assert table.column_names == ["id", "place", tables.POSITION]
    columns = tables.values_of(tables.in_order(table))
    return list(zip(columns["id"], columns["place"], strict=True))


def test_an_annotation_is_after_its_image_and_one_without_image_is_last(tmp_path):
    rows = [("c", -1, 2), ("b", 1, -1), ("b1", 1, 0), ("a1", 0, 1), ("a", 0, -1)]
    assert placed(order(tmp_path), rows) == [
        ("a", "a.png"),
        ("a1", "annotations[1]"),
        ("b", "images[7]"),
        ("b1", "annotations[0]"),
        ("c", "annotations[2]"),
    ]


def test_findings_of_an_image_keep_their_order(tmp_path):
    table = pa.table({"code": ["second", "first", "third"], IMAGE: tables.column([1, 0, 1], pa.int32())})
    ordered = tables.in_order(order(tmp_path).of(table))
    assert ordered.column("code").to_pylist() == ["first", "second", "third"]


def test_a_table_without_positions_is_unchanged(tmp_path):
    table = pa.table({"id": ["a"]})
    assert order(tmp_path).of(table) is table
