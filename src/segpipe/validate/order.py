"""The order and the places of records in the source, which change when another record is added or deleted.

So the results of a shard have neither: a record has its position in the shard's tables of ingest.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from segpipe.data import tables
from segpipe.data.columns import has, numbers
from segpipe.data.tables import POSITION

IMAGE, ANNOTATION = "image", "annotation"  # columns of results: the position in the shard's tables; -1 for none
_WITHOUT_IMAGE = (1 << 31) - 1  # the number of the image for annotations that have none: they are last
_STEP = 1 << 32  # between images: annotations have the numbers after that of their image


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """The order and the places of the records of one shard."""

    images: np.ndarray  # int64 (n + 1,): the number of each image in the source, and _WITHOUT_IMAGE
    annotations: np.ndarray  # int64 (m + 1,): 1 + the number of each annotation in the source, and 0
    places: pa.ChunkedArray  # text (n + m,): of the images, then of the annotations

    @classmethod
    def read(cls, records: Path, shard: int) -> "Order":
        """The order of a shard. records: the folder with the tables of ingest."""
        images = tables.read_shard(records / "images.parquet", shard, [POSITION, "place", "file"])
        annotations = tables.read_shard(records / "instances.parquet", shard, [POSITION, "place"])
        of_images = tables.replaced(images.column("place"), has(images, place=[""]), images.column("file"))
        return cls(
            np.append(numbers(images.column(POSITION)), _WITHOUT_IMAGE),
            np.append(1 + numbers(annotations.column(POSITION)), 0),
            pa.chunked_array([*of_images.chunks, *annotations.column("place").chunks], pa.string()),
        )

    def of(self, table: pa.Table) -> pa.Table:
        """A result's table with the column `position` in place of IMAGE and ANNOTATION; the ledger with its places."""
        if IMAGE not in table.column_names:
            return table
        image, annotation = numbers(table.column(IMAGE)), np.full(table.num_rows, -1)
        if ANNOTATION in table.column_names:
            annotation = numbers(table.column(ANNOTATION))
            index = np.where(annotation < 0, image, len(self.images) - 1 + annotation)
            places = self.places.take(tables.integers(index))
            table = table.set_column(table.column_names.index("place"), "place", places)
        position = self.images[image] * _STEP + self.annotations[annotation]
        rest = [name for name in table.column_names if name not in (IMAGE, ANNOTATION)]
        return tables.with_position(table.select(rest), position)
