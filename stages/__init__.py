"""The pipeline, one thin file per stage, each run as `python -m stages.<name>`."""
