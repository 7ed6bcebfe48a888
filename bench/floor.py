"""Time and memory of validate + rasterize, compared with the floor: the work that cannot be avoided.

`make bench-floor` prints a table for 1,000 and 8,000 generated images of 640 x 640 px, for 40,000 of 160 x 160 px, and
for car_damage in SEGPIPE_REAL_DATA (default ../shared/data). The floor: each JPEG is decoded and resized once, its
finished label map is written as a PNG, and both its rows for training are written, with the same number of processes.
The stages run as a user runs them, `python -m stages.NAME` in a new project folder; the start of Python is included.
Both sides run in turn.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from segpipe.data import store
from segpipe.data.classes import ClassTable
from segpipe.data.preprocessing import Fit, fit_label_map, fit_pil_image, stored_windows
from segpipe.data.store import row_writer
from segpipe.masks import label_png

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SEGPIPE_REAL_DATA", ROOT.parent / "shared/data"))
SIDE, OBJECTS, CLASSES = 640, 6, 8
WHAT = ("1000", "8000", "40000x160", "car_damage")
FIT = Fit("letterbox", (256, 256))
WORKERS = os.cpu_count() or 1
ROUNDS = 2
MAPS = 64  # different label maps that the floor writes
PARTS = 64  # jobs of the floor
EDITS = 10


def main() -> None:
    """Print the table. Arguments: as in WHAT: the number of generated images and their side, or a folder of data."""
    print(f"{WORKERS} processes, images of {FIT.size_hw[1]} x {FIT.size_hw[0]} in the store")
    with tempfile.TemporaryDirectory(prefix="segpipe-floor-") as name:
        for what in sys.argv[1:] or WHAT:
            folder, (count, _, side) = Path(name) / what, what.partition("x")
            is_generated = count.isdigit()
            source = generated(folder / "source", int(count), int(side or SIDE)) if is_generated else DATA / what
            measure(what, source, folder)
            if is_generated:
                measure_edits(what, source, folder / "project")
            shutil.rmtree(folder, ignore_errors=True)


def measure(what: str, source: Path, folder: Path) -> None:
    """Print two lines of the table, wall time and processor time: the best round of each side."""
    rounds = []
    for _ in range(ROUNDS):
        project = new_project(folder / "project", source)
        run_stage(project, "ingest")
        rounds.append(
            (
                *(run_stage(project, stage) for stage in ("validate", "rasterize")),
                floor(project, source, folder / "floor"),
            )
        )
    for clock in ("seconds", "processor"):
        validate, rasterize, bare = (min(getattr(took, clock) for took in side) for side in zip(*rounds, strict=True))
        print(
            f"{what:>10} {clock:>9}: validate {validate:6.1f} s + rasterize {rasterize:6.1f} s, floor {bare:6.1f} s"
            f"   ratio {(validate + rasterize) / bare:4.2f}"
        )
    for name, side in zip(("validate", "rasterize"), zip(*rounds, strict=True), strict=False):
        main_mib, worker_mib = max(took.main_mib for took in side), max(took.worker_mib for took in side)
        print(
            f"{what:>10} most memory, {name}: a worker {worker_mib:.0f} MiB, the main process {main_mib:.0f} MiB",
            flush=True,
        )


def measure_edits(what: str, source: Path, project: Path) -> None:
    """Move ten annotations of different images, and print how long a second run takes, and what it computes."""
    document = json.loads((source / "instances.json").read_text())
    annotations = document["annotations"]
    for annotation in annotations[:: len(annotations) // EDITS][:EDITS]:
        annotation["segmentation"] = [[value + 1 for value in annotation["segmentation"][0]]]
    (source / "instances.json").write_text(json.dumps(document))
    run_stage(project, "ingest")
    for stage in ("validate", "rasterize"):
        took = run_stage(project, stage)
        [unchanged] = [line for line in (project / "output.log").read_text().splitlines() if "are unchanged" in line]
        print(f"{what:>10} {EDITS} edits, {stage}: {took.seconds:.1f} s, {took.processor:.1f} s of CPU; {unchanged}")


def new_project(folder: Path, source: Path) -> Path:
    """An empty project on a source, with the settings of this repository except for the size and the classes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["ingest"] |= {"source": str(source), "classes": "auto"}
    params["photos"] |= dict(zip(("height", "width"), FIT.size_hw, strict=True), fit=FIT.mode)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return folder


@dataclass(frozen=True, slots=True)
class Usage:
    """The time and memory that a command took."""

    seconds: float  # wall time
    processor: float  # seconds of all its processes
    main_mib: float = 0  # peak resident memory of its main process
    worker_mib: float = 0  # and of its largest other process


def run_stage(project: Path, stage: str) -> Usage:
    """Run a stage as a user does."""
    command = [sys.executable, "-m", f"stages.{stage}"]
    return run(command, project, os.environ | {"PYTHONPATH": str(ROOT)})


def run(command: list[str], folder: Path, environment: dict[str, str]) -> Usage:
    """Run a command in a folder and measure its processes."""
    start, peaks, ticks = time.perf_counter(), dict[str, int](), dict[str, int]()
    with (folder / "output.log").open("w") as log:
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        while running.poll() is None:
            watch(running.pid, peaks, ticks)
            time.sleep(0.05)
    seconds = time.perf_counter() - start
    if running.returncode:
        sys.exit((folder / "output.log").read_text())
    main, worker = peaks.pop(str(running.pid)), max(peaks.values(), default=0)
    return Usage(seconds, sum(ticks.values()) / os.sysconf("SC_CLK_TCK"), main / 1024, worker / 1024)


def watch(session: int, peaks: dict[str, int], ticks: dict[str, int]) -> None:
    """Store the peak resident memory in KiB and the processor time of each process of a session (proc(5))."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks[process.name] = int(fields[11]) + int(fields[12])
                lines = (process / "status").read_text().splitlines()
                peaks[process.name] = max(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        except (OSError, ValueError):  # it has ended or is ending
            continue


def floor(project: Path, source: Path, out: Path) -> Usage:
    """Do the unavoidable work on the photos of a project."""
    masks = [label_png.read(path) for path in sorted((project / "data/masks").glob("*.png"))[:MAPS]]
    np.save(project / "maps.npy", np.stack(masks))
    paths = sorted(source.rglob("*.jpg"))
    assert len(paths) == len(list((project / "data/masks").glob("*.png"))), "every photo is used"
    shutil.rmtree(out, ignore_errors=True)
    for name in ("photos", "labels"):
        (out / name).mkdir(parents=True)
    start, before = time.perf_counter(), os.times()
    parts = [paths[first::PARTS] for first in range(PARTS)]
    with ProcessPoolExecutor(WORKERS) as pool:
        for _ in pool.map(partial(bare, out=out, maps=project / "maps.npy"), range(PARTS), parts):
            pass
    seconds, after = time.perf_counter() - start, os.times()
    return Usage(seconds, sum(after[:4]) - sum(before[:4]))


def bare(part: int, paths: list[Path], out: Path, maps: Path) -> None:
    """Decode and resize photos, write their label maps and their rows for training."""
    label_maps = np.load(maps)
    with (
        row_writer(store.shard_file(out / "photos", part), (*FIT.size_hw, 3)) as photos,
        row_writer(store.shard_file(out / "labels", part), FIT.size_hw) as labels,
    ):
        for position, path in enumerate(paths):
            label_map = label_maps[position % len(label_maps)]
            with Image.open(path) as image:
                image.load()
            [window] = stored_windows(label_map.shape, FIT)
            (out / f"{path.stem}.png").write_bytes(label_png.encode(label_map, ClassTable(("background",))))
            photos(fit_pil_image(image, FIT, window))
            labels(fit_label_map(label_map, FIT, window))


def generated(folder: Path, count: int, side: int = SIDE) -> Path:
    """Write a COCO source of `count` images with the entropy of photos and star-shaped objects; return its folder.

    side: of each image in pixels; objects have the same share of it at any side.
    """
    (folder / "images").mkdir(parents=True)
    with ProcessPoolExecutor(WORKERS) as pool:
        records = [
            photo
            for part in pool.map(partial(_annotated_photo, folder, side), range(count), chunksize=16)
            for photo in part
        ]
    images = [{"id": i, "file_name": f"{i:05}.jpg", "width": side, "height": side} for i in range(count)]
    categories = [{"id": i, "name": f"class_{i}"} for i in range(CLASSES)]
    annotations = [record | {"id": i} for i, record in enumerate(records)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(document))
    return folder


def _annotated_photo(folder: Path, side: int, number: int) -> list[dict]:
    rng = np.random.default_rng(number)
    y, x = rng.integers(0, _canvas().shape[0] - side, 2)
    pixels = _canvas()[y : y + side, x : x + side] * rng.uniform(0.5, 1.2, 3).astype(np.float32)
    packed = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(packed, "JPEG", quality=90)
    (folder / f"images/{number:05}.jpg").write_bytes(packed.getvalue())
    return [
        {
            "image_id": number,
            "category_id": int(rng.integers(CLASSES)),
            "segmentation": [_star(rng, side)],
            "iscrowd": 0,
        }
        for _ in range(OBJECTS)
    ]


def _star(rng: np.random.Generator, side: int) -> list[float]:
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(12, 60))))
    radius = rng.uniform(10, 140)
    radii = radius * rng.uniform(0.6, 1, len(angles))
    points = rng.uniform(radius, SIDE - radius, 2) + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.round(points * side / SIDE, 2).ravel().tolist()


@cache
def _canvas() -> np.ndarray:
    """Noise of several scales, float32 (2560, 2560, 3), whose spectrum falls with frequency as that of photos does."""
    rng = np.random.default_rng(7)
    canvas = np.full((2560, 2560, 3), 128, np.float32)
    for side, strength in ((8, 50), (40, 35), (160, 25), (640, 14), (2560, 5)):
        noise = rng.normal(0, strength, (side, side, 3)).clip(-127, 127)
        layer = Image.fromarray((noise + 128).astype(np.uint8)).resize((2560, 2560), Image.Resampling.BICUBIC)
        canvas += np.asarray(layer, np.float32) - 128
    return canvas


if __name__ == "__main__":
    main()
