"""The command `explain`: the path of one record through the pipeline, and a picture of it."""
