"""Experiment tracking: runs in MLflow, TensorBoard and W&B."""
