"""The setup of MLflow: environment variables, set before it is imported, and the file of its database."""

import logging
import os
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

from segpipe.core.files import atomic_write, remove_parts

_log = logging.getLogger(__name__)
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; MLflow's defaults, 120 s and 7 retries, add up to half an hour
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
}
_SQLITE = "sqlite:///"
_ARTIFACTS = "mlartifacts"  # the folder of artifacts, beside the database
_COLUMNS = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}


def prepare() -> None:
    """Set the environment variables that the user has not set. Call it before the first import of MLflow."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow\.")


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the sqlite file mlflow.db in the current folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{Path('mlflow.db').resolve().as_posix()}"


def create_database(uri: str) -> None:
    """Create the database file of a tracking URI, if the URI names a file that does not exist; whole or not at all.

    MLflow creates its tables in dozens of steps; a kill between two of them leaves a file that it cannot open again.
    """
    path = Path(uri.removeprefix(_SQLITE))
    if not uri.startswith(_SQLITE) or "?" in uri or path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # a second, not needed with a server

    remove_parts(path)
    with atomic_write(path, durable=False) as part:
        SqlAlchemyStore(f"{_SQLITE}{part.as_posix()}", f"./{_ARTIFACTS}").engine.dispose()


def artifact_folder(experiment: str) -> str:
    """The URI of the folder for the artifacts of an experiment without a server; experiment: its slug."""
    return (Path(_ARTIFACTS) / experiment).resolve().as_uri()


def relocate_artifacts(uri: str, name: str, experiment: str) -> None:
    """Set the artifact folder of an experiment to the current folder, if the project was copied or moved.

    MLflow stores absolute paths: without this a copy would write into the artifacts of the original project.
    uri: tracking URI; name: the experiment's name; experiment: its slug.
    """
    path, here = Path(uri.removeprefix(_SQLITE)), artifact_folder(experiment)
    if not uri.startswith(_SQLITE) or "?" in uri or path.resolve().parent != Path.cwd():
        return
    with closing(sqlite3.connect(path)) as database, database:
        row = database.execute("SELECT artifact_location FROM experiments WHERE name = ?", (name,)).fetchone()
        before = row[0] if row else here
        if before == here or not before.endswith(f"/{_ARTIFACTS}/{experiment}"):
            return
        for table, column in _COLUMNS.items():
            change = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE instr({column} || '/', ?) = 1"
            database.execute(change, (here, len(before) + 1, f"{before}/"))
    _log.info("tracking: the project was copied or moved; its artifacts are now in this folder, not in %s", before)
