"""Text logs of known tools, in the forms of several of their versions, give their losses."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.readers.source import Source
from ftadvise.readers.text_logs.text_readers import READERS
from ftadvise.run import FloatArray, Run
from ftadvise.testing import check_reader

GOOD = Path(__file__).parent / "good"
BY_NAME = {reader.name: reader for reader in READERS}


@dataclass
class Expected:
    """What a log holds: names, losses and their steps or epochs."""

    train: str | None
    losses: list[float]
    at: list[float]
    eval: str | None = None
    eval_losses: list[float] = field(default_factory=list[float])
    eval_at: list[float] = field(default_factory=list[float])
    planned_steps: float | None = None
    rates: list[float] = field(default_factory=list[float])
    axis: str = "step"


LOGS = {
    "nanogpt/console.txt": Expected(
        "train loss", [4.2811, 1.9823, 1.5127], [0, 200, 400],
        "val loss", [4.2786, 2.0611, 1.7040], [0, 200, 400], 400,
    ),
    "nanogpt/only_batches.txt": Expected(
        "loss", [10.9301, 10.8802, np.nan, 10.7011], [0, 1, 2, 3], "val loss", [10.65], [3]
    ),
    "nanogpt/log.txt": Expected(
        "train loss", [10.955031, 10.650772, 10.287134, 6.120312], [0, 1, 2, 250],
        "val loss", [10.9512, 6.1049], [0, 250],
    ),
    "nanochat/base.txt": Expected(
        "loss", [11.090355, 5.823417, 4.410262], [0, 100, 200],
        "Validation bpb", [3.2041, 1.4310, 1.2207], [0, 150, 300], 300,
    ),
    "nanochat/sft.txt": Expected(
        "loss", [1.633921, 1.412330, 1.280114], [0, 10, 20],
        "Validation loss", [1.512034, 1.301877], [0, 20], 40,
    ),
    "llm_c/console.txt": Expected(
        "train loss", [11.009724, 10.962310, 10.891027, 10.802216], [1, 2, 3, 4],
        "val loss", [11.009321, 10.940112, 10.760014], [0, 2, 4], 4,
        [8.57e-07, 1.71e-06, 2.57e-06, 3.43e-06],
    ),
    "llm_c/cpu.txt": Expected(
        "train loss", [4.677779, 5.191576, 4.438685], [0, 1, 2],
        "val loss", [5.325529, 4.892107], [0, 3],
    ),
    "llm_c/main.log": Expected(
        "trl", [11.0097, 10.9623, 10.8910], [0, 1, 2], "tel", [11.0094, 10.9401], [0, 2],
        rates=[1e-6, 2e-6, 3e-6],
    ),
    "modded_nanogpt/val_only.txt": Expected(
        None, [], [], "val_loss", [10.8258, 4.2887, 3.5104], [0, 250, 500], 500
    ),
    "modded_nanogpt/both.txt": Expected(
        "train_loss", [10.826702, 6.012233, 4.802115], [1, 100, 200],
        "val_loss", [10.825101, 5.310874, 4.301226], [0, 150, 300], 300,
    ),
    "megatron/core.log": Expected(
        "lm loss", [7.51234, 6.10045, 5.4012, 5.0118], [100, 200, 300, 400],
        "validation lm loss", [6.0521, 5.0203], [200, 400], 400, [1.5e-4, 3e-4, 2.2e-4, 3e-5],
    ),
    "megatron/deepspeed.out": Expected(
        "lm loss", [8.863, 7.714], [50, 100], "validation lm loss", [8.81, 7.69], [50, 100], 100,
        [1.398e-5, 2.796e-5],
    ),
    "megatron/neox.log": Expected(
        "lm_loss", [10.71, 10.12], [10, 20], "validation lm_loss", [10.08], [20], 100,
        [5.6e-7, 1.12e-6],
    ),
    "nemo/console.log": Expected(
        "reduced_train_loss", [11.03, 10.52, 9.87, 9.21, 8.77], [0, 1, 2, 3, 4],
        "val_loss", [9.902, 8.81], [2, 4], 5, [1.5e-6, 3e-6, 4.5e-6, 6e-6, 7.5e-6],
    ),
    "torchtune/log_1700000000.txt": Expected(
        "loss", [1.5432, 1.4021, 1.2517, 1.1999], [1, 2, 3, 4],
        "val_loss", [1.3810, 1.2105], [2, 4], rates=[2e-5, 4e-5, 6e-5, 8e-5],
    ),
    "torchtune/console.txt": Expected("Loss", [2.5, 2.25, 2.0, 1.75], [1, 2, 3, 4]),
    "torchtitan/colours.log": Expected(
        "loss", [12.2340, 9.8710, 8.1023], [1, 10, 20],
        "validate loss", [9.9012, 8.2034], [10, 20], 40,
    ),
    "torchtitan/older.log": Expected("loss", [12.2510, 10.5120, 9.1310], [1, 10, 20]),
    "mlx_lm/console.txt": Expected(
        "Train loss", [2.110, 1.702, 1.498], [10, 20, 30],
        "Val loss", [2.304, 1.655, 1.402], [1, 30, 60], 60, [1e-5, 1e-5, 5e-6],
    ),
    "mlx_lm/older.txt": Expected(
        "Train loss", [2.201, 1.911], [10, 20], "Val loss", [2.376, 1.950], [1, 20]
    ),
    "fairseq/console.log": Expected(
        "train loss", [11.5, 9.25, 8.125], [200, 400, 600],
        "valid loss", [9.75, 8.5, 7.75], [200, 400, 600], rates=[2.5e-5, 5e-5, 7.5e-5],
    ),
    "fairseq/json.log": Expected(
        "loss", [9.5, 8.75, 8.0], [50, 100, 150], "valid loss", [8.25], [100],
        rates=[6.25e-6, 1.25e-5, 1.875e-5],
    ),
    "fairseq/older.log": Expected(
        "train loss", [10.5, 8.5], [40, 80], "valid loss", [9.5, 8.25], [40, 80],
        rates=[1e-5, 2e-5],
    ),
    "deepspeed/pipeline.log": Expected("loss", [2.2510, 1.9040, 1.7020], [10, 20, 30]),
    "deepspeed/chat.log": Expected(
        "loss", [2.75, 2.5, 2.25, 2.0, 1.75, 1.5], [0.25, 0.5, 0.75, 1, 1.25, 2],
        "eval loss", [3.0, 1.875, 1.5], [0, 1, 2], axis="epoch",
    ),
    "litgpt/console.txt": Expected(
        "loss train", [2.5, 2.25, 2.0, 1.875, 1.5], [0, 1, 2, 3, 4],
        "val loss", [2.125, 1.75], [2, 4],
    ),
    "litgpt/older.txt": Expected(
        "loss train", [2.5, 2.25, 2.0, 1.75], [0, 1, 2, 3], "val loss", [2.125], [2]
    ),
}  # fmt: skip


def of_the_axis(run: Run, expected: Expected) -> tuple[FloatArray, FloatArray]:
    if expected.axis == "step":
        return run.train.step, run.eval.step
    return run.train.epoch, run.eval.epoch


@pytest.mark.parametrize("name", LOGS)
def test_a_log_of_a_tool_is_read_by_its_reader(name: str) -> None:
    run = read(GOOD / name)
    expected = LOGS[name]
    at, eval_at = of_the_axis(run, expected)
    assert run.source.format == name.partition("/")[0]
    assert (run.train.key, run.eval.key) == (expected.train, expected.eval)
    np.testing.assert_allclose(run.train.loss, expected.losses)
    np.testing.assert_allclose(at, expected.at)
    np.testing.assert_allclose(run.eval.loss, expected.eval_losses)
    np.testing.assert_allclose(eval_at, expected.eval_at)
    np.testing.assert_allclose(run.lr.rate, expected.rates)
    assert run.planned_steps == expected.planned_steps


@pytest.mark.parametrize("tool", [name for name in BY_NAME if name != "allennlp"])
def test_the_reader_of_a_tool_keeps_the_promises_of_a_reader(tool: str, tmp_path: Path) -> None:
    prose = tmp_path / "prose.txt"
    prose.write_text("We trained for 3 epochs and saw a loss of 0.5 in step 100.\n" * 20)
    good = [path for path in sorted((GOOD / tool).iterdir()) if path.is_file()]
    check_reader(BY_NAME[tool], good, [prose])


def test_no_tool_takes_the_log_of_another() -> None:
    for name in LOGS:
        source = Source(GOOD / name)
        sure = [reader.name for reader in READERS if reader.sniff(source) >= 0.5]
        assert sure == [name.partition("/")[0]]


def test_lines_of_a_tool_after_64_kib_of_other_text_are_known(tmp_path: Path) -> None:
    log = tmp_path / "run.txt"
    log.write_text("import torch\n" * 20_000 + (GOOD / "modded_nanogpt/both.txt").read_text())
    assert read(log).source.format == "modded_nanogpt"


def test_carriage_returns_and_logger_prefixes_do_not_hide_a_line(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    lines = (GOOD / "mlx_lm/console.txt").read_text().splitlines()
    log.write_bytes("\r\n".join(lines).encode())
    assert len(read(log).train) == 3


def test_nanogpt_prefers_the_estimates_and_says_so() -> None:
    run = read(GOOD / "nanogpt/console.txt")
    assert any("beside the evaluations (3 points)" in note for note in run.notes)


def test_nanochat_says_that_its_losses_have_two_units() -> None:
    assert any("bits per byte" in note for note in read(GOOD / "nanochat/base.txt").notes)
    assert not any("bits per byte" in note for note in read(GOOD / "nanochat/sft.txt").notes)


def test_fairseq_epochs_are_read_with_their_updates() -> None:
    run = read(GOOD / "fairseq/console.log")
    assert run.train.epoch.tolist() == [1, 2, 3]
    assert run.steps_per_epoch == 200
    assert any("base 2" in note for note in run.notes)


def test_fairseq_within_its_first_epochs_gives_the_losses_of_its_updates() -> None:
    run = read(GOOD / "fairseq/json.log")
    assert run.train.epoch.tolist() == [0.5, 1.0, 1.5]
    assert run.eval.epoch.tolist() == [1.0]


def test_torchtune_epochs_come_from_its_bar() -> None:
    assert read(GOOD / "torchtune/console.txt").train.epoch.tolist() == [0.5, 1.0, 1.5, 2.0]


def test_an_nan_in_a_tools_log_is_counted() -> None:
    assert read(GOOD / "nanogpt/only_batches.txt").nonfinite == {"loss": 1}


def test_megatron_without_a_finished_interval_is_an_honest_error(tmp_path: Path) -> None:
    log = tmp_path / "run.out"
    log.write_text("using world size: 8, tensor-model-parallel size: 1\nloss scale 1\n")
    with pytest.raises(LogError) as caught:
        read_all(log)
    assert caught.value.code == "FT405"


def test_what_one_process_of_several_prints_is_read_once(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    text = (GOOD / "torchtitan/colours.log").read_text()
    lines = text.splitlines()
    other = [own.replace("rank0", "rank1").replace("loss:  ", "loss: 7") for own in lines]
    log.write_text("\n".join(line for pair in zip(lines, other, strict=True) for line in pair))
    assert read(log).train.loss.tolist() == [12.2340, 9.8710, 8.1023]
