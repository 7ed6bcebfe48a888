"""Loss, schedule, budget, one epoch, the loop, resume."""
