"""Whole runs in a real MLflow database, and with servers that are down or do not answer."""

import json
import logging
import math
import os
import random
import shutil
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segpipe.core.errors import StoppedError
from segpipe.tracking import mlflow_setup, provenance
from segpipe.tracking.run import Run, Timeouts, open_trained, open_training
from segpipe.tracking.settings import Tracking
from segpipe.tracking.tracker import RunFacts
from segpipe.train import loop, monitor
from tests.tracking.hard_names import HARD
from tests.train import tiny

FACTS = RunFacts(
    name="unet",
    inputs="abcdef1234567890",
    params={"seed": 7, "train": {"lr": 0.001, "note": "x" * 7000}},
    tags={"git.commit": "c" * 40, "git.dirty": "false", "dvc.data/photos": "1" * 32 + ".dir"},
    classes=("background", "Traffic Light"),
)
SETTINGS = Tracking(experiment="shapes")


def only_run(client):
    [run] = client.search_runs([client.get_experiment_by_name("shapes").experiment_id])
    return run


def steps(client, run, name):
    return [metric.step for metric in client.get_metric_history(run.info.run_id, name)]


def artifacts(client, run, folder=None):
    return sorted(file.path for file in client.list_artifacts(run.info.run_id, folder))


def test_a_run_has_params_tags_curves_files_and_final_scores(mlflow_client):
    Path("plots").mkdir()
    Path("plots/loss.csv").write_text("epoch,loss\n0,2.0\n")
    Path("params.yaml").write_text("seed: 7\n")
    with open_training(FACTS, SETTINGS) as run:
        for epoch, loss in enumerate([2.0, 1.0]):
            run.log_metrics({"train": {"loss": loss}, "val": {"iou": {"Traffic Light": 0.5}}}, step=epoch)
        run.log_metrics({"final": {"miou": 0.75}, "device": "cpu"})
        run.log_file(Path("params.yaml"))
        run.log_file(Path("plots"), "plots")
        run.set_tags({"stopped": "budget"})

    tracked = only_run(mlflow_client)
    assert tracked.info.status == "FINISHED"
    assert tracked.info.run_name == "unet-abcdef12"
    assert tracked.data.params == {"seed": "7", "train.lr": "0.001", "train.note": "x" * 497 + "..."}
    assert tracked.data.metrics == {"train/loss": 1.0, "val/iou/traffic_light": 0.5, "final/miou": 0.75}
    assert steps(mlflow_client, tracked, "train/loss") == [0, 1]
    assert {name: tracked.data.tags[name] for name in FACTS.tags} == FACTS.tags
    assert tracked.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert tracked.data.tags["stopped"] == "budget"
    assert artifacts(mlflow_client, tracked) == ["class_slugs.json", "params.yaml", "plots"]
    assert artifacts(mlflow_client, tracked, "plots") == ["plots/loss.csv"]
    slugs = Path(mlflow_client.download_artifacts(tracked.info.run_id, "class_slugs.json")).read_text()
    assert json.loads(slugs) == {"background": "background", "Traffic Light": "traffic_light"}
    assert not list(Path(".segpipe/tracking").glob("*.jsonl"))


def test_scores_of_classes_whose_names_mlflow_refuses_are_stored(mlflow_client, caplog):
    facts = replace(FACTS, params={"ingest": {"classes": dict.fromkeys(HARD, "thing")}}, classes=HARD)
    with open_training(facts, SETTINGS) as run:
        run.log_metrics({"epoch": {"loss": 1.0, "val_iou": dict.fromkeys(HARD, 0.5)}}, step=1)
    tracked = only_run(mlflow_client)
    assert tracked.info.status == "FINISHED"
    assert len(tracked.data.params) == len(HARD)
    assert len(tracked.data.metrics) == 1 + len(HARD)
    assert not caplog.records


def test_only_the_refused_names_are_left_out_each_with_one_warning(mlflow_client, caplog):
    with open_training(FACTS, SETTINGS) as run:
        for epoch in (1, 2):
            run.log_metrics({"loss": 1.0, "x" * 251: 2.0, "miou": 0.5}, step=epoch)
        run.set_tags({"a": "1", "b?": "2", "c": "3"})
    tracked = only_run(mlflow_client)
    assert tracked.info.status == "FINISHED"
    assert tracked.data.metrics == {"loss": 1.0, "miou": 0.5}
    assert [tracked.data.tags.get(name) for name in ("a", "b?", "c")] == ["1", None, "3"]
    lines = [record.getMessage().partition(";")[0] for record in caplog.records]
    assert lines == [f"tracking: mlflow refuses {'x' * 251}", "tracking: mlflow refuses b?"]


def test_a_run_without_a_place_for_artifacts_has_its_numbers_and_its_end(mlflow_client, caplog):
    Path("mlartifacts").write_text("a file in the place of the folder")
    Path("params.yaml").write_text("seed: 7\n")
    with open_training(FACTS, SETTINGS) as run:
        run.log_metrics({"loss": 1.0}, step=1)
        for _ in range(3):
            run.log_file(Path("params.yaml"))
        run.log_metrics({"miou": 0.5})
    tracked = only_run(mlflow_client)
    assert (tracked.info.status, tracked.data.metrics) == ("FINISHED", {"loss": 1.0, "miou": 0.5})
    [spool] = Path(".segpipe/tracking").glob("*.jsonl")
    assert [json.loads(line)["kind"] for line in spool.read_text().splitlines()] == ["File"] * 4
    assert len(caplog.records) == 1


def pictures(client, run):
    """Name and step of each picture that MLflow's pages show."""
    names = [Path(path).name.split("+") for path in artifacts(client, run, "images") if path.endswith(".png")]
    return sorted((name, int(step)) for name, _, step, *_ in names)


def log_steps(run: Run, first: int, losses: list[float]) -> None:
    run.log_steps({"step/loss": losses, "step/lr": [0.5] * len(losses)}, first=first)


def test_steps_and_pictures_that_are_logged_again_are_stored_once(mlflow_client):
    Image.new("RGB", (4, 3)).save("sheet.png")

    def stopped() -> None:
        with open_training(FACTS, SETTINGS) as run:
            log_steps(run, 1, [4.0, math.nan, 3.0])
            run.log_picture(Path("sheet.png"), "predictions", step=1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with open_training(FACTS, SETTINGS) as run:
        log_steps(run, 1, [4.0, math.nan, 3.0, 2.0])
        log_steps(run, 4, [2.0, 1.0])
        for epoch in (1, 2, 2):
            run.log_picture(Path("sheet.png"), "predictions", step=epoch)
    tracked = only_run(mlflow_client)
    history = mlflow_client.get_metric_history(tracked.info.run_id, "step/loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 4.0), (3, 3.0), (4, 2.0), (5, 1.0)]
    assert steps(mlflow_client, tracked, "step/lr") == [1, 2, 3, 4, 5]
    assert pictures(mlflow_client, tracked) == [("predictions", 1), ("predictions", 2)]


def test_more_than_a_thousand_steps_are_stored(mlflow_client):
    with open_training(FACTS, SETTINGS) as run:
        log_steps(run, 1, [float(i) for i in range(1200)])
    assert steps(mlflow_client, only_run(mlflow_client), "step/loss") == list(range(1, 1201))


def test_artifacts_are_in_a_folder_beside_the_database(mlflow_client, workplace):
    with open_training(FACTS, SETTINGS):
        pass
    assert only_run(mlflow_client).info.artifact_uri.startswith((workplace / "mlartifacts" / "shapes").as_uri())


def test_a_copied_project_does_not_change_the_artifacts_of_the_original(mlflow_client, workplace, monkeypatch, caplog):
    for experiment in ("shapes", "shapes_2"):
        with open_training(FACTS, Tracking(experiment=experiment)) as run:
            run.log_metrics({"loss": 1.0}, step=0)
    before = sorted(Path("mlartifacts").rglob("*"))
    first = only_run(mlflow_client).info.run_id
    copy = workplace / "a copy_1"
    shutil.copytree(workplace, copy)
    monkeypatch.chdir(copy)
    caplog.set_level(logging.INFO)
    with open_training(replace(FACTS, inputs="other"), SETTINGS) as run:
        run.log_metrics({"loss": 1.0}, step=0)
    here = (copy / "mlartifacts" / "shapes").as_uri()
    client = type(mlflow_client)(f"sqlite:///{copy}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("shapes").experiment_id])
    assert sorted(run.info.artifact_uri for run in runs) == sorted(
        f"{here}/{run.info.run_id}/artifacts" for run in runs
    )
    assert first in [run.info.run_id for run in runs]
    assert len(list((copy / "mlartifacts" / "shapes").glob("*/artifacts/class_slugs.json"))) == 2
    assert client.get_experiment_by_name("shapes_2").artifact_location == (workplace / "mlartifacts/shapes_2").as_uri()
    monkeypatch.chdir(workplace)
    assert sorted(Path("mlartifacts").rglob("*")) == before
    lines = [record.getMessage() for record in caplog.records if "copied" in record.getMessage()]
    assert lines == [
        "tracking: the project was copied or moved; its artifacts are now in this folder, "
        f"not in {(workplace / 'mlartifacts/shapes').as_uri()}"
    ]


def test_a_missing_file_gives_a_warning_and_stops_nothing(mlflow_client, caplog):
    with open_training(FACTS, SETTINGS) as run:
        run.log_file(Path("results/data_report.html"))
    assert only_run(mlflow_client).info.status == "FINISHED"
    assert [record.getMessage() for record in caplog.records] == [
        "tracking: results/data_report.html does not exist, so it is not stored with the run"
    ]


def test_a_run_does_not_change_the_state_of_random_generators(mlflow_client):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    Path("model.pt").write_bytes(b"weights")
    with open_training(FACTS, SETTINGS) as run:
        run.log_metrics({"loss": 1.0}, step=0)
        run.log_model(Path("model.pt"))
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before


def train_until(error: type[BaseException], epochs: int) -> None:
    """A training whose losses are 2, 1, 0, ... and that raises `error` after `epochs` epochs."""

    def train() -> None:
        with open_training(FACTS, SETTINGS) as run:
            for epoch in range(epochs):
                run.log_metrics({"loss": 2.0 - epoch}, step=epoch)
            raise error

    with pytest.raises(error):
        train()


def test_a_stopped_training_continues_its_run(mlflow_client):
    train_until(KeyboardInterrupt, epochs=2)
    assert only_run(mlflow_client).info.status == "KILLED"

    changed = RunFacts(
        name="unet",
        inputs=FACTS.inputs,
        params={"seed": 7, "train": {"lr": 0.5}, "new": 1},
        tags={"git.commit": "d" * 40},
        classes=FACTS.classes,
    )
    with open_training(changed, SETTINGS) as run:
        for epoch in range(3):  # the first two again, from the checkpoint
            run.log_metrics({"loss": 2.0 - epoch}, step=epoch)

    tracked = only_run(mlflow_client)
    assert tracked.info.status == "FINISHED"
    assert steps(mlflow_client, tracked, "loss") == [0, 1, 2]
    assert (tracked.data.params["train.lr"], tracked.data.params["new"]) == ("0.001", "1")
    assert tracked.data.tags["drift"] == f"train.lr: 0.001 -> 0.5; git.commit: {'c' * 40} -> {'d' * 40}"


def test_the_run_of_a_failed_training_is_failed(mlflow_client):
    train_until(ZeroDivisionError, epochs=0)
    assert only_run(mlflow_client).info.status == "FAILED"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_stopped_by_a_signal_is_killed_not_failed(mlflow_client, number):
    data, recipe = tiny.data(), tiny.recipe()

    def train() -> None:
        training = loop.fit(tiny.segmenter(), data, recipe, Path("checkpoints"), "abc", tiny.CPU)
        with open_training(FACTS, SETTINGS) as run:
            for event in training:
                if monitor.follow([event], run, data, Path("sheets")):  # at the end of an epoch
                    os.kill(os.getpid(), number)

    with pytest.raises(StoppedError, match=rf"stopped by {number.name} after step 0; run it again to continue from"):
        train()
    assert Path("checkpoints/abc.pt").is_file()
    assert only_run(mlflow_client).info.status == "KILLED"


def test_a_training_killed_before_it_stored_the_run_id_continues_its_run(mlflow_client):
    train_until(KeyboardInterrupt, epochs=1)
    [record] = Path(".segpipe/tracking").glob("*.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"ids": {}}))
    with open_training(FACTS, SETTINGS) as run:
        for epoch in range(2):
            run.log_metrics({"loss": 2.0 - epoch}, step=epoch)
    assert steps(mlflow_client, only_run(mlflow_client), "loss") == [0, 1]


def test_a_stage_killed_after_the_training_continues_the_finished_run(mlflow_client):
    Path("model.pt").write_bytes(b"weights")
    for is_known in (False, True):  # DVC does not know that the stage ended, and runs it again
        with open_training(FACTS, SETTINGS, is_known) as run:
            run.log_metrics({"loss": 2.0}, step=0)
            run.log_model(Path("model.pt"))
    tracked = only_run(mlflow_client)
    assert (tracked.info.status, steps(mlflow_client, tracked, "loss")) == ("FINISHED", [0])
    assert len(tracked.outputs.model_outputs) == 1


def test_a_new_training_of_equal_inputs_is_another_run(mlflow_client):
    for _ in range(2):
        with open_training(FACTS, SETTINGS):
            pass
    assert len(mlflow_client.search_runs([mlflow_client.get_experiment_by_name("shapes").experiment_id])) == 2


def test_a_run_that_was_deleted_begins_again(mlflow_client):
    train_until(ZeroDivisionError, epochs=1)
    mlflow_client.delete_run(only_run(mlflow_client).info.run_id)
    with open_training(FACTS, SETTINGS) as run:
        run.log_metrics({"loss": 2.0}, step=0)
    assert steps(mlflow_client, only_run(mlflow_client), "loss") == [0]


def test_an_experiment_that_was_deleted_is_restored(mlflow_client):
    mlflow_client.delete_experiment(mlflow_client.create_experiment("shapes"))
    with open_training(FACTS, SETTINGS):
        pass
    assert only_run(mlflow_client).info.status == "FINISHED"


def tag_model(client, model: Path) -> str:
    """Create a run that trained `model`, as another machine would; return its id."""
    experiment = client.get_experiment_by_name("shapes")
    experiment_id = experiment.experiment_id if experiment else client.create_experiment("shapes")
    run_id = client.create_run(experiment_id, run_name="elsewhere").info.run_id
    client.set_tag(run_id, "model_md5", provenance.md5_of(model))
    client.set_terminated(run_id)
    return run_id


def test_later_stages_find_the_run_by_the_model(mlflow_client):
    model = Path("model.pt")
    model.write_bytes(b"weights")
    run_id = tag_model(mlflow_client, model)
    Path("sheet.png").write_bytes(b"png")
    ended = mlflow_client.get_run(run_id).info.end_time
    with open_trained(model, ("background", "Traffic Light"), SETTINGS) as run:
        run.log_metrics({"test": {"iou": {"Traffic Light": 0.5}}})
        run.log_file(Path("sheet.png"), "samples")
    tracked = only_run(mlflow_client)
    assert tracked.info.run_id == run_id
    assert tracked.data.metrics == {"test/iou/traffic_light": 0.5}
    assert artifacts(mlflow_client, tracked, "samples") == ["samples/sheet.png"]
    assert (tracked.info.status, tracked.info.end_time) == ("FINISHED", ended)


def test_a_model_without_a_run_gets_no_new_run(mlflow_client, caplog):
    Path("model.pt").write_bytes(b"weights")
    with open_trained(Path("model.pt"), (), SETTINGS) as run:
        run.log_metrics({"test/miou": 0.5})
    assert mlflow_client.get_experiment_by_name("shapes") is None
    assert "no run of experiment 'shapes' has trained model" in caplog.text
    assert not list(Path(".segpipe/tracking").glob("*.jsonl"))


def test_without_trackers_nothing_is_written(workplace):
    with open_training(FACTS, Tracking(experiment="shapes", mlflow=False)) as run:
        run.log_metrics({"loss": 1.0}, step=0)
    assert not Path("mlflow.db").exists()


def is_mlflow_worker(thread: threading.Thread) -> bool:
    return thread.name == "tracking-mlflow"


@pytest.fixture
def silent_server():
    """The URI of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        stop = threading.Event()
        connections = []

        def accept() -> None:
            while not stop.is_set():
                try:
                    connections.append(server.accept())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        stop.set()
        thread.join()
        for connection, _ in connections:
            connection.close()
        for worker in filter(is_mlflow_worker, threading.enumerate()):
            worker.join(10)


def log_epochs(uri: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that is not ended yet, with 100 epochs logged, where the server at `uri` is down or does not answer."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run = open_training(FACTS, SETTINGS)
    for epoch in range(100):
        run.log_metrics({"loss": 1.0}, step=epoch)
        log_steps(run, 2 * epoch + 1, [1.0, math.nan])
        run.log_picture(Path("sheet.png"), "predictions", step=epoch)
    return run


def is_waiting_for_mlflow() -> bool:
    return any(map(is_mlflow_worker, threading.enumerate()))


def spooled_epochs() -> list[int]:
    [spool] = Path(".segpipe/tracking").glob("*.jsonl")
    lines = [json.loads(line) for line in spool.read_text().splitlines()]
    assert lines[0]["kind"] == "Start"
    assert lines[-1] == {"tracker": "mlflow", "kind": "End", "status": "FINISHED"}
    of_kind = {kind: [line for line in lines if line["kind"] == kind] for kind in ("Metrics", "StepMetrics", "Picture")}
    assert [line["first"] for line in of_kind["StepMetrics"]] == list(range(1, 201, 2))
    assert of_kind["StepMetrics"][0]["curves"] == {"step/loss": [1.0, "nan"], "step/lr": [0.5, 0.5]}
    assert [line["step"] for line in of_kind["Picture"]] == list(range(100))
    return [line["step"] for line in of_kind["Metrics"] if line["values"] == {"loss": 1.0}]


def test_a_dead_server_stops_nothing_and_no_data_is_lost(workplace, monkeypatch, caplog):
    log_epochs("http://127.0.0.1:9", monkeypatch).end("FINISHED", wait_s=600)
    assert not is_waiting_for_mlflow()
    assert spooled_epochs() == list(range(100))
    assert len(caplog.records) == 1
    assert "unsent data is in .segpipe/tracking/unet-abcdef12.jsonl" in caplog.text


def test_a_server_that_does_not_answer_stops_nothing_and_no_data_is_lost(workplace, silent_server, monkeypatch, caplog):
    log_epochs(silent_server, monkeypatch).end("FINISHED", wait_s=600)  # it ends after the client's timeout of 1 s
    assert not is_waiting_for_mlflow()
    assert spooled_epochs() == list(range(100))
    assert len(caplog.records) == 1


def test_the_end_waits_no_longer_than_the_limit(workplace, silent_server, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    run = log_epochs(silent_server, monkeypatch)
    run.end("FINISHED", wait_s=0.5)
    assert is_waiting_for_mlflow()  # in its first request: neither logging nor the end waited for it
    assert spooled_epochs() == list(range(100))
    assert len(caplog.records) == 1


@pytest.mark.parametrize("again", [False, True])
def test_ctrl_c_once_waits_a_moment_for_a_silent_server_and_twice_not_at_all(
    workplace, silent_server, monkeypatch, again
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent_server)
    run = open_training(FACTS, SETTINGS, timeouts=Timeouts(end_s=600, killed_s=600 if again else 0.5))
    run.log_metrics({"loss": 1.0}, step=0)

    def stop() -> None:
        if again:
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        raise StoppedError("stopped by SIGINT after step 1")

    with pytest.raises(KeyboardInterrupt if again else StoppedError), run:
        stop()
    assert is_waiting_for_mlflow()
    [spool] = Path(".segpipe/tracking").glob("*.jsonl")
    lines = [json.loads(line) for line in spool.read_text().splitlines()]
    assert [line.get("status") or line["kind"] for line in lines] == ["Start", "File", "Metrics", "KILLED"]


def test_data_that_a_dead_server_missed_is_sent_by_the_evaluation(mlflow_client, monkeypatch):
    Path("params.yaml").write_text("seed: 7\n")
    Path("model.pt").write_bytes(b"weights")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with open_training(FACTS, SETTINGS) as run:
        run.log_metrics({"loss": 1.0}, step=0)
        log_steps(run, 1, [2.0, 1.0])
        log_steps(run, 2, [1.0])  # a training that was killed logs the steps after its checkpoint again
        run.log_file(Path("params.yaml"))
        run.log_model(Path("model.pt"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with open_trained(Path("model.pt"), FACTS.classes, SETTINGS) as run:
        run.log_metrics({"test/miou": 0.5})
    tracked = only_run(mlflow_client)
    assert tracked.info.status == "FINISHED"
    assert tracked.data.metrics == {"loss": 1.0, "step/loss": 1.0, "step/lr": 0.5, "test/miou": 0.5}
    assert steps(mlflow_client, tracked, "step/loss") == [1, 2]
    assert tracked.data.tags["model_md5"] == provenance.md5_of(Path("model.pt"))
    assert not list(Path(".segpipe/tracking").glob("*.jsonl"))


def test_environment_variables_of_the_user_are_kept(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    mlflow_setup.prepare()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


@pytest.fixture(autouse=True)
def _log_warnings_only(caplog):
    caplog.set_level(logging.WARNING)
