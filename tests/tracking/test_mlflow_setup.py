import subprocess
import sys

from segpipe.tracking import mlflow_setup

KILLED_HALFWAY = """
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
mlflow_setup.make(mlflow_setup.tracking_uri())
"""


def test_a_kill_while_tables_are_laid_leaves_no_half_database(workplace):
    assert subprocess.run([sys.executable, "-c", KILLED_HALFWAY], check=False).returncode == 9
    assert not (workplace / "mlflow.db").exists()
    from mlflow import MlflowClient

    mlflow_setup.make(mlflow_setup.tracking_uri())
    assert MlflowClient(mlflow_setup.tracking_uri()).create_experiment("after")
    assert [path.name for path in workplace.iterdir() if "mlflow.db" in path.name] == ["mlflow.db"]


def test_servers_and_databases_that_are_there_are_left_alone(workplace):

    (workplace / "mlflow.db").write_bytes(b"somebody's")
    for place in (mlflow_setup.tracking_uri(), "http://localhost:1", "postgresql://u@h/d"):
        mlflow_setup.make(place)
    assert [(path.name, path.read_bytes()) for path in workplace.iterdir()] == [("mlflow.db", b"somebody's")]
