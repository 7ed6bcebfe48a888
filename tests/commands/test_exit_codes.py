"""The exit code of `segpipe`."""

import sys

import pytest

from segpipe.__main__ import main
from segpipe.commands import forecast
from segpipe.core.errors import UserError


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_of_started_processes_is_passed_on(code, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(forecast, "run", lambda options: sys.exit(code))
    assert main(["forecast"]) == code


def test_a_user_error_is_one_line_and_exit_code_1(monkeypatch, tmp_path, capsys):
    def fail(options):
        raise UserError("params.yaml: no such file")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(forecast, "run", fail)
    assert main(["forecast"]) == 1
    assert capsys.readouterr().err == "segpipe forecast: params.yaml: no such file\n"
