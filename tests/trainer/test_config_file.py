"""Reading a training YAML: what is accepted, and what is said about every mistake."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ftadvise_trainer.config import Config, config_hash, to_dict
from ftadvise_trainer.settings.file import load_config
from ftadvise_trainer.settings.keys import RENAMED, RESERVED, SECTIONS, argument_types, own_types
from ftadvise_trainer.settings.mistakes import ConfigError

GOOD = "model: {name_or_path: Qwen/Qwen2.5-0.5B}\ndata: {train: train.jsonl}\n"
# Every setting that an advice has, for epochs of 24 steps.
ADVISED = """
training:
  num_train_epochs: 7
  eval_strategy: steps
  eval_steps: 24
  save_strategy: steps
  save_steps: 24
  save_total_limit: 5
  load_best_model_at_end: true
  metric_for_best_model: eval_loss
  early_stopping_patience: 3
  early_stopping_threshold: 0.001
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.jsonl").write_text("{}\n")
    (tmp_path / "model").mkdir()
    return tmp_path


def load(folder: Path, text: str, *overrides: str) -> Config:
    (folder / "training.yaml").write_text(text, encoding="utf-8")
    return load_config(folder / "training.yaml", overrides)


def mistakes(folder: Path, text: str, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides)
    assert caught.value.code == "FT501"
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message
    return caught.value.mistakes


def test_the_settings_of_an_advice_are_accepted_as_written(folder: Path) -> None:
    training = load(folder, GOOD + ADVISED).training
    written = yaml.safe_load(ADVISED)["training"]
    assert {key: getattr(training, key) for key in written} == written
    assert training.more == {}


def test_the_example_loads_and_finds_its_files_from_its_own_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(tmp_path)
    config = load_config(root / "examples" / "tiny" / "training.yaml")
    assert config.find(config.data.train).is_file()
    assert config.find_or_hub("Qwen/Qwen2.5-0.5B") == "Qwen/Qwen2.5-0.5B"
    assert config.output_dir == Path("checkpoints/tiny")


@pytest.mark.parametrize("written", ["2e-5", "'2e-5'", "2.0e-05", "0.00002", "+.2e-4"])
def test_a_number_in_every_way_of_writing_is_a_number(folder: Path, written: str) -> None:
    text = f"{GOOD}training: {{learning_rate: {written}, adam_epsilon: {written}}}"
    training = load(folder, text).training
    assert training.learning_rate == 2e-5
    assert training.more == {"adam_epsilon": 2e-5}


def test_numbers_inside_the_mappings_of_transformers_are_numbers(folder: Path) -> None:
    text = f"{GOOD}training: {{lr_scheduler_kwargs: {{min_lr: 1e-6, name: '1e-6'}}}}"
    more = load(folder, text).training.more
    assert more == {"lr_scheduler_kwargs": {"min_lr": 1e-6, "name": "1e-6"}}


@pytest.mark.parametrize(
    ("written", "text"), [("1234567", "1234567"), ("1e5", "1e5"), ("no", "no")]
)
def test_text_stays_as_it_was_written(folder: Path, written: str, text: str) -> None:
    model = f"model: {{name_or_path: a/b, revision: {written}}}\ndata: {{train: train.jsonl}}\n"
    assert load(folder, model).model.revision == text


def test_eval_steps_alone_means_by_steps_and_saves_follow(folder: Path) -> None:
    training = load(folder, GOOD + "training: {eval_steps: 24}").training
    assert (training.eval_strategy, training.save_strategy, training.save_steps) == (
        "steps",
        "steps",
        24,
    )


def test_without_evaluations_the_last_model_is_the_final_one(folder: Path) -> None:
    training = load(folder, GOOD + "training: {eval_strategy: no}").training
    assert (training.eval_strategy, training.save_strategy) == ("no", "epoch")
    assert training.load_best_model_at_end is False


def test_set_counts_more_than_the_file(folder: Path) -> None:
    sets = (
        "training.learning_rate=1e-5",
        "training.report_to=[]",
        "lora.r=4",
        "data.system=Note: be kind",
        "training.lr_scheduler_kwargs.min_lr=1e-6",
        "training.early_stopping_patience=null",
    )
    text = GOOD + "training: {learning_rate: 3.0, early_stopping_patience: 2}"
    config = load(folder, text, *sets)
    assert config.training.learning_rate == 1e-5
    assert config.training.early_stopping_patience is None
    assert config.training.more == {"lr_scheduler_kwargs": {"min_lr": 1e-6}}
    assert config.data.system == "Note: be kind"
    assert config.lora is not None
    assert config.lora.r == 4
    assert load(folder, GOOD + "lora: {r: 4}", "lora=null").lora is None


CASES = [
    ("lerning_rate: 1", "line 4: training.lerning_rate: unknown; did you mean learning_rate?"),
    ("lr: 1", "line 4: training.lr: unknown; did you mean training.learning_rate?"),
    ("adam_beta11: 1", "line 4: training.adam_beta11: unknown; did you mean adam_beta1?"),
    ("max_length: 5", "line 4: training.max_length: unknown; did you mean data.max_length?"),
    (
        "learning_rate: fast",
        "line 4: training.learning_rate: must be a number, but is the text 'fast'",
    ),
    ("eval_steps: 24.5", "line 4: training.eval_steps: must be a whole number, but is 24.5"),
    ("seed: 010", "line 4: training.seed: must be a whole number, but is the text '010'"),
    ("seed: true", "line 4: training.seed: must be a whole number, but is true"),
    ("seed: [1]", "line 4: training.seed: must be a whole number, but is a list"),
    ("seed:", "line 4: training.seed: must be a whole number, but is empty"),
    ("learning_rate: .nan", "line 4: training.learning_rate: must be a finite number"),
    ("learning_rate: 0", "line 4: training.learning_rate: must be above 0, but is 0.0"),
    ("adam_beta1: a", "line 4: training.adam_beta1: must be a number, but is the text 'a'"),
    ("bf16: 1", "line 4: training.bf16: must be true or false, but is 1"),
    ("seed: -1", "line 4: training.seed: must be at least 0, but is -1"),
    ("seed: 4294967296", "line 4: training.seed: must be at most 4294967295"),
    ("warmup_ratio: 1", "line 4: training.warmup_ratio: must be at least 0 and below 1"),
    ("warmup_ratio: 0.1\n  warmup_steps: 9", "line 5: training.warmup_steps: is given besides"),
    ("eval_steps: 24\n  save_steps: 36", "line 5: training.save_steps: must be a multiple or a"),
    ("eval_strategy: steps", "training.eval_steps: is missing: eval_strategy is steps"),
    ("save_strategy: steps", "training.save_steps: is missing: save_strategy is steps"),
    ("eval_strategy: epoch\n  eval_steps: 2", "line 5: training.eval_steps: is given, but"),
    ("save_strategy: best", "line 4: training.save_strategy: best is not supported: it keeps no"),
    ("eval_strategy: step", "but is 'step'; did you mean steps?"),
    ("lr_scheduler_type: cosin", "but is 'cosin'; did you mean cosine?"),
    ("metric_for_best_model: accuracy", "training.metric_for_best_model: must be eval_loss"),
    ("early_stopping_threshold: 0.1", "training.early_stopping_patience: is missing"),
    (
        "early_stopping_patience: 1\n  early_stopping_threshold: -1",
        "line 5: training.early_stopping_threshold: must be at least 0, but is -1.0",
    ),
    (
        "eval_strategy: no\n  early_stopping_patience: 2",
        "line 5: training.early_stopping_patience: needs evaluations, but eval_strategy is no",
    ),
    (
        "eval_strategy: no\n  load_best_model_at_end: true",
        "line 5: training.load_best_model_at_end: needs evaluations, but eval_strategy is no",
    ),
    ("seed: 1\n  seed: 2", "line 5: seed stands twice, first in line 4"),
    ("fp16: true", "line 4: training.fp16: cannot be set: float16"),
]


@pytest.mark.parametrize(("line", "message"), CASES, ids=[line for line, _ in CASES])
def test_a_mistake_is_named_with_its_line_and_what_was_found(
    folder: Path, line: str, message: str
) -> None:
    found = mistakes(folder, f"{GOOD}training:\n  {line}\n")
    assert len(found) == 1
    assert message in found[0]


TOP = [
    ("", "data.train: is missing"),
    ("- a", "must have the sections model:, data: and training:"),
    (GOOD + "trainig: {}", "trainig: no section of a training YAML; did you mean training?"),
    (GOOD + "learning_rate: 1", "line 3: learning_rate: must stand under training:"),
    (GOOD + "training: 3", "line 3: training: must be a section with keys of its own"),
    (GOOD + "lora: {alpha: 0, dropout: 1}", "lora.dropout: must be at least 0 and below 1"),
    (GOOD.replace("train.jsonl", "trian.jsonl"), "trian.jsonl; did you mean train.jsonl?"),
    (GOOD.replace("train.jsonl", "train.jsonl, eval: x"), "data.eval: there is no"),
    (GOOD.replace("train.jsonl", "train.jsonl, eval_share: 0"), "data.eval_share: is 0"),
    (GOOD.replace("Qwen/Q", "./Qwen/Q"), "model.name_or_path: there is no"),
    (GOOD.replace("0.5B", "0.5B, config: model"), "model.config: is given besides"),
    (GOOD.replace("name_or_path", "family"), "model.name_or_path: is missing"),
    (GOOD.replace("0.5B", "0.5B, trust_remote_code: true"), "nothing in a YAML allows it"),
    (GOOD.replace("0.5B", "0.5B, dtype: float16"), "must be one of float32, bfloat16"),
]


@pytest.mark.parametrize(("text", "message"), TOP, ids=[message for _, message in TOP])
def test_a_mistake_outside_of_training_is_named_too(folder: Path, text: str, message: str) -> None:
    assert any(message in found for found in mistakes(folder, text))


@pytest.mark.parametrize(
    "override",
    ["x=1", "training", "training.lerning_rate=1", "training=3", "=", "lora.r=[", "a.b=1"],
)
def test_a_mistake_after_set_says_that_it_stood_there(folder: Path, override: str) -> None:
    found = mistakes(folder, GOOD, override)
    assert len(found) == 1
    assert "--set " in found[0] or "not valid YAML" in found[0]


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(folder: Path) -> None:
    bad = "data: {trian: x, format: pdf}\ntraining:\n  lr: 1\n  seed: a\n  eval_steps: true\n  fp16: true\n"
    found = mistakes(folder, bad, "lora.q=1")
    assert [text.split(":")[0] for text in found] == [
        "line 1",
        "line 1",  # found last, as it is a value and not a key
        "line 3",
        "line 4",
        "line 5",
        "line 6",
        "--set lora.q",
        "model.name_or_path",
        "data.train",
    ]


def test_what_does_not_go_with_a_batch_size_is_named_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    text = GOOD + (
        "training:\n  batch_size: 3\n  gradient_accumulation_steps: 2\n"
        "  packing: false\n  row_tokens: 4096\n  train_sampling_strategy: group_by_length\n"
    )
    found = " ".join(mistakes(folder, text))
    assert "batch_size: must be at least the number of processes (4), but is 3" in found
    assert "gradient_accumulation_steps: is given besides batch_size" in found
    assert "row_tokens: is given, but packing is false" in found
    assert "train_sampling_strategy: group_by_length does not go with batch_size" in found
    monkeypatch.setenv("WORLD_SIZE", "3")
    loaded = load(folder, GOOD + "training: {batch_size: 3, gradient_accumulation_steps: 1}\n")
    assert loaded.training.batch_size == 3


def test_a_value_of_the_wrong_type_is_one_mistake_and_not_two(folder: Path) -> None:
    text = GOOD + "training: {eval_strategy: steps, eval_steps: often, save_steps: 7}"
    assert len(mistakes(folder, text)) == 1
    text = GOOD + "training: {early_stopping_patience: a, early_stopping_threshold: 0.1}"
    assert len(mistakes(folder, text)) == 1


def test_every_key_that_we_reserve_or_rename_exists_and_none_is_our_own() -> None:
    ours = {key for section in SECTIONS for key in own_types(section)}
    gone = {"save_safetensors"}
    assert set(RESERVED) - set(argument_types()) <= gone
    assert not set(RESERVED) & set(own_types("training"))
    assert set(RENAMED.values()) <= ours | set(argument_types())
    assert not set(RENAMED) & ours


@pytest.mark.parametrize("key", sorted(RESERVED))
def test_a_key_that_ftadvise_sets_itself_is_refused_with_the_reason(
    folder: Path, key: str
) -> None:
    found = mistakes(folder, f"{GOOD}training:\n  {key}: true\n")
    assert found == (f"line 4: training.{key}: cannot be set: {RESERVED[key]}",)


def test_the_hash_is_of_the_settings_and_not_of_their_place(folder: Path, tmp_path: Path) -> None:
    first = load(folder, GOOD)
    moved = dataclasses.replace(
        first, path="/else", training=dataclasses.replace(first.training, output_dir="x")
    )
    assert config_hash(first) == config_hash(moved)
    assert config_hash(first) != config_hash(load(folder, GOOD, "training.adam_beta1=0.8"))
    code = (
        "import sys; from ftadvise_trainer.settings.file import load_config as l;"
        "from ftadvise_trainer.config import config_hash as h; print(h(l(sys.argv[1])))"
    )
    load(folder, GOOD)
    other = subprocess.run(
        [sys.executable, "-c", code, str(folder / "training.yaml")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"},
    )
    assert other.stdout.strip() == config_hash(first)


def test_the_plain_form_is_the_yaml_and_survives_json(folder: Path) -> None:
    config = load(folder, GOOD, "training.adam_beta1=0.8", "lora.target_modules=[q, v]")
    plain = to_dict(config)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["training"]["adam_beta1"] == 0.8
    assert "path" not in plain
    (folder / "again.yaml").write_text(json.dumps(plain))
    assert to_dict(load_config(folder / "again.yaml")) == plain
