"""Confusion matrix, scores, the report."""
