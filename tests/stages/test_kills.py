"""Stages whose processes are killed, and the work of others: the bytes are those of a local run without a kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

from segpipe.core import shards
from segpipe.rasterize import shard as drawing
from segpipe.validate import packing
from tests import photo_source
from tests.conftest import ROOT
from tests.data_half import STAGES, prepare, run, written

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_shards")]
COUNT, SHARDS = 240, 32


def parts(work: Path) -> list[Path]:
    return list((work / shards.FOLDER).glob("*/*.part"))


def finished(work: Path, stage: str) -> int:
    """The number of results that are kept."""
    return sum(path.suffix != ".part" for path in (work / shards.FOLDER / stage).glob("*"))


def start(work: Path, stage: str) -> subprocess.Popen:
    """A stage as a process group."""
    env = os.environ | {"PYTHONPATH": f"{ROOT}/src{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", f"stages.{stage}"]
    return subprocess.Popen(command, cwd=work, env=env, start_new_session=True, stderr=subprocess.DEVNULL)


def killed(work: Path, stage: str, results: int) -> None:
    """Run a stage, and kill all its processes as soon as there are so many results, and one is being written."""
    process = start(work, stage)
    try:
        while process.poll() is None and not (finished(work, stage) >= results and parts(work)):
            time.sleep(0.001)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the stage ended before the kill"


def test_stages_that_were_killed_end_with_the_same_bytes(tmp_path):
    source = photo_source.put(tmp_path / "source", COUNT)
    clean = run(tmp_path / "clean", source)
    work = tmp_path / "work"
    prepare(work, source, workers=2)
    with chdir(work):
        STAGES["ingest"]()
    for stage in ("validate", "rasterize"):
        for results in (1, 8, 16):
            killed(work, stage, results)
            assert parts(work), "nothing was being written at the kill"
        assert results <= finished(work, stage) < SHARDS
        assert start(work, stage).wait() == 0
        assert parts(work) == []
    with chdir(work):
        STAGES["split"]()
    assert written(work) == clean


def ends_worker(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function; its 20th call ends the process, unless another process has ended like this."""
    calls = 0

    def counted(*values: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 20:
            try:
                Path(f"killed-{name}").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        return function(*values, **named)

    return counted


def prepare_kills() -> None:
    """Make a worker end while it decodes, and another while it draws."""
    packing.decode = ends_worker(packing.decode, "validate")
    drawing.draw = ends_worker(drawing.draw, "rasterize")


def test_a_cluster_that_loses_a_worker_in_each_stage_writes_the_bytes_of_a_local_run(tmp_path):
    source = photo_source.put(tmp_path / "source", COUNT)
    clean = run(tmp_path / "clean", source)
    work = tmp_path / "work"
    work.mkdir()
    with (
        chdir(work),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        assert len(client.run(prepare_kills)) == 2
        assert run(work, source, compute__dask=cluster.scheduler_address) == clean
    assert sorted(path.name for path in work.glob("killed-*")) == ["killed-rasterize", "killed-validate"]
    assert parts(work) == []
