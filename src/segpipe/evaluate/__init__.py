"""Evaluation: scores from the pixels of true and predicted label maps."""
