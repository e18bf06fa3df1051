"""`metrics.csv` of Lightning: sparse rows, two granularities, counters from 0."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read
from ftadvise.readers.table_logs import lightning_csv
from ftadvise.testing import check_reader

if TYPE_CHECKING:
    from ftadvise.run import Run

GOOD = Path(__file__).parent / "good" / "lightning_csv"


def read_rows(folder: Path, *rows: str) -> Run:
    path = folder / "metrics.csv"
    path.write_text("\r\n".join(rows) + "\r\n")
    run = read(path)
    assert run.source.format == "lightning_csv"
    return run


def test_sparse_rows_give_steps_done_and_fractions_of_epochs(tmp_path: Path) -> None:
    run = read_rows(
        tmp_path,
        "epoch,lr-Adam,step,train_loss,val_loss",
        ",0.5,0,,", "0,,4,3,", "0,,9,2,", "0,,9,,2.5",
        ",0.25,10,,", "1,,14,1,", "1,,19,0.5,", "1,,19,,1.5",
    )  # fmt: skip
    assert run.train.step.tolist() == [5, 10, 15, 20]
    assert run.train.epoch.tolist() == [0.5, 1, 1.5, 2]
    assert (run.eval.step.tolist(), run.eval.epoch.tolist()) == ([10, 20], [1, 2])
    assert (run.lr.key, run.lr.step.tolist()) == ("lr-Adam", [1, 11])
    assert run.steps_per_epoch == 10


def test_the_train_loss_is_taken_per_step_and_the_eval_loss_per_epoch(tmp_path: Path) -> None:
    rows = ["epoch,step,train_loss_epoch,train_loss_step,val_loss_epoch,val_loss_step"]
    for epoch in range(2):
        rows += [f"{epoch},{4 * epoch + s},,{8 - 4 * epoch - s},," for s in (1, 3)]
        rows += [f",{2 * epoch + k},,,,{k}" for k in range(2)]
        rows += [f"{epoch},{4 * epoch + 3},,,{5 - epoch},", f"{epoch},{4 * epoch + 3},6,,,"]
    run = read_rows(tmp_path, *rows)
    assert (run.train.key, run.train.loss.tolist()) == ("train_loss_step", [7, 5, 3, 1])
    assert (run.eval.key, run.eval.loss.tolist()) == ("val_loss_epoch", [5, 4])
    assert (run.eval.step.tolist(), run.eval.epoch.tolist()) == ([4, 8], [1, 2])
    assert run.train.rivals == run.eval.rivals == ()
    whole = read(tmp_path / "metrics.csv", key="train_loss_epoch")
    assert whole.train.epoch.tolist() == [1, 2]


def test_losses_of_epochs_alone_lie_at_their_ends(tmp_path: Path) -> None:
    run = read_rows(
        tmp_path,
        "epoch,step,train_loss_epoch,val_loss",
        "0,99,3,", "0,99,,4", "1,199,2,", "1,199,,3",
    )  # fmt: skip
    assert (run.train.step.tolist(), run.train.epoch.tolist()) == ([100, 200], [1, 2])
    assert run.eval.epoch.tolist() == [1, 2]


def test_without_ends_the_steps_of_an_epoch_are_bounded_by_the_rows(tmp_path: Path) -> None:
    steps = range(49, 1000, 50)  # epochs of 120 steps
    run = read_rows(
        tmp_path,
        "epoch,lr-SGD,step,train_loss",
        *(f"{s // 120},,{s},{1000 / (s + 1)}" for s in steps),
    )
    # 600 steps are done within 5 epochs, and 849 before the end of the first step of epoch 7.
    assert run.steps_per_epoch is not None
    assert 600 / 5 <= run.steps_per_epoch <= 849 / 7
    assert any("By the log an epoch has 120 to 121 steps" in note for note in run.notes)


def test_a_first_epoch_in_progress_has_no_known_length(tmp_path: Path) -> None:
    run = read_rows(tmp_path, "epoch,step,train_loss_step", "0,9,2", "0,19,1")
    assert run.train.step.tolist() == [10, 20]
    assert np.isnan(run.train.epoch).all()


def test_the_test_after_the_fit_is_no_part_of_it(tmp_path: Path) -> None:
    run = read_rows(
        tmp_path,
        "epoch,step,test_loss,train_loss_step,val_loss",
        "0,9,,3,", "0,9,,,4", "1,19,,2,", "1,19,,,3", "2,20,2.75,,", "0,0,2.75,,",
    )  # fmt: skip
    assert (run.eval.key, run.eval.loss.tolist()) == ("val_loss", [4, 3])
    assert run.steps_per_epoch == 10


def test_a_table_of_somebody_else_is_not_taken_for_lightnings(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("epoch,step,train_loss,val_loss\n1,10,3,4\n2,20,2,3\n")
    run = read(path)
    assert run.source.format == "csv"
    assert run.train.step.tolist() == [10, 20]
    path.write_text("a,b\n1,2\n")
    with pytest.raises(LogError):
        read(path)


def test_the_reader_keeps_the_contract_of_readers(tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("epoch,step,accuracy\n0,1,0.5\n")
    check_reader(lightning_csv.READER, sorted(GOOD.iterdir()), [bad])


@pytest.mark.parametrize("both", [False, True])
def test_what_lightning_itself_writes_reads_back(tmp_path: Path, both: bool) -> None:
    lightning: Any = pytest.importorskip("lightning")
    torch: Any = pytest.importorskip("torch")
    loggers: Any = pytest.importorskip("lightning.pytorch.loggers")
    seen: dict[str, list[tuple[int, float]]] = {"train": [], "eval": []}

    class Line(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def loss(self, batch: Any) -> Any:
            return ((self.layer(batch) - batch) ** 2).mean()

        def training_step(self, batch: Any, _: int) -> Any:
            loss = self.loss(batch)
            self.log("train_loss", loss, on_step=True, on_epoch=both)
            if (self.global_step + 1) % 5 == 0:
                seen["train"].append((self.global_step + 1, float(loss)))
            return loss

        def validation_step(self, batch: Any, _: int) -> None:
            self.log("val_loss", self.loss(batch), on_step=both, on_epoch=True)

        def on_validation_epoch_end(self) -> None:
            loss = self.trainer.callback_metrics["val_loss"]
            seen["eval"].append((self.global_step, float(loss)))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batches = torch.utils.data.DataLoader(torch.arange(12.0).reshape(12, 1), batch_size=1)
        trainer = lightning.Trainer(
            max_epochs=3, accelerator="cpu", logger=loggers.CSVLogger(tmp_path, name=""),
            log_every_n_steps=5, num_sanity_val_steps=0, enable_progress_bar=False,
            enable_model_summary=False, enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(Line(), batches, batches)
    run = read(next(tmp_path.rglob("metrics.csv")))
    assert run.train.step.tolist() == [step for step, _ in seen["train"]]
    np.testing.assert_allclose(run.train.loss, [loss for _, loss in seen["train"]])
    assert run.eval.step.tolist() == [step for step, _ in seen["eval"]] == [12, 24, 36]
    assert run.eval.epoch.tolist() == [1, 2, 3]
    np.testing.assert_allclose(run.train.epoch, run.train.step / 12)
