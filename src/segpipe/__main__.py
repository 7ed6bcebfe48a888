"""The command `segpipe`, also `python -m segpipe`. Each subcommand is a module of segpipe.commands.

A subcommand's module is light: slow imports, such as torch, are in its `run`, so `--help` is fast.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import segpipe.core.interrupts  # noqa: F401 - Ctrl-C is one line from here on
from segpipe.commands import check, convert, demo, explain, forecast, pin, use_preset
from segpipe.core import command


class Command(Protocol):
    """A module of segpipe.commands. The first line of its docstring is the help text, the second an example."""

    __doc__: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of the subcommand."""

    def run(self, options: argparse.Namespace) -> None:
        """Do the work. Raises UserError."""


COMMANDS: dict[str, Command] = {
    "check": check,
    "forecast": forecast,
    "pin": pin,
    "use-preset": use_preset,
    "explain": explain,
    "convert": convert,
    "demo": demo,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code: 0, or 1 after one line on stderr if something is wrong."""
    _run_the_code_of_this_folder()
    options = _parser().parse_args(arguments)
    try:
        command.run(lambda: COMMANDS[options.command].run(options), prefix=f"segpipe {options.command}")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0  # 0: the processes that `segpipe forecast` started have ended well
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="segpipe",
        description="Tools around the pipeline. The pipeline itself runs with `dvc repro`.",
        epilog="`segpipe COMMAND --help` lists the options of a command.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary, _, example, *_ = module.__doc__.splitlines()
        text = f"{summary} {example}"
        module.add_arguments(commands.add_parser(name, help=text, description=text))
    return parser


def _run_the_code_of_this_folder() -> None:
    """Start again with the code of the project in the current folder, if another copy of it is installed."""
    source = Path("src").resolve()
    if not (source / "segpipe/__main__.py").is_file() or source == Path(__file__).resolve().parent.parent:
        return
    first, *others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if first == str(source):
        sys.exit(f"segpipe: the code comes from {Path(__file__).parent}, not from {source}; run `make setup` here")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(source), first, *others]))
    os.execv(sys.executable, [sys.executable, "-m", "segpipe", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
