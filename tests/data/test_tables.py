from segpipe.data import tables
from segpipe.data.records import Dataset, Image, Instance, Rle

DATASET = Dataset(
    format="coco",
    categories=("cat", "hügel"),
    images=(Image(key="a", file="x/ä b.jpg", width=4, height=3, split="val"), Image(key="b", file="", problem="p")),
    instances=(
        Instance(id="j#1", image_key="a", category="cat", rings=((0.5, 1.0, 2.0, 1.0, 2.0, 3.0),), area=2.25),
        Instance(id="j#2", image_key="a", category="cat", rle=Rle(size_hw=(3, 4), counts=(1, 11)), role="crowd"),
        Instance(id="j#3", image_key="", category="", rle=Rle(size_hw=(3, 4), counts="abc"), rings_refused=2),
        Instance(id="m#3", image_key="b", category="hügel", mask_file="m.png", mask_value=0),
    ),
)


def test_records_come_back_as_they_were(tmp_path):
    tables.write_dataset(tmp_path, DATASET)
    assert tables.read_dataset(tmp_path) == DATASET


def test_equal_records_are_equal_bytes(tmp_path):
    for folder in ("one", "two"):
        tables.write_dataset(tmp_path / folder, DATASET)
    for name in ("images", "instances", "categories"):
        path = f"{name}.parquet"
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()
