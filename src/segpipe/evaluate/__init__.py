"""The stage evaluate: confusion matrix and scores."""
