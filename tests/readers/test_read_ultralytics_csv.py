"""`results.csv` of Ultralytics: the loss is the sum of its parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftadvise.readers import read
from ftadvise.readers.table_logs import ultralytics_csv
from ftadvise.testing import check_reader

GOOD = Path(__file__).parent / "good" / "ultralytics_csv"
HEADER = "epoch,train/box_loss,train/cls_loss,metrics/mAP50(B),val/box_loss,val/cls_loss,lr/pg0"


def written(folder: Path, *rows: str) -> Path:
    path = folder / "results.csv"
    path.write_text("\n".join(",".join(f"{c:>22}" for c in r.split(",")) for r in rows) + "\n")
    return path


def test_the_parts_are_summed_and_it_is_said(tmp_path: Path) -> None:
    run = read(written(tmp_path, HEADER, "1,2,0.5,0,3,0.5,0.1", "2,1,0.25,0,2,0.25,0.2"))
    assert run.source.format == "ultralytics_csv"
    assert (run.train.key, run.train.loss.tolist()) == (
        "train/box_loss + train/cls_loss",
        [2.5, 1.25],
    )
    assert (run.eval.key, run.eval.loss.tolist()) == ("val/box_loss + val/cls_loss", [3.5, 2.25])
    assert run.train.epoch.tolist() == [1, 2]
    assert run.lr.rate.tolist() == [0.1, 0.2]
    assert any("sum of box_loss, cls_loss" in note for note in run.notes)


def test_a_part_can_be_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, "1,2,0.5,0,3,0.5,0.1", "2,1,0.25,0,2,0.25,0.2")
    run = read(path, key="train/cls_loss", eval_key="val/cls_loss")
    assert (run.train.loss.tolist(), run.eval.loss.tolist()) == ([0.5, 0.25], [0.5, 0.25])


def test_a_part_without_a_partner_is_left_out_of_both_sums(tmp_path: Path) -> None:
    header = "epoch,train/box_loss,train/cls_loss,train/aux_loss,val/box_loss,val/cls_loss,lr/pg0"
    run = read(written(tmp_path, header, "1,2,1,9,3,1,0.1", "2,1,1,9,2,1,0.1"))
    assert run.train.loss.tolist() == [3, 2]
    assert any("aux_loss is left out" in note for note in run.notes)


def test_nan_in_a_part_is_nan_in_the_sum(tmp_path: Path) -> None:
    run = read(written(tmp_path, HEADER, "1,2,1,0,nan,nan,0.1", "2,1,1,0,nan,nan,0.1"))
    assert np.isnan(run.eval.loss).all()
    assert run.nonfinite == {"val/box_loss + val/cls_loss": 2}


def test_version_5_counts_epochs_from_zero(tmp_path: Path) -> None:
    header = "epoch,train/box_loss,train/obj_loss,metrics/recall,val/box_loss,val/obj_loss,x/lr0"
    run = read(written(tmp_path, header, "0,2,1,0,3,1,0.1", "1,1,1,0,2,1,0.1"))
    assert run.train.epoch.tolist() == [1, 2]
    assert run.train.loss.tolist() == [3, 2]


def test_version_5_pads_its_columns_and_names_a_range_of_thresholds(tmp_path: Path) -> None:
    names = ["epoch", "train/box_loss", "train/obj_loss", "metrics/mAP_0.5"]
    names += ["metrics/mAP_0.5:0.95", "val/box_loss", "val/obj_loss", "x/lr0"]
    rows = [["0", "2", "1", "0", "3.66e-05", "3", "1", "0.1"]]
    rows += [["1", "1", "1", "0.25", "0.125", "2", "1", "0.1"]]
    lines = [",".join(f"{cell:>20}" for cell in row) for row in (names, *rows)]
    run = read(written(tmp_path, *lines))
    assert run.source.format == "ultralytics_csv"
    assert (run.train.loss.tolist(), run.eval.loss.tolist()) == ([3, 2], [4, 3])


def test_the_plan_stands_beside_the_results(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, "1,2,0.5,0,3,0.5,0.1", "2,1,0.25,0,2,0.25,0.2")
    (tmp_path / "args.yaml").write_text("task: detect\nepochs: 30\ncos_lr: false\nseed: 0\n")
    run = read(path)
    assert run.planned_epochs == run.settings.num_train_epochs == 30
    assert run.settings.lr_scheduler_type == "linear"
    (tmp_path / "args.yaml").write_text("epochs: many\n")
    assert read(path).planned_epochs is None


def test_the_single_loss_of_a_classifier_stays_as_it_is(tmp_path: Path) -> None:
    header = "epoch,time,train/loss,metrics/accuracy_top1,val/loss,lr/pg0"
    run = read(written(tmp_path, header, "1,9,2,0,3,0.1", "2,18,1,0,2,0.1"))
    assert (run.train.key, run.eval.key) == ("train/loss", "val/loss")
    assert run.notes == ()


def test_the_reader_keeps_the_contract_of_readers(tmp_path: Path) -> None:
    bad = written(tmp_path, "epoch,metrics/recall,lr/pg0", "1,0,0.1")
    check_reader(ultralytics_csv.READER, sorted(GOOD.iterdir()), [bad])


def test_the_fixtures_are_of_both_kinds() -> None:
    found = {path.name: read(path).train.key for path in GOOD.iterdir()}
    assert found["results_v5.csv"] == "train/box_loss + train/obj_loss + train/cls_loss"
    assert (found["results_v8.csv"] or "").count(" + ") == 3
    assert pytest.approx(1.0) == float(read(GOOD / "results_v8.csv").train.epoch[0])
