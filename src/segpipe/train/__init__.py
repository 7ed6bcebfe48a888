"""The stage train: loss, schedule, budget, epochs, checkpoints."""
