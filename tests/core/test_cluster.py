"""Work on a Dask cluster, with a real scheduler and real workers on this machine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from segpipe.core import cluster
from segpipe.core.errors import AnnotationError, UserError
from segpipe.core.files import atomic_write
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


def write_file(number: int) -> int:
    """Write one file in two steps; the first job to start ends its worker between them."""
    with atomic_write(Path(f"{number}.bin")) as part:
        part.write_bytes(bytes([number]) * 1000)
        time.sleep(0.05)
        if os.environ.get("KILLS") and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        part.write_bytes(bytes([number]) * 100_000)
    return number


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.bin"))}


def test_the_files_equal_those_of_a_local_run_although_a_worker_was_killed(here, tmp_path_factory, monkeypatch):
    local = tmp_path_factory.mktemp("local")
    with chdir(local):
        list(map_ordered(write_file, range(20), 1, "files"))
    monkeypatch.setenv("KILLS", "1")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as running:
        address = running.scheduler_address
        done = list(map_ordered(write_file, range(20), 0, "files", dask=address, sizes=[1] * 20))
    assert (here / "killed").exists()
    assert done == list(range(20))
    assert files_of(here) == files_of(local)


def kill_worker(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_job_that_ends_every_worker_is_an_error(workers):
    with pytest.raises(UserError, match=r"^compute\.dask: .* ended one after the other at the same job; give them"):
        computed(workers.scheduler_address, kill_worker, [1])


def test_a_cluster_that_has_lost_its_workers_is_an_error(here, monkeypatch):
    monkeypatch.setattr(cluster, "_CHECK_SECONDS", 0.1)
    monkeypatch.setattr(cluster, "_WAIT_SECONDS", 1)
    problem = r"^compute\.dask: all workers of .* have ended; start them again, then run"
    with (
        LocalCluster(n_workers=0, dashboard_address=None) as running,
        extra_worker(running.scheduler_address, here, "--no-nanny"),  # which would start it again
        pytest.raises(UserError, match=problem),
    ):
        computed(running.scheduler_address, kill_worker, [1])


@contextmanager
def extra_worker(scheduler: str, folder: Path, *options: str, **environment: str) -> Iterator[None]:
    """One more worker, which runs in `folder`."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler, "--no-dashboard", *options]
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
            pytest.raises(UserError, match="has other code or other libraries than this project; start sched"),
        ):
            computed(address)


def test_a_scheduler_without_the_code_is_refused(here):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    code = "import sys; sys.modules['segpipe'] = None; from distributed.cli.dask_scheduler import main; main()"
    command = [sys.executable, "-c", code, "--no-dashboard", "--host", address]
    scheduler = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with (
            extra_worker(address, here),
            pytest.raises(UserError, match=r"^compute\.dask: the scheduler or a worker \(.*\) has other code or other"),
        ):
            computed(address)
    finally:
        scheduler.kill()
        scheduler.wait()
