"""The file of MLflow's own database, made whole or not at all. Import only after `mlflow_env.prepare()`."""

from pathlib import Path

from segpipe.files import remove_parts, whole

_FILE = "sqlite:///"


def make(place: str) -> None:
    """Make the database of a tracking URI that names a file which does not exist yet.

    MLflow lays its tables in dozens of steps; killed between two of them it leaves a file that it may never open again.
    """
    path = Path(place.removeprefix(_FILE))
    if not place.startswith(_FILE) or "?" in place or path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # a second of imports, for nothing with a server

    remove_parts(path)
    with whole(path, durable=False) as part:
        SqlAlchemyStore(f"{_FILE}{part.as_posix()}", "./mlartifacts").engine.dispose()
