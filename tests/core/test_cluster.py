"""Work on a Dask cluster, with a real scheduler and real workers on this machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from segpipe.core import cluster
from segpipe.core.errors import AnnotationError, UserError
from segpipe.core.parallel import map_ordered

pytestmark = pytest.mark.slow


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def workers(here) -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as running:
        yield running


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    raise AnnotationError(f"{number} is not an image", "unreadable")


def computed(scheduler: str, function=square, numbers=range(101)) -> list[int]:
    return list(map_ordered(function, list(numbers), 0, "numbers", dask=scheduler))


def test_results_come_in_order_and_errors_keep_their_type(workers, here):
    address = workers.scheduler_address
    assert computed(address) == [n * n for n in range(101)]
    assert computed(address, numbers=[]) == []
    with pytest.raises(AnnotationError, match="is not an image") as caught:
        computed(address, refuse)
    assert caught.value.reason == "unreadable"
    assert not list((here / ".segpipe").iterdir())


def test_a_scheduler_that_does_not_answer_is_an_error_with_its_address(here):
    problem = r"^compute\.dask: no scheduler answers at tcp://127\.0\.0\.1:1 \(.*start one"
    with pytest.raises(UserError, match=problem), cluster.connect("tcp://127.0.0.1:1", timeout="1s"):
        pass
    with pytest.raises(UserError, match=r"^compute\.dask: no scheduler answers at nonsense://x"):
        computed("nonsense://x")


@contextmanager
def extra_worker(scheduler: str, folder: Path, **environment: str) -> Iterator[None]:
    """One more worker, which runs in `folder`."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler, "--no-dashboard"]
    env = os.environ | environment
    worker = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.DEVNULL)
    try:
        with Client(scheduler) as client:
            client.wait_for_workers(1, timeout=60)
        yield
    finally:
        worker.terminate()
        worker.wait()


def test_workers_in_another_folder_or_with_other_code_are_refused(here, tmp_path_factory):
    with LocalCluster(n_workers=0, dashboard_address=None) as empty:
        address = empty.scheduler_address
        with pytest.raises(UserError, match="has no workers; start them with `dask worker"):
            computed(address)
        with (
            extra_worker(address, tmp_path_factory.mktemp("elsewhere")),
            pytest.raises(UserError, match=r"does not run in this folder; start its workers in .* share"),
        ):
            computed(address)
        other = shutil.copytree(Path(cluster.__file__).parents[1], tmp_path_factory.mktemp("other") / "segpipe")
        with (other / "data/records.py").open("a") as file:
            file.write("# changed\n")
        with (
            extra_worker(address, here, PYTHONPATH=str(other.parent)),
            pytest.raises(UserError, match="has other code or other libraries than this project; start its workers"),
        ):
            computed(address)
