"""Settings that the YAML leaves out: what the model's family takes for them, and that it is said."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from ftadvise.families import ModelFamily
from ftadvise_plugins.qwen import QWEN
from ftadvise_trainer import commands
from ftadvise_trainer.config import Config, LoraSettings, TrainingConfig
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.settings import recipes
from ftadvise_trainer.settings.file import load_config
from ftadvise_trainer.settings.recipes import with_family_defaults
from ftadvise_trainer.training import train

TINY = Path(__file__).parents[2] / "examples" / "tiny"
FAMILY = ModelFamily(
    name="made",
    defaults={"learning_rate": 3e-3, "num_train_epochs": 2, "lr_scheduler_type": "cosine"},
    default_sources={
        "learning_rate": "the paper",
        "num_train_epochs": "the paper",
        "lr_scheduler_type": "the script",
    },
    lora_defaults={"learning_rate": 4e-3},
    lora_default_sources={"learning_rate": "the adapter's script"},
)
YAML = """
model: {{config: {tiny}/model, tokenizer: {tiny}/model}}
data: {{train: {tiny}/train.jsonl, eval: {tiny}/eval.jsonl, max_length: 128}}
training:
  output_dir: {out}
  per_device_train_batch_size: 32
"""


def written(folder: Path, *lines: str) -> Path:
    text = YAML.format(tiny=TINY, out=folder / "out") + "".join(f"  {line}\n" for line in lines)
    (folder / "t.yaml").write_text(text)
    return folder / "t.yaml"


def loaded(folder: Path, *lines: str, told: tuple[str, ...] = ()) -> TrainingConfig:
    return with_family_defaults(load_config(written(folder, *lines), told), FAMILY).training


def test_what_the_yaml_leaves_out_is_the_familys(tmp_path: Path) -> None:
    made = loaded(tmp_path)
    assert (made.learning_rate, made.num_train_epochs) == (3e-3, 2.0)
    assert made.lr_scheduler_type == "cosine"
    assert isinstance(made.num_train_epochs, float)  # as if it had been written, also in the hash
    assert made.warmup_ratio == TrainingConfig().warmup_ratio  # the family has none


def test_the_yaml_wins_also_where_it_writes_our_own_default_and_set_wins_over_it(
    tmp_path: Path,
) -> None:
    made = loaded(tmp_path, "learning_rate: 1.0e-05", told=("training.num_train_epochs=7",))
    assert made.learning_rate == TrainingConfig().learning_rate == 1e-5
    assert made.num_train_epochs == 7
    again = loaded(tmp_path, "learning_rate: 1.0e-05", told=("training.learning_rate=2e-5",))
    assert again.learning_rate == 2e-5


def test_a_setting_that_was_changed_since_and_one_made_in_python_stay(tmp_path: Path) -> None:
    config = load_config(written(tmp_path))
    changed = dataclasses.replace(config.training, learning_rate=0.5)
    config = dataclasses.replace(config, training=changed)
    assert with_family_defaults(config, FAMILY).training.learning_rate == 0.5
    assert with_family_defaults(Config(), FAMILY) == Config()


def test_settings_that_hang_together_are_not_mixed(tmp_path: Path) -> None:
    family = dataclasses.replace(
        FAMILY, defaults=FAMILY.defaults | {"warmup_ratio": 0.2}, default_sources={}
    )
    steps = load_config(written(tmp_path, "warmup_steps: 3"))
    assert with_family_defaults(steps, family).training.warmup_ratio == 0
    kwargs = load_config(written(tmp_path, "lr_scheduler_kwargs: {x: 1}"))
    assert with_family_defaults(kwargs, family).training.lr_scheduler_type == "linear"


def test_lora_has_a_recipe_of_its_own(tmp_path: Path) -> None:
    config = dataclasses.replace(load_config(written(tmp_path)), lora=LoraSettings())
    made = with_family_defaults(config, FAMILY)
    assert made.training.learning_rate == 4e-3
    assert made.training.num_train_epochs == TrainingConfig().num_train_epochs
    assert made.sources == {"learning_rate": "the adapter's script"}


@pytest.mark.parametrize("value", ["fast", [1]])
def test_a_default_of_the_wrong_type_is_the_plugins_mistake(tmp_path: Path, value: Any) -> None:
    family = dataclasses.replace(FAMILY, defaults={"learning_rate": value})
    with pytest.raises(TrainError, match="the model family made has the default"):
        with_family_defaults(load_config(written(tmp_path)), family)


def test_the_source_of_each_stands_in_one_line_for_each_source(tmp_path: Path) -> None:
    config = with_family_defaults(load_config(written(tmp_path)), FAMILY)
    assert recipes.lines(config) == [
        "learning_rate 0.003, num_train_epochs 2.0: the paper",
        "lr_scheduler_type cosine: the script",
    ]


def run(*arguments: str) -> str:
    group = click.Group()
    commands.register_commands(group)
    result = CliRunner().invoke(group, ["train", *arguments])
    assert result.exit_code == 0, result.exception
    return result.stdout


def test_print_config_and_the_dry_run_say_where_a_value_comes_from(tmp_path: Path) -> None:
    path = str(written(tmp_path, "num_train_epochs: 1"))
    source = QWEN.default_sources["weight_decay"]
    printed = run(path, "--print-config")
    assert f"  weight_decay: 0.1  # {source}\n" in printed
    assert "  num_train_epochs: 1.0  # set in line" in printed
    (tmp_path / "printed.yaml").write_text(printed)
    assert load_config(tmp_path / "printed.yaml").training.weight_decay == 0.1
    shown = run(path, "--dry-run", "--set", "training.warmup_ratio=0.5")
    values = "learning_rate 1e-05, weight_decay 0.1, lr_scheduler_type cosine"
    assert f"{values}: {source}\n" in shown


def test_print_config_says_when_the_family_cannot_be_known(tmp_path: Path) -> None:
    text = written(tmp_path).read_text().replace(f"config: {TINY}/model", "name_or_path: a/b")
    (tmp_path / "t.yaml").write_text(text)
    printed = run(str(tmp_path / "t.yaml"), "--print-config")
    assert "# Without the defaults of the model's family" in printed
    assert "  learning_rate: 1.0e-05  # default\n" in printed


def test_a_run_says_it_in_its_first_lines_and_trains_that_way(tmp_path: Path) -> None:
    said = io.StringIO()
    config = load_config(written(tmp_path, "num_train_epochs: 1", "logging_steps: 1"))
    outcome = train(config, stream=said)
    assert "left out, so taken from the family: learning_rate 1e-05, warmup_ratio 0.01," in (
        said.getvalue()
    )
    assert outcome.final is not None
    metrics = (tmp_path / "out" / "training_metrics.json").read_text()
    assert '"weight_decay": 0.1' in metrics
    assert '"lr_scheduler_type": "cosine"' in metrics


def test_the_example_names_every_setting_of_a_recipe_so_that_it_means_the_same_tomorrow() -> None:
    assert recipes.left_out(load_config(TINY / "training.yaml")) == []
