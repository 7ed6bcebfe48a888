"""The code with which MLflow loads and serves a logged model (MLflow: "models from code")."""

from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import torch
from mlflow.models import set_model

from segpipe.inference.predict import predict
from segpipe.models import model_file


class ServedModel(mlflow.pyfunc.PythonModel):
    """A model from uint8 RGB images (N, H, W, 3) of any size to uint8 label maps (N, H, W)."""

    def load_context(self, context: Any) -> None:
        """Load the model file that was logged."""
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._segmenter, self._card = model_file.load(Path(context.artifacts["model"]), self._device)

    def predict(self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None) -> np.ndarray:
        """The label maps of a batch of images, uint8 (N, H, W); model_input: uint8 (N, H, W, 3) RGB."""
        return np.stack(predict(self._segmenter, self._card, list(model_input), self._device))


set_model(ServedModel())
