"""Where runs are written down: MLflow, TensorBoard, W&B."""
