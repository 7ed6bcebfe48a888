import subprocess
import sys

from segpipe.tracking import mlflow_setup

KILLED_AFTER_FIVE_COLUMNS = """
import os
from alembic.ddl.impl import DefaultImpl
from segpipe.tracking import mlflow_setup

mlflow_setup.prepare()
from segpipe.tracking import mlflow_setup

added, add_column = [], DefaultImpl.add_column


def killed(*args, **kwargs):
    if len(added) == 5:
        os._exit(9)
    added.append(add_column(*args, **kwargs))


DefaultImpl.add_column = killed
mlflow_setup.create_database(mlflow_setup.tracking_uri())
"""


def test_a_kill_while_tables_are_created_leaves_no_database_file(workplace):
    assert subprocess.run([sys.executable, "-c", KILLED_AFTER_FIVE_COLUMNS], check=False).returncode == 9
    assert not (workplace / "mlflow.db").exists()
    from mlflow import MlflowClient

    mlflow_setup.create_database(mlflow_setup.tracking_uri())
    assert MlflowClient(mlflow_setup.tracking_uri()).create_experiment("after")
    assert [path.name for path in workplace.iterdir() if "mlflow.db" in path.name] == ["mlflow.db"]


def test_servers_and_existing_databases_are_not_changed(workplace):

    (workplace / "mlflow.db").write_bytes(b"of another program")
    for place in (mlflow_setup.tracking_uri(), "http://localhost:1", "postgresql://u@h/d"):
        mlflow_setup.create_database(place)
    assert [(path.name, path.read_bytes()) for path in workplace.iterdir()] == [("mlflow.db", b"of another program")]
