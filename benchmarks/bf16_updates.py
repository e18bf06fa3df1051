"""What fine-tunes lose when their weights are bfloat16, by the way the weights are updated.

    python benchmarks/bf16_updates.py            # one CPU core, 10 minutes
    python benchmarks/bf16_updates.py --gpu      # a larger model

A small Llama learns bytes of the Python standard library's sources, and is then fine-tuned on the
prose of the language reference (`pydoc_data`): with float32 weights, and with bfloat16 weights whose
updates are rounded to the nearest (`torch.optim.AdamW`), rounded at random, or summed after Kahan.
All begin with the same weights, which bfloat16 has exactly, and see the same batches. Printed are the
eval loss at the end, its distance to that with float32 in the same order of batches (mean and
standard error over orders), the part of float32's gain that was reached, and how many of the
weights have changed at all.

Last comes the second moment alone, after 3,000 gradients of one size, then 3,000 of a tenth of it.
"""

from __future__ import annotations

import argparse
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from statistics import fmean, stdev
from typing import Any

import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from ftadvise_trainer.bf16.optimizer import Bf16AdamW

MODES = ("float32", "nearest", "stochastic", "kahan")


@dataclass(frozen=True)
class Scale:
    """How much is computed."""

    hidden: int
    layers: int
    rows: int
    length: int
    first_steps: int
    steps: int
    seeds: int
    rates: tuple[float, ...] = (1e-5, 5e-5, 2e-4, 5e-4)


CPU = Scale(hidden=96, layers=3, rows=16, length=96, first_steps=1200, steps=110, seeds=3)
GPU = Scale(hidden=512, layers=8, rows=32, length=512, first_steps=400, steps=50, seeds=2)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gpu", action="store_true", help="a larger model, on CUDA")
    gpu = parser.parse_args().gpu
    scale, device = (GPU, "cuda") if gpu else (CPU, "cpu")
    torch.set_num_threads(1)
    began = time.monotonic()
    code, prose = (text.to(device) for text in texts())
    train, held = prose[: -len(prose) // 8], prose[-len(prose) // 8 :]
    start = pretrained(scale, code, device)
    before = eval_loss(start, held, scale)
    print(f"{sum(p.numel() for p in start.parameters()):,} weights, torch {torch.__version__}")
    print(f"eval loss before: {before:.4f} ({time.monotonic() - began:.0f} s)\n")
    print("| rate | weights | eval loss | minus float32 | gain reached | changed |")
    print("|---|---|---|---|---|---|")
    for rate in scale.rates:
        found = {
            mode: [
                fine_tuned(start, mode, rate, seed, train, held, scale) for seed in seeds(scale)
            ]
            for mode in MODES
        }
        for line in rows(rate, found, before):
            print(line, flush=True)
    print(f"\n{time.monotonic() - began:.0f} s\n")
    second_moments()


def seeds(scale: Scale) -> range:
    """Return the orders of batches."""
    return range(1, scale.seeds + 1)


def texts() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the bytes of the standard library's sources, and of the language reference."""
    library = Path(sysconfig.get_path("stdlib"))
    sources = sorted(p for p in library.glob("*.py") if p.is_file())
    code = b"".join(path.read_bytes() for path in sources)
    prose = "\n\n".join(topics.values()).encode()
    one, two = (torch.frombuffer(bytearray(text), dtype=torch.uint8) for text in (code, prose))
    return one, two


def pretrained(scale: Scale, text: torch.Tensor, device: str) -> Any:
    """Return a model that knows `text`; bfloat16 has each of its float32 weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=scale.hidden,
        intermediate_size=3 * scale.hidden,
        num_hidden_layers=scale.layers,
        num_attention_heads=scale.hidden // 32,
        num_key_value_heads=scale.hidden // 32,
        max_position_embeddings=scale.length,
    )
    model: Any = LlamaForCausalLM(config)
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, fused=True)
    run(model, optimizer, text, scale, scale.first_steps, seed=0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.bfloat16())
    return model


def fine_tuned(
    start: Any,
    mode: str,
    rate: float,
    seed: int,
    train: torch.Tensor,
    held: torch.Tensor,
    scale: Scale,
) -> tuple[float, float]:
    """Return the eval loss after a fine-tune, and the share of weights that it changed."""
    model: Any = LlamaForCausalLM(start.config)
    model.to(next(start.parameters()).device)
    model.load_state_dict(start.state_dict())
    optimizer: torch.optim.Optimizer
    if mode in ("float32", "nearest"):
        model.to(torch.float32 if mode == "float32" else torch.bfloat16)
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0, fused=True)
    else:
        model.to(torch.bfloat16)
        optimizer = Bf16AdamW(model.parameters(), lr=rate, updates=mode, seed=seed)
    run(model, optimizer, train, scale, scale.steps, seed)
    pairs = list(zip(model.parameters(), start.parameters(), strict=True))
    changed = sum(int((new.float() != old).sum()) for new, old in pairs)
    return eval_loss(model, held, scale), changed / sum(old.numel() for _, old in pairs)


def run(
    model: Any,
    optimizer: torch.optim.Optimizer,
    text: torch.Tensor,
    scale: Scale,
    steps: int,
    seed: int,
) -> None:
    """Train, with a tenth of the steps as warm-up and a linear decay."""
    generator = torch.Generator().manual_seed(seed)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.1 * steps), (steps - step) / (0.9 * steps))
    )
    for _ in range(steps):
        begin = torch.randint(len(text) - scale.length, (scale.rows, 1), generator=generator)
        places = (begin + torch.arange(scale.length)).to(text.device)
        reached: Any = loss(model, text[places].long())
        reached.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()


def loss(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Return the mean loss, with the forward pass under bf16 autocast as on a GPU."""
    with torch.autocast(tokens.device.type, torch.bfloat16):
        logits = model(tokens).logits
    return functional.cross_entropy(logits[:, :-1].float().flatten(0, 1), tokens[:, 1:].flatten())


@torch.no_grad()
def eval_loss(model: Any, text: torch.Tensor, scale: Scale) -> float:
    """Return the loss on text that was not trained on, cut into rows."""
    cut: Any = text[: len(text) // scale.length * scale.length].view(-1, scale.length).long()
    cut = cut[:: max(1, len(cut) // 256)][:256]
    return fmean(float(loss(model, part)) for part in cut.split(64))


def rows(rate: float, found: dict[str, list[tuple[float, float]]], before: float) -> list[str]:
    """Return the lines of the table for one learning rate."""
    base = [value for value, _ in found["float32"]]
    lines: list[str] = []
    for mode, runs in found.items():
        losses = [value for value, _ in runs]
        away = [a - b for a, b in zip(losses, base, strict=True)]
        error = stdev(away) / len(away) ** 0.5 if len(away) > 1 else float("nan")
        gain = (before - fmean(losses)) / (before - fmean(base))
        changed = fmean(share for _, share in runs)
        lines.append(
            f"| {rate:.0e} | {mode} | {fmean(losses):.4f} | {fmean(away):+.4f} ± {error:.4f} "
            f"| {gain:.0%} | {changed:.0%} |"
        )
    return lines


def second_moments() -> None:
    """Print what is left of the second moment's course when it is stored in bfloat16."""
    print("| second moment | after gradients of 1 | then of 0.1 |")
    print("|---|---|---|")
    for name, dtype in (("float32", torch.float32), ("nearest", torch.bfloat16)):
        weight = torch.nn.Parameter(torch.ones(4096, dtype=dtype))
        moments(name, weight, torch.optim.AdamW([weight], lr=0.0, fused=True))
    weight = torch.nn.Parameter(torch.ones(4096, dtype=torch.bfloat16))
    moments("stochastic", weight, Bf16AdamW([weight], lr=0.0))


def moments(name: str, weight: torch.nn.Parameter, optimizer: torch.optim.Optimizer) -> None:
    """Print one line: mean and spread of the second moment at two moments of one course."""
    generator = torch.Generator().manual_seed(0)
    cells: list[str] = []
    for size in (1.0, 0.1):
        for _ in range(3000):
            weight.grad = (size * torch.randn(4096, generator=generator)).to(weight.dtype)
            optimizer.step()
        found = optimizer.state[weight]["exp_avg_sq"].float()
        cells.append(f"{float(found.mean()):.3f} ± {float(found.std()):.3f}")
    print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
