"""A copy of the project in which tests run commands, as a user does in a clone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from segpipe.data.store import Store
from tests.conftest import ROOT


def put_tables(folder: Path) -> None:
    """Copy the files of a new clone that stages read."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for table in ("pins.csv", "scenes.csv", "weights.pt"):
        shutil.copyfile(ROOT / "data" / table, folder / "data" / table)


class Project:
    """A copy of the project without its demo data: small images, one epoch, one sample sheet of each kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "src"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
            "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org",
            "MLFLOW_TRACKING_URI": "",
        }  # fmt: skip
        files = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
        ).stdout.split("\0")
        for file in filter(None, files):
            if not file.startswith(("tests/", "data/demo/")) and (ROOT / file).is_file():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, folder / file)
        self.set("photos.height", 64)
        self.set("photos.width", 64)
        self.set("train.epochs", 1)
        self.set("train.warmup_epochs", 0.5)
        self.set("render.samples", 1)

    def start(self) -> None:
        """Put all files under git, as in a clone."""
        self.git("init", "-q")
        self.commit("start")

    def run(self, *command: str, fails: bool = False) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True)
        assert (done.returncode != 0) == fails, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def dvc(self, *arguments: str, fails: bool = False) -> str:
        return self.run("dvc", *arguments, fails=fails)

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def set(self, key: str, value: object) -> None:
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text(encoding="utf-8"))
        section, name = key.split(".")
        params[section][name] = value
        path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")

    def store(self) -> Store:
        return Store.open(self.folder / "data/photos", self.folder / "data/labels")

    def metrics(self, name: str) -> dict:
        return json.loads((self.folder / f"metrics/{name}.json").read_text(encoding="utf-8"))
