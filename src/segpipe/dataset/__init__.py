"""What was kept and why, and the files between stages."""
