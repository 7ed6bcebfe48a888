"""The stages up to split, run in this process in a separate folder."""

import shutil
from contextlib import chdir
from pathlib import Path

import yaml

from stages import ingest, rasterize, split, validate
from tests.conftest import ROOT
from tests.project import put_tables

STAGES = {"ingest": ingest.main, "validate": validate.main, "rasterize": rasterize.main, "split": split.main}
WRITTEN = ("data", "metrics", "results")


def prepare(work: Path, source: Path, workers: int = 1, **settings: object) -> None:
    """Remove the outputs of an earlier run but not its cache, as DVC does, and write params.yaml.

    The settings use all classes of `source`, allow any loss of data, and have no val and test side, which a source of
    one image cannot fill. settings: more of them, as section__key=value.
    """
    for folder in WRITTEN:
        shutil.rmtree(work / folder, ignore_errors=True)
    put_tables(work)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    changed = {
        "compute__workers": workers, "ingest__source": str(source), "ingest__classes": "auto", "validate__limits": {},
        "photos__height": 32, "photos__width": 32, "split__val": 0.0, "split__test": 0.0,
    }  # fmt: skip
    for key, value in (changed | settings).items():
        section, name = key.split("__")
        params[section][name] = value
    (work / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def run(work: Path, source: Path, workers: int = 1, **settings: object) -> dict[str, bytes]:
    """Run all stages in order. Returns the files that they wrote, by path."""
    prepare(work, source, workers, **settings)
    with chdir(work):
        for stage in STAGES.values():
            stage()
    return written(work)


def written(work: Path) -> dict[str, bytes]:
    """The files that the stages wrote, by path."""
    paths = [path for folder in WRITTEN for path in (work / folder).rglob("*")]
    return {path.relative_to(work).as_posix(): path.read_bytes() for path in sorted(paths) if path.is_file()}
