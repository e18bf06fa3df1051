"""transformers.Trainer and TRL's SFTTrainer, as people run them and as well as they can be run."""

from __future__ import annotations

import dataclasses
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from speed_clock import Recorded, StepClock, result
from speed_data import EOS, IGNORED, PAD, Example, model_of
from transformers import DataCollatorWithFlattening, Trainer, TrainingArguments

if TYPE_CHECKING:
    from collections.abc import Callable


class RecordedTrainer(Recorded, Trainer):  # type: ignore[misc]  # transformers has no types
    """transformers.Trainer, watched."""


@dataclass(frozen=True)
class Peer:
    """One way of running transformers.Trainer.

    Attributes:
        dtype: Type of the weights.
        batch: Examples in a step.
        attention: As in `attn_implementation`.
        flat: Whether examples are laid end to end by DataCollatorWithFlattening.
        liger: Whether Liger's kernels are used, where they are installed.
        options: Further TrainingArguments; those that this version does not know are an error.
    """

    dtype: str = "bfloat16"
    batch: int = 8
    attention: str | None = None
    flat: bool = False
    liger: bool = False
    options: tuple[tuple[str, Any], ...] = ()


def padded(items: list[Example]) -> dict[str, torch.Tensor]:
    """Pad examples on the right to the longest, as DataCollatorForSeq2Seq does."""
    ids, labels = (
        torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(item[key]) for item in items], batch_first=True, padding_value=filler
        )
        for key, filler in (("input_ids", PAD), ("labels", IGNORED))
    )
    return {"input_ids": ids, "attention_mask": labels.ne(IGNORED).long(), "labels": labels}


def arguments(folder: str, batch: int, **more: Any) -> dict[str, Any]:
    """Return TrainingArguments that all have in common."""
    bf16 = torch.cuda.is_available()
    return {
        "output_dir": folder,
        "num_train_epochs": 100,
        "per_device_train_batch_size": batch,
        "learning_rate": 1e-5,
        "lr_scheduler_type": "constant",
        "logging_steps": 10,
        "bf16": bf16,
        "use_cpu": not bf16,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "seed": 0,
        **more,
    }


def liger() -> bool:
    """Say whether Liger's kernels can be used here; they need a GPU."""
    return torch.cuda.is_available() and importlib.util.find_spec("liger_kernel") is not None


def run_peer(
    shape: str, rows: list[Example], clock: StepClock, folder: str, **options: Any
) -> dict[str, Any]:
    """Train with transformers.Trainer and return what was measured."""
    peer = Peer(**options)
    model = model_of(shape, getattr(torch, peer.dtype), peer.attention)
    kernels = {"use_liger_kernel": True} if peer.liger and liger() else {}
    how = arguments(folder, peer.batch, **kernels, **dict(peer.options))
    known = {field.name for field in dataclasses.fields(TrainingArguments)}
    if absent := sorted(set(how) - known):
        raise SystemExit(f"this version of transformers does not know {', '.join(absent)}")
    collator: Callable[[Any], Any] = DataCollatorWithFlattening() if peer.flat else padded
    examples: Any = rows
    trainer = RecordedTrainer(
        model=model,
        args=TrainingArguments(**how),
        train_dataset=examples,
        data_collator=collator,
        callbacks=[clock],
    )
    trainer.train()
    return result(trainer, clock) | {"liger": bool(kernels)}


def run_trl(
    shape: str,
    rows: list[Example],
    clock: StepClock,
    folder: str,
    *,
    attention: str | None = None,
    batch: int = 8,
) -> dict[str, Any]:
    """Train with SFTTrainer: packing (best fit), its own loss in chunks, Liger's layers if there."""
    import trl
    from datasets import Dataset  # type: ignore[import-untyped]
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    peer: Any = trl
    watched: Any = type("RecordedSFT", (Recorded, peer.SFTTrainer), {})

    words = {"<pad>": PAD, "<eos>": EOS, "<unk>": EOS + 1}
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<unk>")),
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
    )
    how = arguments(
        folder,
        batch,
        packing=True,
        max_length=max(len(row["input_ids"]) for row in rows),
        gradient_checkpointing=False,
        use_liger_kernel=liger(),
        remove_unused_columns=True,
    )
    trainer = watched(
        model=model_of(shape, torch.bfloat16, attention),
        args=peer.SFTConfig(**how),
        train_dataset=Dataset.from_dict({"input_ids": [row["input_ids"] for row in rows]}),
        processing_class=tokenizer,
        callbacks=[clock],
    )
    trainer.train()
    return result(trainer, clock) | {"liger": liger()}
