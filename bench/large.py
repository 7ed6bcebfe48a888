"""Time and memory of ingest, validate and rasterize for one image of 10,000 x 10,000 pixels with 20,000 polygons.

`make bench-large` prints the time of each stage and the memory of its largest process; arguments: side, polygons.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from bench.floor import new_project, run_stage

CLASSES = 5


def main() -> None:
    """Draw the image, run the stages and print a line for each, first without tiles, then with tiles."""
    side, count = map(int, sys.argv[1:] or ("10000", "20000"))
    with tempfile.TemporaryDirectory(prefix="segpipe-large-") as name:
        source = scene(Path(name) / "source", side, count)
        for tile_side in (0, 1024):
            project = new_project(Path(name) / "project", source)
            params = yaml.safe_load((project / "params.yaml").read_text())
            params["photos"]["tiles"] |= {"side": tile_side, "overlap": 128 if tile_side else 0}
            (project / "params.yaml").write_text(yaml.safe_dump(params))
            print(f"{side} x {side} pixels, {count} polygons, {'tiles of 1024' if tile_side else 'whole'}")
            for stage in ("ingest", "validate", "rasterize"):
                took = run_stage(project, stage)
                largest = max(took.main_mib, took.worker_mib)
                print(f"  {stage:9} {took.seconds:6.1f} s, largest process {largest:5.0f} MiB", flush=True)


def scene(folder: Path, side: int, count: int) -> Path:
    """Write a COCO source of one image with overlapping star-shaped objects; return its folder."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(11)
    coarse = rng.integers(0, 256, (side // 20, side // 20, 3), np.uint8)
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(folder / "large.jpg", quality=85)
    annotations = []
    for number in range(count):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 24))
        radii = rng.uniform(20, 120) * rng.uniform(0.7, 1, 24)
        points = rng.uniform(0, side, 2) + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        ring = np.round(points, 1).ravel().tolist()
        record = {"id": number, "image_id": 0, "category_id": number % CLASSES, "segmentation": [ring], "iscrowd": 0}
        annotations.append(record)
    document = {
        "images": [{"id": 0, "file_name": "large.jpg", "width": side, "height": side}],
        "annotations": annotations,
        "categories": [{"id": i, "name": f"class_{i}"} for i in range(CLASSES)],
    }
    (folder / "instances.json").write_text(json.dumps(document))
    return folder


if __name__ == "__main__":
    main()
