"""Files that the runs need: pre-trained models, data, one YAML for each fine-tune."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from auto_plan import BATCH, EVAL_PAIRS, LOGS_PER_EPOCH, Base, FineTune

LENGTH = 256  # tokens of a window that is pre-trained on
ROWS = 64
PEAK = 8e-4
PAD, EOS = "<pad>", "<eos>"


def model_of(base: Base, vocabulary: int) -> Any:
    """Return a model with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    if base.kind == "gpt2":
        shape = GPT2Config(
            vocab_size=vocabulary, n_positions=512, n_embd=base.width, n_layer=base.layers,
            n_head=base.heads, pad_token_id=0, eos_token_id=2, bos_token_id=None,
        )  # fmt: skip
        return GPT2LMHeadModel(shape)
    shape = LlamaConfig(
        vocab_size=vocabulary, hidden_size=base.width, num_hidden_layers=base.layers,
        num_attention_heads=base.heads, num_key_value_heads=base.heads,
        intermediate_size=64 * round(base.width * 2.8 / 64), max_position_embeddings=512,
        tie_word_embeddings=True, pad_token_id=0, eos_token_id=2, bos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(shape)


def pretrain(base: Base, data: Path, out: Path) -> str:
    """Pre-train a model on the pool and save it with its tokenizer; return what came of it."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    begin = time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pool = np.load(data / "pool.npy", mmap_mode="r")
    rows = torch.from_numpy(
        pool[: len(pool) // LENGTH * LENGTH].astype(np.int64).reshape(-1, LENGTH)
    )
    tokenizer = Tokenizer.from_file(str(data / "tokenizer.json"))
    model = model_of(base, tokenizer.get_vocab_size()).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=PEAK,
        betas=(0.9, 0.95),
        weight_decay=0.1,
        fused=device.type == "cuda",
    )
    steps = max(4, base.tokens // (LENGTH * ROWS))
    draw = torch.Generator().manual_seed(0)
    last: list[float] = []
    for step in range(steps):
        warm, rest = min(1.0, (step + 1) / (0.03 * steps + 1)), 1.0 - step / steps
        for group in optimizer.param_groups:
            group["lr"] = PEAK * warm * rest
        batch = rows[torch.randint(len(rows), (ROWS,), generator=draw)].to(device)
        with torch.autocast(device.type, torch.bfloat16):
            loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 0 or step >= steps - 5:
            last.append(float(loss.detach()))
    count = sum(p.numel() for p in model.parameters())
    model.save_pretrained(out / "unfinished")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=EOS)
    fast.save_pretrained(out / "unfinished")
    (out / "unfinished").rename(out / base.kind)
    return (
        f"{base.kind}: {count / 1e6:.1f} M parameters, {steps} steps of {ROWS * LENGTH} tokens, "
        f"loss {last[0]:.2f} to {np.mean(last[-4:]):.2f}, {time.monotonic() - begin:.0f} s"
    )


def write_data(one: FineTune, data: Path, folder: Path) -> None:
    """Write train.jsonl, eval.jsonl and training.yaml of one fine-tune."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (data / f"{one.data_set}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    order = np.random.default_rng(one.seed).permutation(len(lines) - EVAL_PAIRS)
    chosen = [lines[EVAL_PAIRS + place] for place in order[: one.examples]]
    (folder / "eval.jsonl").write_text("".join(lines[:EVAL_PAIRS]), encoding="utf-8")
    (folder / "train.jsonl").write_text("".join(chosen), encoding="utf-8")
    settings = {
        "model": {"name_or_path": str(folder.parent / one.base.kind)},
        "data": {
            "train": "train.jsonl",
            "eval": "eval.jsonl",
            "format": "prompt_completion",
            "max_length": 160,
        },
        "training": {
            "output_dir": str(folder / "checkpoints"),
            "learning_rate": one.rate,
            "per_device_train_batch_size": BATCH,
            "per_device_eval_batch_size": 64,
            "logging_steps": max(1, math.floor(one.per_epoch / LOGS_PER_EPOCH)),
            "warmup_ratio": 0.05,
            "seed": one.seed,
        },
    }
    # JSON is YAML.
    (folder / "training.yaml").write_text(json.dumps(settings, indent=1), encoding="utf-8")
