"""Losses in free text are read in the forms that people print them, and prose is refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.readers.source import Source
from ftadvise.readers.text_logs import text_log
from ftadvise.readers.wanted import Wanted
from ftadvise.run import Run

GOOD = Path(__file__).parent / "good" / "text_log"
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "train.log"


def run_of(log: Path, text: str) -> Run:
    log.write_text(text, encoding="utf-8")
    run = read(log)
    assert run.source.format == "text_log"
    return run


# Each form for the same three epochs: train loss 0.9, 0.7, 0.6 and val loss 0.8, 0.75, 0.775.
TRAIN, VAL = [0.9, 0.7, 0.6], [0.8, 0.75, 0.775]
FORMS = {
    "dashes": "Epoch {e}/3 - train loss: {t} - val loss: {v}",
    "brackets": "[Epoch {e}] loss={t} val_loss={v}",
    "bars": "Epoch {e:03d} | train loss {t} acc 0.5 | val loss {v} acc 0.4",
    "a ratio": "{e}/3: train loss {t}, val loss {v}",
    "a logger": "2025-01-31 10:00:00,123 - train.py:12 - INFO - Epoch {e}: loss: {t}, val_loss: {v}",
    "absl": "I0416 23:26:57.302467 27604 run.py:164] epoch: {e}, train_loss: {t}, eval_loss: {v}",
    "colours": "\x1b[32mEpoch {e}\x1b[0m \x1b[31mloss: {t}\x1b[0m val_loss: {v}\x1b[0m",
    "exponents": "epoch {e} train_loss {t:.3e} val_loss {v:.3e} lr 1.00e-04",
    "splits once": "Epoch {e} | train: loss {t} acc 0.5 | val: loss {v} acc 0.4",
    "splits behind": "Epoch {e}: Loss - train: {t}, val: {v}",
    "val alone": "epoch {e} | loss {t} | val {v} | grad 0.1",
    "tags": "[train] epoch {e} loss {t}\n[val] epoch {e} loss {v}",
    "axes named": "train epoch: {e}, loss: {t}, accuracy: 92.1\neval epoch: {e}, loss: {v}",
    "headings": "Epoch {e}/3\n-----\ntrain Loss: {t} Acc: 0.5\nval Loss: {v} Acc: 0.4\n",
    "sections": "Epoch {e}\nTraining:\n  loss: {t}\n  acc: 0.1\nValidation:\n  loss: {v}\n",
    "dots": "Epoch: {e}/3... Loss: {t}... Val Loss: {v}",
    "tensors": "Epoch {e} loss: tensor({t}, device='cuda:0') val_loss: tensor({v})",
    "a date": "[01/31 10:00:00 d2.events]: epoch: {e}  total_loss: {t}  val_loss: {v}  lr: 0.1",
    "counted words": "{e}epoch results: [train] loss={t}, acc=0.1, [valid] loss={v}",
    "flair": "EPOCH {e} done: loss {t} - lr: 0.1\nDEV : loss {v} - f1-score (micro avg)  0.8",
    "the best beside": "Epoch {e} train loss {t} val loss {v} (best 0.1)\nBest val loss: 0.1",
    "arrows": "Epoch {e} -> loss: {t}, val_loss -> {v}",
    "after an epoch": "Train loss after epoch {e}: {t}\nValidation loss after epoch {e}: {v}",
    "a list": "* Epoch {e}: train loss {t}, val loss {v}",
    "saved": "Epoch {e}: loss {t}, val_loss {v}\nval_loss improved from 1.5 to {v}, saving model",
    "early stop": "Epoch {e} loss {t} val loss {v}\nEarlyStopping counter: {e} out of 5",
}


@pytest.mark.parametrize("form", FORMS)
def test_epochs_are_read_in_the_forms_that_people_print(form: str, log: Path) -> None:
    rows = zip((1, 2, 3), TRAIN, VAL, strict=True)
    run = run_of(log, "\n".join(FORMS[form].format(e=e, t=t, v=v) for e, t, v in rows))
    np.testing.assert_allclose(run.train.loss, TRAIN)
    np.testing.assert_allclose(run.eval.loss, VAL)
    assert run.train.epoch.tolist() == run.eval.epoch.tolist() == [1, 2, 3]


def test_a_log_says_its_names_its_learning_rates_and_its_plan() -> None:
    run = read(GOOD / "epochs.log")
    assert (run.train.key, run.eval.key, run.lr.key) == ("Train Loss", "Val Loss", "LR")
    assert run.lr.rate.tolist() == [0.001, 0.001, 0.0005, 0.0005]
    assert run.eval.loss.tolist() == [0.8525, 0.7302, 0.7022, 0.7151]
    assert run.planned_epochs == 4


def test_epochs_numbered_from_zero_to_the_last_are_one_more() -> None:
    run = read(GOOD / "headings.txt")
    assert run.train.epoch.tolist() == [1, 2, 3]
    assert run.planned_epochs == 3


def test_a_progress_bar_gives_steps_and_parts_of_epochs() -> None:
    run = read(GOOD / "bars.txt")
    assert run.train.loss.tolist() == [3.0, 2.75, 2.5, 2.0, 1.75]
    assert run.train.step.tolist() == [1, 2, 4, 6, 8]
    assert run.train.epoch.tolist() == [0.25, 0.5, 1.0, 1.5, 2.0]
    assert run.eval.loss.tolist() == [2.25, 1.875]
    assert run.eval.step.tolist() == [4, 8]


def test_a_table_in_a_model_card_is_read() -> None:
    run = read(GOOD / "table.md")
    assert run.train.key == "Training Loss"
    assert run.train.epoch.tolist() == [2, 3]
    assert run.eval.loss.tolist() == [0.5210, 0.4310, 0.4422]
    assert run.eval.step.tolist() == [100, 200, 300]


def test_a_table_aligned_by_spaces_is_read(log: Path) -> None:
    log.write_text(
        "Learner is ready.\n"
        "epoch     train_loss  valid_loss  time    \n"
        "0         2.125000    1.875000    00:12   \n"
        "1         1.750000    1.625000    00:12   \n"
    )
    (run,) = text_log.read(Source(log))
    assert run.train.loss.tolist() == [2.125, 1.75]
    assert run.eval.epoch.tolist() == [1, 2]


def test_a_counter_that_starts_again_in_every_epoch_is_counted_on(log: Path) -> None:
    lines = [
        f"Epoch [{e}/2], Step [{s}/300], Loss: {4 - e - s / 1000}"
        for e in (1, 2)
        for s in (100, 200, 300)
    ]
    run = run_of(log, "\n".join(lines))
    assert run.train.step.tolist() == [100, 200, 300, 400, 500, 600]
    np.testing.assert_allclose(run.train.epoch, np.arange(1, 7) / 3)
    assert run.steps_per_epoch == 300


def test_samples_are_no_steps(log: Path) -> None:
    lines: list[str] = []
    for e in (1, 2):
        lines += [f"Train Epoch: {e} [{b}/100 ({b}%)]\tLoss: {3 - e}.5" for b in (0, 50)]
        lines.append(f"Test set: Average loss: {2.5 - e}, Accuracy: 90/100 (90%)")
    run = run_of(log, "\n".join(lines))
    assert not np.isfinite(run.train.step).any()
    assert run.train.epoch.tolist() == [0, 0.5, 1, 1.5]
    assert run.eval.loss.tolist() == [1.5, 0.5]
    assert run.eval.epoch.tolist() == [1, 2]


def test_the_epoch_and_batch_in_a_bracket_are_told_apart(log: Path) -> None:
    lines = [f"[{e},  {b}] loss: {3 - e}.{9 - b // 1000}" for e in (1, 2) for b in (2000, 4000)]
    run = run_of(log, "\n".join(lines))
    assert run.train.step.tolist() == [2000, 4000, 6000, 8000]
    assert run.train.epoch.tolist() == [0.5, 1, 1.5, 2]


def test_losses_of_steps_and_means_over_epochs_are_never_mixed(log: Path) -> None:
    lines: list[str] = []
    for e in (1, 2, 3):
        lines += [f"Epoch {e} Batch {b}/4 Loss: {9 - e}.{b}" for b in (2, 4)]
        lines += [f"Epoch {e} | Train Loss: {8 - e}.5", f"Epoch {e} | Val Loss: {8 - e}.75"]
    run = run_of(log, "\n".join(lines))
    assert run.train.loss.tolist() == [7.5, 6.5, 5.5]
    assert run.eval.loss.tolist() == [7.75, 6.75, 5.75]
    assert any("Took Train Loss by epoch (3 points)" in note for note in run.notes)
    assert any("Loss by batch (6 points)" in note for note in run.notes)


def test_a_mean_over_an_epoch_without_evaluations_beside_it_gives_way_to_steps(log: Path) -> None:
    lines: list[str] = []
    for step in range(10, 81, 10):
        lines.append(f"Step {step} | Loss: {9 - step / 10}")
        if step % 40 == 0:
            lines.append(f"Epoch {step // 40 - 1} completed | Average loss: 5.0")
        if step in (30, 60, 70):
            lines.append(f"Validation loss: {9.5 - step / 10}")
    run = run_of(log, "\n".join(lines))
    assert run.train.step.tolist() == list(range(10, 81, 10))
    np.testing.assert_allclose(run.train.epoch, np.arange(1, 9) / 4)
    assert run.eval.step.tolist() == [30, 60, 70]
    np.testing.assert_allclose(run.eval.epoch, [0.75, 1.5, 1.75])


def test_a_bar_that_repeats_the_last_evaluation_gives_it_once(log: Path) -> None:
    def bar(epoch: int, place: int, rest: str) -> str:
        return f"Epoch {epoch}: {50 * place}%|##  | {place}/2 [00:01<00:01, 2.0it/s, {rest}]"

    shown = [
        bar(0, 1, "train_loss=2.5"),
        bar(0, 2, "train_loss=2.25, val_loss=2.0"),
        bar(1, 1, "train_loss=1.5, val_loss=2.0"),
        bar(1, 2, "train_loss=1.25, val_loss=1.75"),
    ]
    run = run_of(log, "\r".join(shown))
    assert run.train.step.tolist() == [1, 2, 3, 4]
    assert run.eval.loss.tolist() == [2.0, 1.75]
    assert run.eval.step.tolist() == [2, 4]


def test_several_runs_in_one_file_are_told_apart(log: Path) -> None:
    lines = [f"Epoch {e}: loss {f}.{9 - e} val_loss {f}.9" for f in (1, 2) for e in (1, 2, 3)]
    log.write_text("\n".join(lines))
    first, second = read_all(log)
    assert first.train.loss.tolist() == [1.8, 1.7, 1.6]
    assert second.train.loss.tolist() == [2.8, 2.7, 2.6]


def test_steps_that_go_back_are_a_resumed_run(log: Path) -> None:
    lines = [f"Step {s} | Loss: 5.{s}" for s in (1, 2, 3, 4)]
    lines += ["Resuming from checkpoint at step 2"] + [
        f"Step {s} | Loss: 4.{s}" for s in (3, 4, 5)
    ]
    run = run_of(log, "\n".join(lines))
    assert run.train.loss.tolist() == [5.1, 5.2, 4.3, 4.4, 4.5]
    assert run.restarts == 1


def test_values_that_are_no_numbers_are_kept_as_such(log: Path) -> None:
    run = run_of(log, "epoch 1 loss 1.2e-03\nepoch 2 loss nan\nepoch 3 loss inf\n")
    np.testing.assert_array_equal(run.train.loss, [0.0012, np.nan, np.nan])
    assert run.nonfinite == {"loss": 2}


def test_the_loss_that_was_asked_for_is_taken(log: Path) -> None:
    log.write_text("".join(f"epoch {e} loss {e}.5 aux_loss {e}.25 val_loss 1\n" for e in (1, 2)))
    (run,) = text_log.read(Source(log, wanted=Wanted(key="aux_loss")))
    assert run.train.key == "aux_loss"
    assert run.train.loss.tolist() == [1.25, 2.25]


def test_a_series_without_a_meaning_is_taken_where_it_was_asked_for(log: Path) -> None:
    log.write_text("".join(f"epoch {e} loss {e}.5 wer 0.{e} val_loss 1\n" for e in (1, 2)))
    (run,) = text_log.read(Source(log, wanted=Wanted(eval_key="wer")))
    assert (run.train.key, run.eval.key) == ("loss", "wer")
    assert run.eval.loss.tolist() == [0.1, 0.2]


def test_a_name_that_no_series_has_is_an_error_that_lists_them(log: Path) -> None:
    log.write_text("".join(f"epoch {e} loss {e}.5 aux_loss 1.0\n" for e in (1, 2)))
    with pytest.raises(LogError) as caught:
        text_log.read(Source(log, wanted=Wanted(key="nll")))
    assert caught.value.code == "FT409"
    assert "aux_loss" in caught.value.hint


def test_losses_by_name_stay_apart(log: Path) -> None:
    lines = [f"[Epoch {e}/3] [D loss: 0.{e}] [G loss: 0.9]" for e in (1, 2, 3)]
    run = run_of(log, "\n".join(lines))
    assert run.train.key == "D loss"
    assert run.train.loss.tolist() == [0.1, 0.2, 0.3]


REFUSED = {
    "prose": "At epoch 3 the loss of 0.52 was low, while model B had a loss of 0.61 at epoch 5.\n"
    "After epoch 10 the validation loss rose to 0.9 while the training loss fell to 0.2.\n",
    "source code": "import torch\nepoch = 0\ntrain_loss = 0.0\nval_loss = 0.0\n"
    "for epoch in range(10):\n    train_loss += loss.item()\n    epoch = 1\n"
    "    print(f'Epoch {epoch}: train loss {train_loss:.4f} val loss {val_loss:.4f}')\n",
    "requirements": "torch==2.0.1\nloss-landscapes==3.0.6\nnumpy>=1.2\n",
    "settings": "model: gpt2\nepochs: 3\nloss: mse\nloss_weight: 0.5\nsteps: 100\nepoch: 3\n",
    "a data table": "age workclass capital-loss hours\n39 State-gov 0 40\n50 Self-emp 0 13\n",
    "final values": "Final train loss: 0.5\nFinal val loss: 0.6\nBest epoch: 3\nTest loss: 0.61\n",
    "one epoch": "Epoch 1/3 train loss: 0.5\n",
    "one moment": "Epoch 3 loss 0.5\nEpoch 3 loss 0.5\nEpoch 3 loss 0.4\n",
    "HTML": "<!DOCTYPE html><html><body>Epoch 1 loss: 0.5<br>\nEpoch 2 loss: 0.4</body></html>",
    "sums that begin": "".join(f"def run_{n}():\n    total_loss = 0.0\n" for n in range(8)),
    "a docstring": "".join(
        f"    def forward_{n}(self):\n        loss (`torch.Tensor` of shape `({n},)`):\n"
        for n in "123456"
    ),
    "tests of a reader": "".join(
        f"def test_{n}():\n    check('one')\n    'epoch {n} loss 0.{n}'\n    return 1\n"
        for n in range(1, 9)
    ),
    "a report": "Epoch 1 loss 0.5\nEpoch 2 loss 0.4\n" + 20 * "We think that a loss that falls in "
    "the way that ours did from epoch 1 to 2 (0.5 and 0.4) is what one would hope for here.\n",
    "our own source": Path(text_log.__file__).read_text(encoding="utf-8"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_training_log_is_refused(kind: str, log: Path) -> None:
    log.write_text(REFUSED[kind])
    with pytest.raises(LogError) as caught:
        text_log.read(Source(log))
    assert caught.value.code in ("FT404", "FT405")


def test_a_log_of_accuracies_is_told_from_a_log_of_losses(log: Path) -> None:
    log.write_text("criterion: cross entropy loss\nEpoch 1 accuracy 0.5\nEpoch 2 accuracy 0.6\n")
    with pytest.raises(LogError, match="no loss among them: accuracy") as caught:
        read(log)
    assert caught.value.code == "FT406"


def test_json_is_never_read_as_text(log: Path) -> None:
    log.write_text('[{"epoch": 1, "loss": 0.5},\n{"epoch": 2, "loss": 0.4}]')
    assert text_log.sniff(Source(log)) == 0.0
    with pytest.raises(LogError):
        text_log.read(Source(log))


numbers = st.floats(1e-3, 1e3).map(lambda x: float(f"{x:.4f}"))


@given(
    losses=st.lists(st.tuples(numbers, numbers), min_size=2, max_size=12),
    form=st.sampled_from([form for form in FORMS if form not in ("a ratio", "saved")]),
)
@QUICK
def test_any_losses_come_back_from_any_form(
    losses: list[tuple[float, float]], form: str, tmp_path: Path
) -> None:
    log = tmp_path / "any.log"
    text = FORMS[form] if form != "exponents" else FORMS[form].replace(":.3e", ":.12e")
    rows = (text.format(e=e, t=t, v=v) for e, (t, v) in enumerate(losses, 1))
    log.write_text("\n".join(rows), encoding="utf-8")
    (run,) = text_log.read(Source(log))
    np.testing.assert_allclose(run.train.loss, [t for t, _ in losses])
    np.testing.assert_allclose(run.eval.loss, [v for _, v in losses])


@given(text=st.text(alphabet="epochlstain vd:=|/[](),.%0123456789\n\t-\r", max_size=600))
@QUICK
def test_any_text_ends_in_runs_or_in_an_honest_error(text: str, tmp_path: Path) -> None:
    log = tmp_path / "any.txt"
    log.write_text("loss 1\n" + text, encoding="utf-8", newline="")
    with contextlib.suppress(LogError):
        assert text_log.read(Source(log))
