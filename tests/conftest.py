"""Fixtures for every test: real data sets, and empty folders to track runs in."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from segpipe.tracking import mlflow_setup

ROOT = Path(__file__).resolve().parent.parent
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes its background processes ignore SIGINT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, read-only; without it the test is skipped."""
    folder = Path(os.environ.get("SEGPIPE_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set SEGPIPE_REAL_DATA)")
    return folder


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder without a tracking server; MLflow waits one second for a server that a test names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow_setup.prepare()
    return tmp_path


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs. Creating its tables lasts seconds, copying it does not."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow_setup.prepare()
    from mlflow import MlflowClient

    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def mlflow_client(workplace: Path, empty_database: Path):
    """A client of the database that the test's runs are written to."""
    from mlflow import MlflowClient

    shutil.copyfile(empty_database, workplace / "mlflow.db")
    return MlflowClient(f"sqlite:///{workplace}/mlflow.db")
