from segpipe.tracking.run_ids import RunRecords


def test_a_training_of_the_same_inputs_goes_on_in_its_run_until_it_is_finished(tmp_path):
    note = RunRecords(tmp_path).for_training("Unet B0", "abcdef1234")
    assert note.run == "unet_b0-abcdef12"
    RunRecords(tmp_path).set_id(note, "mlflow", "17")
    again = RunRecords(tmp_path).for_training("Unet B0", "abcdef1234")
    assert (again.run, again.ids) == (note.run, {"mlflow": "17"})

    RunRecords(tmp_path).set_finished(note)
    assert RunRecords(tmp_path).for_training("Unet B0", "abcdef1234").run == "unet_b0-abcdef12-2"


def test_other_inputs_are_another_run(tmp_path):
    first = RunRecords(tmp_path).for_training("unet", "aaaaaaaaaa")
    assert RunRecords(tmp_path).for_training("unet", "bbbbbbbbbb").run != first.run


def test_a_model_leads_to_the_newest_run_that_trained_it(tmp_path):
    notes = RunRecords(tmp_path)
    for inputs in ("z" * 8, "a" * 8):  # the names do not sort in the order of the runs
        note = notes.for_training("unet", inputs)
        notes.set_model(note, "0" * 32)
        notes.set_finished(note)
    assert notes.of_model("0" * 32).run == "unet-aaaaaaaa"


def test_a_model_from_elsewhere_has_a_note_of_its_own(tmp_path):
    assert RunRecords(tmp_path).of_model("12345678" + "0" * 24).run == "model-12345678"


def test_a_broken_note_is_no_run(tmp_path):
    note = RunRecords(tmp_path).for_training("unet", "abcdef1234")
    (tmp_path / f"{note.run}.json").write_text("{")
    assert RunRecords(tmp_path).for_training("unet", "abcdef1234").ids == {}
