"""Counters, headings and names that free text logs write in ways of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read
from ftadvise.readers.text_logs.other_words import in_english
from ftadvise.run import Run

TRAIN, VAL = [0.9, 0.7, 0.6], [0.8, 0.75, 0.775]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "train.log"


def run_of(log: Path, text: str) -> Run:
    log.write_text(text, encoding="utf-8")
    run = read(log)
    assert run.source.format == "text_log"
    return run


def filled(form: str) -> str:
    epochs = zip((1, 2, 3), TRAIN, VAL, strict=True)
    return "".join(form.format(e=e, t=t, v=v) + "\n" for e, t, v in epochs)


LANGUAGES = {
    "Chinese": "轮次 {e}/3 | 训练损失: {t} | 验证损失: {v} | 学习率: 0.001",
    "Chinese, counted": "第 {e} 轮：训练集损失 {t}，验证集损失 {v}",
    "Japanese": "エポック {e}/3 - 訓練損失: {t} - 検証損失: {v}",
    "Korean": "에폭 {e}/3 - 훈련 손실: {t}, 검증 손실: {v}",
    "Korean, counted": "{e}번째 에폭의 손실: {t}, 검증 손실: {v}",
    "Korean, by iterations": "반복 {e} || 훈련 손실: {t} || 검증 손실: {v} || 소요 시간: 9.5 초",
    "Russian": "Эпоха {e}/3: потери (обучение): {t}, потери (валидация): {v}",
    "Russian names of epochs": "Эпоха {e}/3\nTrain Loss: {t} | Val Loss: {v}",
    "French": "Époque {e}/3 - perte entraînement: {t} - perte validation: {v}",
    "Spanish": "Época {e}/3 - pérdida entrenamiento: {t} - pérdida validación: {v}",
    "Portuguese": "Época {e}/3 | perda de treino: {t} | perda de validação: {v}",
    "German": "Epoche {e}/3: Verlust {t}, Validierung Verlust {v}",
    "Turkish": "Epoch {e}/3 - Eğitim kaybı: {t} - Doğrulama kaybı: {v}",
}


@pytest.mark.parametrize("form", LANGUAGES.values(), ids=LANGUAGES)
def test_losses_are_found_by_their_names_in_other_languages(log: Path, form: str) -> None:
    run = run_of(log, filled(form))
    assert run.train.loss.tolist() == TRAIN
    assert run.eval.loss.tolist() == VAL
    clock = run.train.step if "반복" in form else run.train.epoch
    assert clock.tolist() == [1, 2, 3]


def test_the_best_and_the_saved_are_told_apart_in_other_languages_too(log: Path) -> None:
    text = filled("Epoch {e} 完成 | 训练损失: {t} | 验证损失: {v}\n✓ 保存最佳模型，验证损失: 0.1")
    run = run_of(log, text + "最佳验证损失: 0.1\n")
    assert run.train.loss.tolist() == TRAIN
    assert run.eval.loss.tolist() == VAL


def test_words_that_mean_money_as_well_need_an_epoch_or_a_step(log: Path) -> None:
    log.write_text("".join(f"ganho: {i}.5, perda: 0.{i}\n" for i in range(1, 9)))
    with pytest.raises(LogError):
        read(log)


def test_a_name_in_english_stays_as_it_is() -> None:
    assert in_english("val_loss/epoch 3") == "val_loss/epoch 3"
    assert in_english("Époque").lower() == "epoch"


def test_a_number_in_brackets_before_the_names_is_the_round_of_a_booster(log: Path) -> None:
    text = (
        "[0]\ttrain-logloss:0.69\tvalid-logloss:0.68\n[20]\ttrain-logloss:0.5\tvalid-logloss:0.6\n"
    )
    run = run_of(log, text + "[40]\ttrain-logloss:0.4\tvalid-logloss:0.55\nStopping.\n")
    assert run.train.step.tolist() == run.eval.step.tolist() == [0, 20, 40]
    assert run.train.loss.tolist() == [0.69, 0.5, 0.4]
    assert run.eval.loss.tolist() == [0.68, 0.6, 0.55]


def test_a_held_out_loss_of_a_booster_alone_is_read(log: Path) -> None:
    lines = (f"[{i}]\tvalid_0's binary_logloss: {0.7 - i / 10}\n" for i in (1, 2, 3))
    run = run_of(log, "".join(lines))
    assert run.eval.step.tolist() == [1, 2, 3]
    assert not len(run.train)


def test_a_number_in_brackets_before_other_counters_counts_nothing(log: Path) -> None:
    run = run_of(log, "".join(f"[0] iteration {i} loss {1 / i}\n" for i in (1, 2, 4)))
    assert run.train.step.tolist() == [1, 2, 4]


def test_the_cost_after_an_iteration_is_a_loss_and_the_cost_of_a_request_is_none(
    log: Path,
) -> None:
    run = run_of(log, "".join(f"Cost after iteration {i}: {9 - i / 100}\n" for i in (0, 100, 200)))
    assert run.train.step.tolist() == [0, 100, 200]
    assert run.train.loss.tolist() == [9, 8, 7]
    log.write_text("".join(f"step {i} cost: 0.0{i} tokens: 100\n" for i in range(1, 9)))
    with pytest.raises(LogError):
        read(log)


def test_the_blobs_of_caffe_are_told_apart(log: Path) -> None:
    text = "".join(
        f"I0101 10:00:0{i}.0 7 solver.cpp:1] Iteration {i}00, Testing net (#0)\n"
        f"I0101 10:00:0{i}.1 7 solver.cpp:2]     Test net output #0: accuracy = 0.5\n"
        f"I0101 10:00:0{i}.1 7 solver.cpp:2]     Test net output #1: loss = {v} (* 1 = {v} loss)\n"
        f"I0101 10:00:0{i}.2 7 solver.cpp:3] Iteration {i}00, loss = {t}\n"
        f"I0101 10:00:0{i}.3 7 solver.cpp:4] Iteration {i}00, lr = 0.01\n"
        for i, t, v in zip((1, 2, 3), TRAIN, VAL, strict=True)
    )
    run = run_of(log, text)
    assert run.train.loss.tolist() == TRAIN
    assert run.eval.loss.tolist() == VAL
    assert run.train.step.tolist() == run.eval.step.tolist() == [100, 200, 300]


def test_a_bar_of_unknown_length_counts(log: Path) -> None:
    text = "".join(
        f"Epoch 0: |          | {i}/? [00:0{i}<00:00,  1.0it/s, train_loss={5 - i}]\n"
        for i in (1, 2, 3)
    )
    assert run_of(log, text).train.loss.tolist() == [4, 3, 2]


def test_a_model_or_its_data_before_the_epoch_are_no_part_of_it(log: Path) -> None:
    form = "ResNet-18 Epoch {e}/3, Train Loss: {t}, Test Loss: {v}"
    run = run_of(log, "Warmup epoch: 9\n" + filled(form))
    assert run.train.epoch.tolist() == [1, 2, 3]
    assert run.train.loss.tolist() == TRAIN
    assert run.eval.loss.tolist() == VAL


def test_a_heading_is_about_the_line_below_it_that_counts_the_same_epoch(log: Path) -> None:
    text = filled("epoch: {e}, loss is: {t}\ntesting in eval mode\nepoch: {e}, loss is: {v}")
    run = run_of(log, text)
    assert run.train.loss.tolist() == TRAIN
    assert run.eval.loss.tolist() == VAL


def test_a_heading_without_a_loss_below_it_is_not_about_the_next_epoch(log: Path) -> None:
    run = run_of(log, filled("epoch {e} loss {t}\nValidation:"))
    assert run.train.loss.tolist() == TRAIN
    assert not len(run.eval)


@pytest.mark.parametrize(
    "line",
    [
        '        "epoch {e} loss {t}",',
        "        b'epoch {e} loss {t}\\n',",
        "        \"{{'loss': {t}, 'epoch': {e}}}\",",
    ],
)
def test_strings_in_source_code_are_no_log(log: Path, line: str) -> None:
    log.write_text("const LINES = [\n" + filled(line) + "];\n")
    with pytest.raises(LogError):
        read(log)
