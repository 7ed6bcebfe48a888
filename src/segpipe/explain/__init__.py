"""`python -m segpipe explain`: what became of one record, and why."""
