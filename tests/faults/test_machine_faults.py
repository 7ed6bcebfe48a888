"""Failures of the machine, made with real system limits: the stage stops, and no valid file gets a verdict."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from segpipe.core.errors import AnnotationError, UserError
from segpipe.data import photos
from segpipe.masks.mask_files import hashes, read_stored
from tests.conftest import ROOT
from tests.faults import sources

SIDE = 2000
# prints the outcomes of each reader for each photo, from little to much memory: "right", "stopped" or a verdict
READ = """
import json, resource, sys
from collections import defaultdict
from pathlib import Path
from segpipe.data import photos
from segpipe.masks import mask_files
from segpipe.core.errors import AnnotationError, UserError

there = resource.RLIM_INFINITY
readers = {
    "photo": lambda path: photos.read_image(path).getpixel((0, 0)) == (0, 0, 0),
    "size": lambda path: photos.viewed_wh(path) == (2000, 2000),
    "mask": lambda path: path.suffix != ".png" or not mask_files.read_stored(path).values.any(),
}
seen = defaultdict(set)
for name, reader in readers.items():
    for path in map(Path, sys.argv[1:]):
        for spare in (2, 8, 16, 24, 32, 40, 48, 80):
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + spare * 1_000_000, there))
            try:
                outcome = "right" if reader(path) else "wrong"
            except AnnotationError as error:
                outcome = str(error)
            except UserError as error:
                outcome = "stopped" if "not enough memory" in str(error) and str(path) in str(error) else str(error)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (there, there))
            seen[f"{name} {path.name}"].add(outcome)
print(json.dumps({name: sorted(outcomes) for name, outcomes in seen.items()}))
"""
# checks a source twice, first with too little memory; prints how that ended, and the verdicts of the second time
CHECK = """
import resource, sys
from pathlib import Path
from segpipe.core.command import run
from segpipe.core.shards import Kept
from segpipe.data import tables
from segpipe.data.preprocessing import Fit
from segpipe.ingest.read import read_source
from segpipe.ledger.policies import Policies
from segpipe.ledger.rows import read_ledger
from segpipe.validate.judge import Rules
from segpipe.validate.shard import CheckJob, check_shard

source, folder, there = Path(sys.argv[1]), Path(sys.argv[2]), resource.RLIM_INFINITY
tables.write_dataset(folder, read_source(source))
tables.read_dataset(folder)
job = CheckJob(
    records=folder, root=source, rules=Rules({"cat": "cat", "dog": "dog"}, Policies()), keep_empty=False,
    fit=Fit("stretch", (32, 32)), kept=Kept(folder / "kept"), count=1, version="", photo_version="",
)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 10_000_000, there))
try:
    run(lambda: check_shard(job, 0))
except SystemExit as end:
    print(end)
finally:
    resource.setrlimit(resource.RLIMIT_AS, (there, there))
print(list((folder / "kept").iterdir()))
result = check_shard(job, 0)
print(result.state, [row.verdict for row in read_ledger(result.folder / "ledger.parquet") if row.kind == "image"])
"""


def python(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")


def test_a_valid_photo_is_read_or_reading_stops(tmp_path):
    image = Image.new("L", (SIDE, SIDE))
    image.save(tmp_path / "a.png")
    image.convert("RGB").save(tmp_path / "b.jpg", progressive=True, subsampling=0)  # Pillow: "broken data stream"
    image.convert("RGB").save(tmp_path / "c.webp", method=0)  # Pillow: "could not create decoder object"
    seen = json.loads(python(READ, *sorted(tmp_path.iterdir())))
    assert [seen[f"photo {name}"] for name in ("a.png", "b.jpg", "c.webp")] == [["right", "stopped"]] * 3
    assert {word for words in seen.values() for word in words} == {"right", "stopped"}


def test_validate_stops_without_saving_a_verdict(tmp_path):
    sources.put_coco(tmp_path / "source")
    document = sources.coco_document(sources.drawn(1, 1))
    document["images"][0] |= {"width": SIDE, "height": SIDE}
    sources.put(tmp_path / "source", "instances.json", document)
    Image.new("L", (SIDE, SIDE)).save(tmp_path / "source/a.png")
    end, kept, verdicts = python(CHECK, tmp_path / "source", tmp_path / "work").splitlines()
    problem = "not enough memory; free some, or run fewer processes (compute.workers in params.yaml)"
    assert end == f"error: {tmp_path / 'source/a.png'}: {problem}"
    assert kept == "[]"
    assert verdicts == "computed ['kept', 'kept']"


def test_a_failing_disk_stops_reading(tmp_path):
    path = tmp_path / "a.png"
    path.symlink_to("/proc/self/mem")  # its first byte cannot be read: an input/output error
    for reader in (photos.read_image, read_stored, photos.sha256_of, lambda mask: hashes(mask.parent, [mask.name])):
        with pytest.raises(UserError, match=r"a\.png: Input/output error; check the disk") as caught:
            reader(path)
        assert not isinstance(caught.value, AnnotationError)


def test_too_many_open_files_stop_reading(tmp_path):
    sources.put_photo(tmp_path / "a.png")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(UserError, match=r"a\.png: too many open files; raise `ulimit -n`") as caught:
            photos.read_image(tmp_path / "a.png")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not isinstance(caught.value, AnnotationError)


@pytest.mark.parametrize("name", ["a.png", "b/a.png", "x" * 300 + ".png"])
def test_an_unreadable_path_is_a_verdict_on_the_file(tmp_path, name):
    (tmp_path / "a.png").symlink_to("a.png")
    (tmp_path / "b").write_text("")
    with pytest.raises(AnnotationError):
        photos.read_image(Path(tmp_path, name))
