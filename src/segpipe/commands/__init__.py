"""The subcommands of `segpipe` that work on a project folder."""
