from segpipe.tracking.run_ids import RunRecords


def test_a_training_of_equal_inputs_continues_its_run_until_it_is_finished(tmp_path):
    record = RunRecords(tmp_path).for_training("Unet B0", "abcdef1234")
    assert record.run == "unet_b0-abcdef12"
    RunRecords(tmp_path).set_id(record, "mlflow", "17")
    again = RunRecords(tmp_path).for_training("Unet B0", "abcdef1234")
    assert (again.run, again.ids) == (record.run, {"mlflow": "17"})

    RunRecords(tmp_path).set_finished(record)
    assert RunRecords(tmp_path).for_training("Unet B0", "abcdef1234").run == "unet_b0-abcdef12-2"


def test_different_inputs_are_another_run(tmp_path):
    first = RunRecords(tmp_path).for_training("unet", "aaaaaaaaaa")
    assert RunRecords(tmp_path).for_training("unet", "bbbbbbbbbb").run != first.run


def test_of_model_is_the_newest_run_that_trained_the_model(tmp_path):
    records = RunRecords(tmp_path)
    for inputs in ("z" * 8, "a" * 8):  # in the order of the runs, not of the names
        record = records.for_training("unet", inputs)
        records.set_model(record, "0" * 32)
        records.set_finished(record)
    assert records.of_model("0" * 32).run == "unet-aaaaaaaa"


def test_an_unknown_model_gets_a_new_record(tmp_path):
    assert RunRecords(tmp_path).of_model("12345678" + "0" * 24).run == "model-12345678"


def test_an_unreadable_record_is_ignored(tmp_path):
    record = RunRecords(tmp_path).for_training("unet", "abcdef1234")
    (tmp_path / f"{record.run}.json").write_text("{")
    assert RunRecords(tmp_path).for_training("unet", "abcdef1234").ids == {}
