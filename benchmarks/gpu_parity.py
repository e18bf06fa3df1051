"""Does FineTuner train to the same loss curve as transformers.Trainer, on a model of real size?

usage: python benchmarks/gpu_parity.py TEXT_FOLDER [--steps 200] [--tiny] [--json FILE]

A model of the shape of Qwen2.5-0.5B (vocabulary 151,936; `--tiny` for a machine without a GPU)
starts twice from the same random weights and trains on the same examples of ragged length, cut
from the text files under TEXT_FOLDER: once with transformers.Trainer, once with FineTuner. Weights
are float32; the forward pass is bf16 autocast where the GPU has it. Printed are both loss curves,
their largest difference, the eval loss of each at several eval batch sizes, and tokens per second.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen2Config, Qwen2ForCausalLM, Trainer, TrainingArguments

from ftadvise_trainer.data.collate import Collator
from ftadvise_trainer.finetuner import FineTuner

ENDINGS = (".py", ".md", ".rst", ".txt", ".html")
LENGTHS = (16, 1024, 200)  # shortest, longest and median, in tokens
EVAL_EXAMPLES, PAD = 96, 0


def texts(folder: Path, most: int) -> Iterator[str]:
    """Yield the text files below `folder`, in order of their names."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix in ENDINGS and p.is_file())
    for path in itertools.islice(paths, most):
        yield path.read_text(encoding="utf-8", errors="replace")


def tokenizer_for(folder: Path, size: int) -> Any:
    """Train a byte-level BPE tokenizer on the text; its first token is for padding."""
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=["<pad>"], show_progress=False)
    tokenizer.train_from_iterator(texts(folder, 400), trainer)
    return tokenizer


def examples(folder: Path, tokenizer: Any, count: int) -> list[dict[str, list[int]]]:
    """Cut the text into `count` examples of log-normally ragged length."""
    rng = np.random.default_rng(0)
    shortest, longest, median = LENGTHS
    found: list[dict[str, list[int]]] = []
    for text in texts(folder, 100_000):
        ids = tokenizer.encode(text[:200_000]).ids
        while len(ids) >= shortest and len(found) < count:
            length = int(np.clip(rng.lognormal(np.log(median), 0.8), shortest, longest))
            piece, ids = ids[:length], ids[length:]
            if len(piece) >= shortest:
                found.append({"input_ids": piece, "labels": piece})
        if len(found) == count:
            return found
    raise SystemExit(f"{folder} has text for {len(found)} of {count} examples only")


def model_of(tiny: bool) -> Any:
    """Return the model with the same random weights every time."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151_936,
    }
    if tiny:
        shape |= {"hidden_size": 56, "intermediate_size": 96, "num_hidden_layers": 2}
        shape |= {"vocab_size": 2048}
    return Qwen2ForCausalLM(Qwen2Config(**shape, tie_word_embeddings=True))


def arguments(folder: str, steps: int) -> TrainingArguments:
    """Return the same arguments for both."""
    bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return TrainingArguments(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=2,
        per_device_eval_batch_size=8,
        learning_rate=3e-4,
        warmup_steps=20,
        logging_steps=10,
        logging_nan_inf_filter=False,
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        prediction_loss_only=True,
        seed=0,
    )


def run(kind: type[Trainer], rows: Any, steps: int, tiny: bool) -> Any:
    """Train once and return the losses, the eval losses by batch size, and the speed."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = kind(
            model=model_of(tiny),
            args=arguments(folder, steps),
            train_dataset=rows[EVAL_EXAMPLES:],
            eval_dataset=rows[:EVAL_EXAMPLES],
            data_collator=Collator(PAD),
        )
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        losses = {r["step"]: r["loss"] for r in trainer.state.log_history if "loss" in r}
        by_batch = {}
        for size in (1, 8, 32):
            trainer.args.per_device_eval_batch_size = size
            by_batch[size] = float(trainer.evaluate()["eval_loss"])
    tokens = sum(len(r["input_ids"]) for r in rows[EVAL_EXAMPLES:]) / len(rows[EVAL_EXAMPLES:])
    speed = tokens * 16 * steps / seconds
    return {"losses": losses, "eval_loss": by_batch, "tokens_per_second": speed}


def main() -> None:
    """Run both and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    tokenizer = tokenizer_for(given.folder, 2048 if given.tiny else 32_000)
    rows = examples(given.folder, tokenizer, EVAL_EXAMPLES + 16 * given.steps)
    found = {
        kind.__name__: run(kind, rows, given.steps, given.tiny) for kind in (Trainer, FineTuner)
    }
    theirs, ours = found["Trainer"]["losses"], found["FineTuner"]["losses"]
    for step in theirs:
        print(f"step {step:5d}  transformers {theirs[step]:.6f}  ftadvise {ours[step]:.6f}")
    gap = max(abs(ours[s] / theirs[s] - 1) for s in theirs)
    print(f"largest relative difference of the train loss: {gap:.2e}")
    for name, result in found.items():
        losses = ", ".join(f"{size}: {loss:.6f}" for size, loss in result["eval_loss"].items())
        print(
            f"{name}: eval loss by batch size {losses}; {result['tokens_per_second']:.0f} tokens/s"
        )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
