"""Trainings killed at random moments and continued by `dvc repro`, compared with a training that was not killed.

`python -m bench.kills [KILLS] [SEED]` (default: 20 0) prints a line for each kill and each finished training. Model,
metrics, curves, sheets, the predictions of `inference.py` and the curve of single steps in MLflow are compared byte
for byte. The place of a kill is read from a traceback that faulthandler writes just before. A kill must hit the
training, so its delay counts from the first checkpoint.
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

KILLS_EACH = 5  # kills of one training, which then may finish
COMPARED = ("models", "metrics", "results/training", "predictions")
TRACE_TIMEOUT_S = 0.5  # on a busy machine the process may not run at once
# The activity of a process while the innermost of these functions runs.
PHASES = {
    "_save": "checkpoint",
    "validate": "validation",
    "_show": "sheet",
    "train_one_epoch": "step",
    "save": "model file",
}
# A process writes its traceback on SIGUSR1; the code of the training is not changed.
TRACED = """
import faulthandler, os, signal
faulthandler.register(signal.SIGUSR1, open(os.environ["KILLS_TRACE"], "w"), all_threads=False)
"""


@dataclass(frozen=True)
class Copy:
    """A copy of the project in which the data stages are done."""

    project: Project

    @classmethod
    def create(cls, folder: Path) -> "Copy":
        """A project of small images, 4 epochs, a checkpoint after every step, and every setting that has a state."""
        folder.mkdir()
        project = Project(folder)
        project.run("python", "-m", "segpipe", "demo", "data/demo", "--count", "100", "--size", "96", "--seed", "3")
        train = {"train.epochs": 4, "train.ema_decay": 0.9, "train.accumulate": 2}
        compute = {"compute.checkpoint_minutes": 0.0001, "compute.device": "cpu"}
        for key, value in (train | compute).items():
            project.set(key, value)
        project.set("validate.limits", {"dropped_images": 0.5, "dropped_annotations": 0.5})
        (folder / "traced").mkdir()
        (folder / "traced/sitecustomize.py").write_text(TRACED)
        project.start()
        project.dvc("repro", "split")
        return cls(project)._traced()

    def copied(self, folder: Path) -> "Copy":
        """A copy of this project in another folder."""
        shutil.copytree(self.project.folder, folder, symlinks=True)
        project = copy.copy(self.project)
        project.folder, project.env = folder, dict(project.env)
        return Copy(project)._traced()

    def _traced(self) -> "Copy":
        folder = self.project.folder
        self.project.env["PYTHONPATH"] = os.pathsep.join([str(folder / "src"), str(folder / "traced")])
        self.project.env["KILLS_TRACE"] = str(self._trace())
        return self

    @property
    def checkpoints(self) -> list[Path]:
        """The complete checkpoints."""
        return list((self.project.folder / ".segpipe/checkpoints").glob("*.pt"))

    def killed_after(self, seconds: float) -> str | None:
        """Start `dvc repro` and kill all its processes `seconds` after its first checkpoint.

        Returns its activity at that moment; None if it ended before.
        """
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
        deadline = time.monotonic() + TRACE_TIMEOUT_S
        while trainers and "in <module>" not in self._trace().read_text() and time.monotonic() < deadline:
            time.sleep(0.0005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return self._phase() if trainers else "another stage"

    def finish(self) -> dict[str, bytes]:
        """Run `dvc repro` to the end and predict new images; return the content of every file by name."""
        self.project.dvc("repro", "evaluate")
        self.project.run(
            *("python", "inference.py", "--weights", "models/model.pt"),
            *("--input", "data/demo/images/Küche", "--output", "predictions"),
        )
        files = (path for name in COMPARED for path in sorted((self.project.folder / name).rglob("*")))
        return {path.relative_to(self.project.folder).as_posix(): path.read_bytes() for path in files if path.is_file()}

    def steps(self) -> str:
        """The curves of single steps in MLflow, as text."""
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
    """Print the lines; return 1 if anything differs, else 0."""
    moments, phases, done, differing = random.Random(seed), Counter[str](), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        ready = Copy.create(Path(folder) / "ready")
        not_killed = ready.copied(Path(folder) / "not_killed")
        start = time.monotonic()
        expected, steps = not_killed.finish(), not_killed.steps()
        print(f"not killed: {len(expected)} files in {time.monotonic() - start:.0f} s")
        span = (time.monotonic() - start) / 2 / KILLS_EACH
        trainings = 0
        while done < kills:
            project = ready.copied(Path(folder) / f"killed{trainings}")
            trainings += 1
            for _ in range(min(KILLS_EACH, kills - done)):
                seconds = moments.uniform(0, span)
                where = project.killed_after(seconds)
                if where is None:
                    break
                done += 1
                phases[where] += 1
                print(
                    f"kill {done}: training {trainings}, {seconds:.3f} s after a checkpoint, during: {where}",
                    flush=True,
                )
            outputs = project.finish()
            differ = sorted(
                name for name in expected.keys() | outputs.keys() if expected.get(name) != outputs.get(name)
            )
            differing += len(differ)
            is_curve_equal = project.steps() == steps
            differing += not is_curve_equal
            print(f"training {trainings}: {len(outputs)} files, {len(differ)} differ {differ[:3]}", end="; ")
            print(f"MLflow's curve of single steps {'is equal' if is_curve_equal else 'DIFFERS'}", flush=True)
    print(f"{done} kills ({dict(phases)}) of {trainings} trainings: {differing or 'no'} differences")
    return 1 if differing else 0


def _group(leader: int) -> list[int]:
    """The process ids of a session."""
    pids = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == leader:
                pids.append(int(entry.name))
        except ProcessLookupError:
            continue
    return pids


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    sys.exit(main(*numbers, *(20, 0)[len(numbers) :]))
