import dataclasses

from segpipe.train import history
from tests.train.test_progress import RECORD


def test_curves_have_a_row_an_epoch_and_nothing_where_nothing_was_measured(tmp_path):
    history.write_curves(tmp_path / "a.csv", [RECORD, dataclasses.replace(RECORD, epoch=2, val_loss=0.75)])
    assert (tmp_path / "a.csv").read_text() == (
        "epoch,train_loss,val_loss,val_miou,lr\n1,1.25,,0.5,0.001\n2,1.25,0.75,0.5,0.001\n"
    )


def test_class_curves_have_a_row_for_each_class_that_has_a_score(tmp_path):
    records = [dataclasses.replace(RECORD, val_iou={"sky, blue": 0.5, "road": 0.25})]
    history.write_class_curves(tmp_path / "a.csv", records)
    assert (tmp_path / "a.csv").read_text() == 'epoch,class,iou\n1,"sky, blue",0.5\n1,road,0.25\n'
