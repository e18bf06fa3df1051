"""The training YAML as frozen dataclasses, with a docstring under each field."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ModelConfig:
    """Which model is fine-tuned, under `model:`."""

    name_or_path: str = ""
    """Name on the hub, or a folder with a model."""

    config: str | None = None
    """Folder or file with a `config.json`: the model starts from random weights, seeded."""

    tokenizer: str | None = None
    """Name or folder of the tokenizer; that of the model when left out."""

    family: str | None = None
    """Name of the model family; found by the model's type when left out."""

    dtype: str = "float32"
    """Type of the master weights, `float32` or `bfloat16`."""

    revision: str | None = None
    """Branch, tag or commit on the hub."""

    attn_implementation: str | None = None
    """Kind of attention, as in `from_pretrained`; left out, transformers chooses."""


@dataclass(frozen=True)
class DataConfig:
    """What it is fine-tuned on, under `data:`."""

    train: str = ""
    """File or folder: JSON, JSONL, CSV, Parquet, or a folder saved by `datasets`."""

    eval: str | None = None
    """The same for evaluation; when left out, `eval_share` of the train examples, by hash."""

    eval_share: float = 0.05
    """Share of the examples that is held out when there is no `eval`."""

    format: str = "auto"
    """Shape of the records: `auto`, `alpaca`, `messages`, `sharegpt`, `prompt_completion` or `text`."""

    loss_on: str = "answers"
    """`answers`, or `all` for every token."""

    max_length: int = 1024
    """Longer examples are truncated, and counted."""

    system: str | None = None
    """System message for conversations that have none."""


@dataclass(frozen=True)
class LoraSettings:
    """LoRA instead of a full fine-tune, under `lora:`."""

    r: int = 16
    """Rank of the adapter."""

    alpha: float = 32.0
    """Scale: what the adapter gives is multiplied by alpha / r."""

    dropout: float = 0.0
    """Dropout on the adapter's input."""

    target_modules: tuple[str, ...] = ()
    """Names of the layers to adapt; those of the model family when left out."""

    merge: bool = False
    """Whether `checkpoints/final` holds the merged model instead of the adapter."""


@dataclass(frozen=True)
class TrainingConfig:
    """How it is trained, under `training:`; names and meaning are those of `TrainingArguments`.

    Any other key of `transformers.TrainingArguments` may stand here too and is passed on in
    `more`, except those that ftadvise has to set itself.
    """

    output_dir: str = "checkpoints"
    """Where checkpoints, metrics and `final` are written, from the folder you are in."""

    num_train_epochs: float = 3.0
    """Passes over the data."""

    learning_rate: float = 1e-5
    """Peak learning rate."""

    lr_scheduler_type: str = "linear"
    """Schedule of the learning rate; `auto` holds it until the run's curves say the end is near."""

    warmup_ratio: float = 0.03
    """Share of the steps that warm up."""

    weight_decay: float = 0.0
    """Weight decay of AdamW."""

    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm."""

    per_device_train_batch_size: int = 4
    """Examples in a forward pass."""

    per_device_eval_batch_size: int = 8
    """Examples in a forward pass of the evaluation, unless they are packed; the eval loss does not
    depend on it."""

    gradient_accumulation_steps: int = 1
    """Batches in an optimizer step."""

    batch_size: int | None = None
    """Examples in an optimizer step over all processes, instead of the two keys above."""

    packing: bool | None = None
    """Whether the examples of a batch are laid end to end; None where the model can do it."""

    row_tokens: int | None = None
    """Tokens of a forward pass when packing; None takes what fits into the memory."""

    fused_loss: bool | None = None
    """Whether the loss is computed in pieces, never all logits; None where the model can do it."""

    compile_blocks: bool | None = None
    """Whether each decoder block is compiled; None does so on a GPU when the run is long enough."""

    bf16_updates: str = "stochastic"
    """How bfloat16 weights are updated: `stochastic` rounding, `kahan` sums, or to the `nearest`."""

    sharding: str = "auto"
    """On several GPUs: `ddp`, `fsdp`, `hsdp` (sharded within a host), or `auto` by memory."""

    eval_strategy: str = "epoch"
    """`epoch` or `steps`; `no` trains without evaluations, so nothing can be called best."""

    eval_steps: int | None = None
    """Optimizer steps between evaluations; with it, `eval_strategy` may be left out."""

    save_strategy: str | None = None
    """`epoch` or `steps`, and by default as `eval_strategy`."""

    save_steps: int | None = None
    """Optimizer steps between checkpoints; a multiple or a divisor of `eval_steps`."""

    save_total_limit: int = 3
    """How many checkpoints of lowest eval loss are kept; the newest is kept besides."""

    load_best_model_at_end: bool = True
    """Whether `final` holds the best model (else the last)."""

    average_checkpoints: bool | None = None
    """Whether `final` is the mean of the best checkpoints where that has a lower eval loss; None
    looks with `--auto`."""

    metric_for_best_model: str = "eval_loss"
    """Only `eval_loss` is supported."""

    early_stopping_patience: int | None = None
    """Evaluations without improvement before the run stops; None never stops it."""

    early_stopping_threshold: float = 0.0
    """Gain in loss that counts; smaller gains add up."""

    stop_when_eval_rises_while_train_falls: int | None = None
    """Stop after so many evaluations in a row with rising eval and falling train loss."""

    logging_steps: int = 10
    """Optimizer steps between logged train losses."""

    seed: int = 42
    """Seed of random weights, data order and dropout."""

    bf16: bool | None = None
    """bf16 autocast; None takes it where the device supports it."""

    report_to: tuple[str, ...] = ()
    """Loggers, as in transformers."""

    more: dict[str, Any] = field(default_factory=dict[str, Any])
    """Other keys of `TrainingArguments`."""


@dataclass(frozen=True)
class Config:
    """A whole training YAML."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    lora: LoraSettings | None = None
    path: str = ""
    """Where it was read from; what it names for reading is looked for from its folder."""
    written: frozenset[str] | None = field(default=None, compare=False)
    """Keys of `training:` that somebody wrote; None when the settings come from no file."""
    sources: Mapping[str, str] = field(default_factory=dict[str, str], compare=False)
    """Where a setting of `training:` comes from that nobody wrote and the model's family gave."""

    def find(self, name: str) -> Path:
        """Return the path of something that the YAML names for reading, from the YAML's folder."""
        return Path(self.path).parent / Path(name).expanduser()

    def find_or_hub(self, name: str) -> str:
        """Return the path of a model or tokenizer if it is there, else `name` for the hub."""
        # In full, because an adapter remembers the name and is loaded from anywhere.
        path = self.find(name)
        return str(path.absolute()) if path.exists() else name

    @property
    def output_dir(self) -> Path:
        """The folder that is written to, from the folder the command runs in."""
        return Path(self.training.output_dir).expanduser()


def to_dict(config: Config) -> dict[str, Any]:
    """Return the YAML as plain data, with every default, and nothing on where it comes from.

    Keys in `more` stand among the others under `training`, where they are written in the YAML.
    """
    plain: dict[str, Any] = {
        "model": asdict(config.model),
        "data": asdict(config.data),
        "training": asdict(config.training),
        "lora": asdict(config.lora) if config.lora else None,
    }
    plain["training"] |= plain["training"].pop("more")
    # A round trip through JSON turns tuples into lists, and a number that is none into an error.
    made: dict[str, Any] = json.loads(json.dumps(plain, allow_nan=False))
    return made


def config_hash(config: Config) -> str:
    """Return the SHA-256 of all settings but where they stand and where the run is written."""
    plain = to_dict(config)
    del plain["training"]["output_dir"]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
