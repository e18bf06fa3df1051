"""The exported settings, taken by the real trainers; each test needs the tool that it is about."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import ftadvise
from ftadvise.advice import Advice, Recommendation
from ftadvise.config.exports import export
from ftadvise.config.layouts import layout
from ftadvise.config.patching import patch
from ftadvise.config.why import evals_per_epoch
from ftadvise.reports.configuration import settings
from ftadvise.stop_rules import cumulative_stop, lightning_stop

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("DISABLE_VERSION_CHECK", "1")  # of LLaMA-Factory, which pins transformers

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LOSSES = [1.0, 0.8, 0.7, 0.71, 0.69999, 0.72, 0.73, 0.74, 0.75, 0.76, 0.77, 0.78]

# Warnings of other people's imports are no mistakes of ours.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def advice() -> Advice:
    return ftadvise.advise(ftadvise.read(EXAMPLES / "chat" / "trainer_state.json"))


def made(snippet: str) -> dict[str, Any]:
    """Return what a snippet defines."""
    names: dict[str, Any] = {}
    exec(compile(snippet, "snippet", "exec"), names)  # noqa: S102 - our own snippet
    return names


def check_arguments(args: Any, advised: Recommendation) -> None:
    """Compare arguments of any heir of transformers with the advice."""
    assert args.num_train_epochs == advised.num_train_epochs
    assert args.eval_strategy.value == advised.eval_strategy
    assert args.save_strategy.value == advised.save_strategy
    assert (args.eval_steps, args.save_steps) == (advised.eval_steps, advised.save_steps)
    assert args.save_total_limit == advised.save_total_limit
    assert args.load_best_model_at_end is True
    assert args.metric_for_best_model == "eval_loss"
    assert args.greater_is_better is False


def test_ftadvise_itself_reads_what_it_exports(advice: Advice, tmp_path: Path) -> None:
    config_file: Any = pytest.importorskip("ftadvise_trainer.settings.file")
    tiny = EXAMPLES / "tiny"
    text = f"model: {{config: {tiny / 'model'}}}\ndata: {{train: {tiny / 'train.jsonl'}}}\n"
    path = tmp_path / "training.yaml"
    path.write_text(text + export(advice, "ftadvise"))
    training = config_file.load_config(path).training
    for name, value in settings(advice.recommendation).items():
        assert getattr(training, name) == value


@pytest.mark.parametrize(("tool", "module"), [("hf", "transformers"), ("trl", "trl")])
def test_transformers_and_trl_take_the_arguments_and_the_callback(
    advice: Advice, tool: str, module: str
) -> None:
    pytest.importorskip(module)
    # TRL asks for bf16 by default, which it refuses where there is no GPU.
    snippet = export(advice, tool).replace("output_dir=", "use_cpu=True, output_dir=")
    names = made(snippet)
    check_arguments(names["args"], advice.recommendation)
    stop = names["early_stopping"]
    assert stop.early_stopping_patience == advice.recommendation.early_stopping_patience
    assert stop.early_stopping_threshold == advice.recommendation.early_stopping_threshold


def test_a_patched_file_of_training_arguments_is_read_by_transformers(
    advice: Advice, tmp_path: Path
) -> None:
    transformers: Any = pytest.importorskip("transformers")
    found = layout("hf", advice.recommendation)
    text = "output_dir: out\nuse_cpu: true\nreport_to: none\ngreater_is_better: true\n"
    path = tmp_path / "args.yaml"
    path.write_text(patch(text, found.section, found.settings).text)
    parser = transformers.HfArgumentParser(transformers.TrainingArguments)
    (args,) = parser.parse_yaml_file(str(path))
    check_arguments(args, advice.recommendation)


def test_axolotl_takes_the_settings_and_drops_a_threshold(advice: Advice) -> None:
    schema: Any = pytest.importorskip("axolotl.utils.schemas.config")
    base = {
        "base_model": "x",
        "datasets": [{"path": "a.jsonl", "type": "alpaca"}],
        "micro_batch_size": 1,
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-5,
        "val_set_size": 0.1,
    }
    given = yaml.safe_load(export(advice, "axolotl"))
    config = schema.AxolotlInputConfig(**base, **given)
    for name, value in given.items():
        assert getattr(config, name) == value
    strange = schema.AxolotlInputConfig(**base, early_stopping_threshold=0.1)
    assert not hasattr(strange, "early_stopping_threshold")


def test_axolotl_takes_a_share_of_the_run_where_steps_are_unknown(advice: Advice) -> None:
    schema: Any = pytest.importorskip("axolotl.utils.schemas.config")
    advised = replace(
        advice.recommendation,
        eval_strategy="epoch", eval_steps=None, save_strategy="epoch", save_steps=None,
    )  # fmt: skip
    text = "base_model: x\ndatasets:\n  - {path: a.jsonl, type: alpaca}\nval_set_size: 0.1\n"
    text += "micro_batch_size: 1\ngradient_accumulation_steps: 1\nlearning_rate: 1.0e-5\n"
    patched = patch(text, None, layout("axolotl", advised).settings).text
    config = schema.AxolotlInputConfig(**yaml.safe_load(patched))
    assert 0 < config.eval_steps == config.save_steps < 1


def test_axolotl_takes_a_patched_file_that_counted_by_epochs(advice: Advice) -> None:
    schema: Any = pytest.importorskip("axolotl.utils.schemas.config")
    text = (
        "base_model: x\ndatasets:\n  - {path: a.jsonl, type: alpaca}\nval_set_size: 0.1\n"
        "micro_batch_size: 1\ngradient_accumulation_steps: 1\nlearning_rate: 1.0e-5\n"
        "num_epochs: 1\nevals_per_epoch: 4\nsaves_per_epoch: 1\neval_strategy: epoch\n"
    )
    found = layout("axolotl", advice.recommendation)
    config = schema.AxolotlInputConfig(**yaml.safe_load(patch(text, None, found.settings).text))
    assert config.eval_steps == config.save_steps == advice.recommendation.eval_steps
    assert config.eval_strategy == "steps"


def test_llama_factory_takes_the_settings(advice: Advice, tmp_path: Path) -> None:
    parser: Any = pytest.importorskip("llamafactory.hparams.parser")
    given = yaml.safe_load(export(advice, "llama-factory"))
    base = {
        "model_name_or_path": "x",
        "dataset": "x",
        "output_dir": str(tmp_path),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "template": "qwen",
        "val_size": 0.1,
        "report_to": "none",
    }
    _, _, training, finetuning, _ = parser.get_train_args(base | given)
    check_arguments(training, advice.recommendation)
    assert finetuning.early_stopping_steps == advice.recommendation.early_stopping_patience
    with pytest.raises(ValueError, match="early_stopping_threshold"):
        parser.get_train_args(base | given | {"early_stopping_threshold": 0.1})


def test_lightning_evaluates_stops_and_keeps_as_advised(
    advice: Advice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lightning: Any = pytest.importorskip("lightning.pytorch")
    torch: Any = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    seen: list[float] = []

    class Scripted(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: Any) -> Any:
            return self.layer(batch[0]).mean()

        def validation_step(self, batch: Any) -> None:
            if not self.trainer.sanity_checking:
                seen.append(LOSSES[len(seen)])
                self.log("val_loss", seen[-1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.0)

    names = made(export(advice, "lightning"))
    trainer, stop, checkpoint = names["trainer"], names["early_stopping"], names["checkpoint"]
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(8, 1)))
    one = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(1, 1)))
    trainer.fit(Scripted(), data, one)

    advised, per_epoch = advice.recommendation, evals_per_epoch(advice)
    total = advised.num_train_epochs * per_epoch
    losses = np.array(LOSSES[:total])
    stops = int(lightning_stop(losses, stop.patience, abs(stop.min_delta)))
    assert len(seen) == min(total, stops)
    assert stop.patience == advised.early_stopping_patience
    assert abs(stop.min_delta) == advised.early_stopping_threshold
    best = len(seen[: int(np.argmin(seen)) + 1])
    assert f"step={best * 8 // per_epoch}" in checkpoint.best_model_path
    assert len(checkpoint.best_k_models) == min(len(seen), advised.save_total_limit - 1)


def test_keras_stops_and_restores_as_advised(
    advice: Advice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras: Any = pytest.importorskip("keras")
    monkeypatch.chdir(tmp_path)
    names = made(export(advice, "keras"))
    assert names["epochs"] == advice.recommendation.num_train_epochs
    stop = names["early_stopping"]
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    for callback in names["callbacks"]:
        callback.set_model(model)
        callback.on_train_begin()
    done = 0
    for epoch, loss in enumerate(LOSSES):
        model.layers[0].set_weights([np.full((1, 1), float(epoch)), np.zeros(1)])
        for callback in names["callbacks"]:
            callback.on_epoch_begin(epoch)
            callback.on_epoch_end(epoch, {"val_loss": loss})
        done = epoch + 1
        if model.stop_training:
            break
    assert stop.patience >= 1
    assert done == int(cumulative_stop(np.array(LOSSES), stop.patience, abs(stop.min_delta)))
    stop.on_train_end()
    assert float(model.layers[0].get_weights()[0][0, 0]) == stop.best_epoch
    kept = keras.models.load_model("best.keras")
    assert float(kept.layers[0].get_weights()[0][0, 0]) == int(np.argmin(LOSSES[:done]))
