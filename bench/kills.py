"""Kill a training at random moments, let the next `dvc repro` go on, and compare the end with one that nobody killed.

`python -m bench.kills [KILLS] [SEED]` (20 and 0) prints a line for each kill and each training that came to its end.
All is compared byte for byte: the model, metrics, curves, sheets, and the predictions of `inference.py`; and the curve
of single steps that MLflow has. Where a process was killed is read from the traceback that faulthandler writes just
before; it must be inside the training, so the clock starts when the first step is made.
"""

import copy
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.project import Project

KILLS_EACH = 5  # of one training; then it may come to its end
COMPARED = ("models", "metrics", "results/training", "predictions")
PATIENCE_S = 0.5  # a busy machine takes a while to run a process at all
# The innermost of these functions says what was under way.
PHASES = {
    "_save": "checkpoint",
    "validate": "validation",
    "_show": "sheet",
    "train_one_epoch": "step",
    "save": "model file",
}
# Sent SIGUSR1, a process writes its traceback; the training itself is the real one.
TRACED = """
import faulthandler, os, signal
faulthandler.register(signal.SIGUSR1, open(os.environ["KILLS_TRACE"], "w"), all_threads=False)
"""


@dataclass(frozen=True)
class Place:
    """A copy of the project, its data stages done."""

    project: Project

    @classmethod
    def made(cls, folder: Path) -> "Place":
        """Small pictures, 4 epochs, a checkpoint after every step, and everything switched on that has a state."""
        folder.mkdir()
        project = Project(folder)
        project.run("python", "-m", "segpipe", "demo", "data/demo", "--count", "100", "--size", "96", "--seed", "3")
        changes = {"epochs": 4, "checkpoint_minutes": 0.0001, "ema_decay": 0.9, "device": "cpu", "accumulate": 2}
        for key, value in changes.items():
            project.set(f"train.{key}", value)
        project.set("validate.limits", {"dropped_images": 0.5, "dropped_annotations": 0.5})
        (folder / "traced").mkdir()
        (folder / "traced/sitecustomize.py").write_text(TRACED)
        project.start()
        project.dvc("repro", "split")
        return cls(project)._traced()

    def copied(self, folder: Path) -> "Place":
        """The same in another folder."""
        shutil.copytree(self.project.folder, folder, symlinks=True)
        project = copy.copy(self.project)
        project.folder, project.env = folder, dict(project.env)
        return Place(project)._traced()

    def _traced(self) -> "Place":
        folder = self.project.folder
        self.project.env["PYTHONPATH"] = os.pathsep.join([str(folder / "src"), str(folder / "traced")])
        self.project.env["KILLS_TRACE"] = str(self._trace())
        return self

    @property
    def checkpoints(self) -> list[Path]:
        """Whole ones."""
        return list((self.project.folder / ".segpipe/checkpoints").glob("*.pt"))

    def killed_after(self, seconds: float) -> str | None:
        """Start `dvc repro`, kill all its processes so long after its first checkpoint; where, None: it ended."""
        before = {path: path.stat().st_mtime_ns for path in self.checkpoints}
        process = subprocess.Popen(
            ["dvc", "repro", "evaluate"], cwd=self.project.folder, env=self.project.env, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = None
        while process.poll() is None and (until is None or time.monotonic() < until):
            if until is None and any(before.get(path) != path.stat().st_mtime_ns for path in self.checkpoints):
                until = time.monotonic() + seconds
            time.sleep(0.002)
        if process.poll() is not None:
            return None
        trainers = [pid for pid in _group(process.pid) if b"stages.train" in _command(pid)]
        for pid in trainers:
            os.kill(pid, signal.SIGUSR1)
        patience = time.monotonic() + PATIENCE_S
        while trainers and "in <module>" not in self._trace().read_text() and time.monotonic() < patience:
            time.sleep(0.0005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return self._phase() if trainers else "another stage"

    def ended(self) -> dict[str, bytes]:
        """`dvc repro` to the end, and predictions of new pictures: every file by name."""
        self.project.dvc("repro", "evaluate")
        self.project.run(
            *("python", "inference.py", "--weights", "models/model.pt"),
            *("--input", "data/demo/images/Küche", "--output", "predictions"),
        )
        files = (path for name in COMPARED for path in sorted((self.project.folder / name).rglob("*")))
        return {path.relative_to(self.project.folder).as_posix(): path.read_bytes() for path in files if path.is_file()}

    def steps(self) -> str:
        """What MLflow has of single steps, as text."""
        query = (
            "from mlflow import MlflowClient; c = MlflowClient('sqlite:///mlflow.db');"
            "[r] = c.search_runs([c.get_experiment_by_name('segpipe').experiment_id]);"
            "h = [c.get_metric_history(r.info.run_id, f'step/{n}') for n in ('loss', 'lr')];"
            "print([[(m.step, m.value) for m in curve] for curve in h])"
        )
        return self.project.run("python", "-W", "ignore", "-c", query).splitlines()[-1]

    def _trace(self) -> Path:
        return self.project.folder / "trace"

    def _phase(self) -> str:
        trace = self._trace().read_text()
        functions = [line.rsplit(" in ", 1)[1] for line in trace.splitlines() if " in " in line]
        return next((PHASES[name] for name in functions if name in PHASES), functions[0] if functions else "not seen")


def main(kills: int, seed: int) -> int:
    """Print the lines; 1 if anything differs."""
    moments, phases, done, differing = random.Random(seed), Counter[str](), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        ready = Place.made(Path(folder) / "ready")
        whole = ready.copied(Path(folder) / "whole")
        start = time.monotonic()
        expected, steps = whole.ended(), whole.steps()
        print(f"nobody killed: {len(expected)} files in {time.monotonic() - start:.0f} s")
        span = (time.monotonic() - start) / 2 / KILLS_EACH
        trainings = 0
        while done < kills:
            place = ready.copied(Path(folder) / f"killed{trainings}")
            trainings += 1
            for _ in range(min(KILLS_EACH, kills - done)):
                seconds = moments.uniform(0, span)
                where = place.killed_after(seconds)
                if where is None:
                    break
                done += 1
                phases[where] += 1
                print(f"kill {done}: training {trainings}, {seconds:.3f} s after a checkpoint, in: {where}", flush=True)
            found = place.ended()
            differ = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            differing += len(differ)
            is_curve_equal = place.steps() == steps
            differing += not is_curve_equal
            print(f"training {trainings}: {len(found)} files, {len(differ)} differ {differ[:3]}", end="; ")
            print(f"MLflow's curve of single steps {'is equal' if is_curve_equal else 'DIFFERS'}", flush=True)
    print(f"{done} kills ({dict(phases)}) of {trainings} trainings: {differing or 'no'} differences")
    return 1 if differing else 0


def _group(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == leader:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    sys.exit(main(*numbers, *(20, 0)[len(numbers) :]))
