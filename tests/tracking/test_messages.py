import math

import pytest

from segpipe.tracking import messages
from segpipe.tracking.messages import End, File, Find, Metrics, Model, Picture, Spool, Start, StepMetrics, Tags
from segpipe.tracking.tracker import RunFacts

ONE_OF_EACH_KIND = [
    Start(run=RunFacts(name="a", inputs="b", params={"c": {"d": 1}}, tags={"e": "f"}, classes=("g", "车", "\ud800"))),
    Find(model_md5="0" * 32),
    Metrics(values={"loss": 0.5}, step=3, time_ms=1),
    Metrics(values={"miou": 0.5}, step=None, time_ms=2),
    StepMetrics(curves={"step/loss": [0.5, 0.25], "step/lr": [0.1, 0.2]}, first=7, time_ms=3),
    Picture(path="a/b.png", name="predictions", step=2, time_ms=4),
    File(path="a/b.png", folder="sheets"),
    Model(path="models/model.pt", md5="0" * 32),
    Tags(tags={"a": "b"}),
    End(status="FINISHED"),
]


@pytest.mark.parametrize("message", ONE_OF_EACH_KIND)
def test_every_message_can_be_read_from_its_line(message):
    line = messages.to_line("mlflow", message)
    assert "\n" not in line
    assert line.isascii()  # also with a lone surrogate, which UTF-8 cannot encode
    assert messages.from_line(line) == ("mlflow", message)


def test_nan_and_infinity_can_be_read_from_a_line():
    line = messages.to_line("mlflow", Metrics(values={"loss": math.nan, "max": math.inf}, step=0, time_ms=0))
    assert '"nan"' in line
    _, message = messages.from_line(line)
    assert math.isnan(message.values["loss"])
    assert message.values["max"] == math.inf
    line = messages.to_line("mlflow", StepMetrics(curves={"loss": [math.nan, 0.5]}, first=1, time_ms=0))
    _, steps = messages.from_line(line)
    assert math.isnan(steps.curves["loss"][0])
    assert steps.curves["loss"][1] == 0.5


def test_a_spool_file_exists_only_while_it_has_messages(tmp_path):
    spool = Spool(tmp_path / "run.jsonl")
    first, second = spool.number(), spool.number()
    spool.add(first, "mlflow", Tags(tags={"a": "b"}))
    spool.add(second, "wandb", Tags(tags={"a": "c"}))
    spool.add(second, "wandb", Tags(tags={"a": "c"}))  # the second time changes nothing
    assert len(spool.path.read_text().splitlines()) == 2
    spool.drop({first})
    assert Spool(spool.path).of("mlflow") == []
    assert [message for _, message in Spool(spool.path).of("wandb")] == [Tags(tags={"a": "c"})]
    spool.drop({second})
    assert not spool.path.exists()


def test_a_message_that_was_dropped_is_not_written_later(tmp_path):
    spool = Spool(tmp_path / "run.jsonl")
    number = spool.number()
    spool.drop({number})
    spool.add(number, "mlflow", Tags(tags={}))
    assert not spool.path.exists()


def test_a_line_cut_short_by_a_kill_is_the_only_line_lost(tmp_path, caplog):
    path = tmp_path / "run.jsonl"
    path.write_text(messages.to_line("mlflow", Tags(tags={"a": "b"})) + '\n{"tracker": "mlf')
    spool = Spool(path)
    assert [message for _, message in spool.of("mlflow")] == [Tags(tags={"a": "b"})]
    assert "a line cannot be read" in caplog.text
    spool.add(spool.number(), "mlflow", Tags(tags={"c": "d"}))
    assert len(Spool(path).of("mlflow")) == 2
