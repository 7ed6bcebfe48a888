import pytest

from stages import params, training_setup


@pytest.fixture
def inputs_with(tmp_path, monkeypatch):
    """The name that training gives its checkpoint with some settings of train changed."""
    own = params.load()
    monkeypatch.chdir(tmp_path)
    training_setup.STORE.mkdir(parents=True)
    for path in (training_setup.STORE / "images.npy", training_setup.SPLITS):
        path.write_bytes(b"the same")

    def inputs(**changes: object) -> str:
        return training_setup.inputs(own.model_copy(update={"train": own.train.model_copy(update=changes)}))

    return inputs


@pytest.mark.parametrize("change", [{"flip_test": True}, {"budget_hours": 1.0}, {"device": "cpu"}])
def test_a_setting_that_changes_no_weight_leaves_a_finished_training_finished(inputs_with, change):
    assert inputs_with(**change) == inputs_with()


@pytest.mark.parametrize("change", [{"lr": 0.5}, {"epochs": 3}, {"ema_decay": 0.5}])
def test_a_setting_that_changes_the_weights_starts_afresh(inputs_with, change):
    assert inputs_with(**change) != inputs_with()


def test_the_budget_decides_where_the_epochs_fill_it(inputs_with):
    assert inputs_with(epochs="auto", budget_hours=1.0) != inputs_with(epochs="auto", budget_hours=2.0)
