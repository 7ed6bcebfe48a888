"""The stage split: images assigned to train, val and test."""
