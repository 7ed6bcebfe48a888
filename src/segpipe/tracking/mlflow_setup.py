"""How MLflow is set up here: its environment, short of patience and quiet, and the file of its database."""

import logging
import os
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

from segpipe.core.files import atomic_write, remove_parts

_log = logging.getLogger(__name__)
_FILE = "sqlite:///"
_ARTIFACTS = "mlartifacts"  # the folder of artifacts, beside the database
_PLACES = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}

_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds without an answer; MLflow's own 120 s with 7 retries is half an hour
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
}


def prepare() -> None:
    """Set what the user has not set already."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow\.")


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the sqlite file mlflow.db in the current folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').resolve().as_posix()}"


def make(place: str) -> None:
    """Make the database of a tracking URI that names a file which does not exist yet.

    MLflow lays its tables in dozens of steps; killed between two of them it leaves a file that it may never open again.
    """
    path = Path(place.removeprefix(_FILE))
    if not place.startswith(_FILE) or "?" in place or path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # a second of imports, for nothing with a server

    remove_parts(path)
    with atomic_write(path, durable=False) as part:
        SqlAlchemyStore(f"{_FILE}{part.as_posix()}", f"./{_ARTIFACTS}").engine.dispose()


def artifacts(experiment: str) -> str:
    """Where the artifacts of an experiment go that is kept without a server; experiment: its slug."""
    return (Path(_ARTIFACTS) / experiment).resolve().as_uri()


def bring_along(place: str, name: str, experiment: str) -> None:
    """In a copy of a project, or one that was moved, let the artifacts of its experiment be those in this folder.

    MLflow keeps absolute paths: a copy would write over the artifacts of the project that it was copied from.
    place: tracking URI; name: the experiment's, and `experiment` its slug.
    """
    path, here = Path(place.removeprefix(_FILE)), artifacts(experiment)
    if not place.startswith(_FILE) or "?" in place or path.resolve().parent != Path.cwd():
        return
    with closing(sqlite3.connect(path)) as database, database:
        found = database.execute("SELECT artifact_location FROM experiments WHERE name = ?", (name,)).fetchone()
        before = found[0] if found else here
        if before == here or not before.endswith(f"/{_ARTIFACTS}/{experiment}"):
            return
        for table, column in _PLACES.items():
            change = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE instr({column} || '/', ?) = 1"
            database.execute(change, (here, len(before) + 1, f"{before}/"))
    _log.info("tracking: this project was copied or moved; its artifacts are kept in this folder, not in %s", before)
