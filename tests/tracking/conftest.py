"""A folder of its own for each test of the trackers, with an empty MLflow database where one is asked for."""

import shutil
from pathlib import Path

import pytest

from segpipe.tracking import mlflow_setup


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, no tracking server named, and a client that gives up on one after a second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow_setup.prepare()
    return tmp_path


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs: making its tables takes seconds, a copy none."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow_setup.prepare()
    from mlflow import MlflowClient

    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def mlflow_client(workplace: Path, empty_database: Path):
    """A client on the database that runs started in this test are written to."""
    from mlflow import MlflowClient

    shutil.copyfile(empty_database, workplace / "mlflow.db")
    return MlflowClient(f"sqlite:///{workplace}/mlflow.db")
