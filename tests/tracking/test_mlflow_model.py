"""The logged model, loaded by MLflow in another process."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.inference.predict import predict
from segpipe.models import model_file
from segpipe.models.segmenter import Segmenter, build_segmenter
from segpipe.tracking.run import open_training
from segpipe.tracking.settings import Tracking
from segpipe.tracking.tracker import RunFacts

LOAD_AND_PREDICT = """
import sys, numpy, mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
numpy.save("label_maps.npy", model.predict(numpy.load("images.npy")))
import segpipe
print(segpipe.__file__)
"""


def small_model(path: Path) -> tuple[Segmenter, model_file.ModelCard]:
    """A network with random weights, saved and in eval mode."""
    encoder = "tu-mobilenetv3_small_050"
    segmenter = build_segmenter("unet", encoder, num_classes=3, seen=(True, True, True)).eval()
    card = model_file.ModelCard(
        architecture="unet",
        encoder=encoder,
        classes=("background", "a", "b"),
        seen=(True, True, True),
        fit_mode="letterbox",
        size_hw=(32, 32),
        mean=segmenter.mean,
        std=segmenter.std,
    )
    model_file.save(path, segmenter, card)
    return segmenter, card


@pytest.mark.slow
def test_the_logged_model_predicts_in_a_process_without_the_project(mlflow_client, workplace):
    segmenter, card = small_model(Path("model.pt"))
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 56, 3), dtype=np.uint8)
    np.save("images.npy", images)
    with open_training(RunFacts(name="unet", inputs="a" * 8), Tracking(experiment="shapes")) as run:
        run.log_model(Path("model.pt"))
    [run] = mlflow_client.search_runs([mlflow_client.get_experiment_by_name("shapes").experiment_id])
    Path("model.pt").unlink()

    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{workplace}/mlflow.db", "PYTHONPATH": ""}
    uri = f"runs:/{run.info.run_id}/model"
    done = subprocess.run(
        [sys.executable, "-c", LOAD_AND_PREDICT, uri], cwd=workplace, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    label_maps = np.load("label_maps.npy")
    assert label_maps.dtype == np.uint8
    np.testing.assert_array_equal(label_maps, np.stack(predict(segmenter, card, list(images), torch.device("cpu"))))
    assert Path(done.stdout.strip()).parts[-3:] == ("code", "segpipe", "__init__.py")  # the code stored with the model


def test_the_logged_model_names_its_inputs_outputs_and_requirements(mlflow_client, workplace):
    from mlflow.models import Model

    small_model(Path("model.pt"))
    with open_training(RunFacts(name="unet", inputs="a" * 8), Tracking(experiment="shapes")) as run:
        run.log_model(Path("model.pt"))
    [folder] = workplace.glob("mlartifacts/shapes/models/*/artifacts")
    signature = Model.load(str(folder)).signature
    assert [(spec.type, spec.shape) for spec in signature.inputs] == [(np.dtype(np.uint8), (-1, -1, -1, 3))]
    assert [(spec.type, spec.shape) for spec in signature.outputs] == [(np.dtype(np.uint8), (-1, -1, -1))]
    requirements = (folder / "requirements.txt").read_text().split()
    assert [line.split("==")[0] for line in requirements] == [
        *("mlflow", "numpy", "pillow", "segmentation-models-pytorch", "timm", "torch", "torchvision")
    ]
    assert not list(folder.rglob("__pycache__"))


def test_a_damaged_model_file_is_not_served(workplace):
    from segpipe.tracking.mlflow_served import ServedModel

    small_model(Path("model.pt"))
    content = bytearray(Path("model.pt").read_bytes())
    content[len(content) // 2] ^= 1
    Path("model.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"^model\.pt: damaged, or not a segpipe model file "):
        ServedModel().load_context(SimpleNamespace(artifacts={"model": "model.pt"}))
