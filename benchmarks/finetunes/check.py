"""Checks the stacked training against plain PyTorch, one model at a time.

    python benchmarks/finetunes/check.py [--device cuda]

On the CPU in float64, to 1e-9; on a GPU in float32 through the CUDA graph and the fused AdamW, to
1e-3, and in bfloat16 to 5e-2. Exit status 1 when something differs.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from engine import How, Setup, Stack, Steps, Table
from optimizer import MAX_GRAD_NORM, schedule
from stack import Shape, Weights, initial, initial_factors
from torch import Tensor, nn
from transformers import get_scheduler

SHAPE = Shape(width=32, layers=2, heads=2, vocabulary=97, length=24)
MODELS, BATCH, STEPS = 3, 4, 12
PEAKS, DECAYS, BETAS = (3e-3, 1e-3, 1e-2), (0.0, 0.1, 0.01), (0.999, 0.95, 0.999)
KINDS = ("linear", "cosine", "constant")


class Plain(nn.Module):
    """The decoder of stack.py as anybody would write it."""

    def __init__(self, weights: Weights, rank: int) -> None:
        """Take the weights of one model."""
        super().__init__()
        self.w = nn.ParameterDict({k.replace(".", "_"): v.clone() for k, v in weights.items()})
        self.rank = rank
        for name, parameter in self.w.items():
            parameter.requires_grad_(not rank or name.endswith(("_a", "_b")))

    def _linear(self, x: Tensor, name: str, layer: int) -> Tensor:
        matrix = self.w[name][layer]
        if self.rank:
            matrix = matrix + 2.0 * self.w[f"{name}_a"][layer] @ self.w[f"{name}_b"][layer]
        return F.linear(x, matrix.T)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits (B x T x V)."""
        b, t = tokens.shape
        d, heads = SHAPE.width, SHAPE.heads
        x = F.embedding(tokens, self.w["embed"]) + self.w["place"][:t]
        future = torch.ones(t, t, dtype=torch.bool, device=tokens.device).triu(1)
        for layer in range(SHAPE.layers):
            parts = self._linear(F.layer_norm(x, (d,)), "qkv", layer).chunk(3, -1)
            q, k, v = (p.view(b, t, heads, -1).transpose(1, 2) for p in parts)
            scores = (q @ k.transpose(2, 3) / (d / heads) ** 0.5).masked_fill(future, -torch.inf)
            mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d)
            x = x + self._linear(mixed, "out", layer)
            inner = F.gelu(self._linear(F.layer_norm(x, (d,)), "up", layer), approximate="tanh")
            x = x + self._linear(inner, "down", layer)
        return F.linear(F.layer_norm(x, (d,)), self.w["embed"])


def labels(ids: Tensor, cuts: Tensor) -> Tensor:
    """Return the ids of the answers and -100 elsewhere, as data for transformers have them."""
    at = torch.arange(ids.shape[1], device=ids.device)
    return ids.masked_fill((at < cuts[:, :1]) | (at >= cuts[:, 1:]), -100)


def plain_loss(model: Plain, ids: Tensor, cuts: Tensor) -> Tensor:
    """Return the mean loss over all answer tokens of the rows."""
    logits = model(ids)[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1), labels(ids, cuts)[:, 1:].flatten())


def plain_training(
    model: Plain, table: Table, rows: Tensor, which: int
) -> tuple[list[float], list[float]]:
    """Train one model with torch.optim.AdamW and a schedule of transformers."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    adamw = torch.optim.AdamW(
        parameters, PEAKS[which], betas=(0.9, BETAS[which]), weight_decay=DECAYS[which]
    )
    kind = KINDS[which].replace("constant", "constant_with_warmup")
    rates = get_scheduler(kind, adamw, num_warmup_steps=2, num_training_steps=STEPS)
    losses: list[float] = []
    norms: list[float] = []
    for step in rows:
        loss = plain_loss(model, table.ids[step], table.cuts[step])
        adamw.zero_grad()
        torch.autograd.backward(loss)
        norms.append(float(nn.utils.clip_grad_norm_(parameters, MAX_GRAD_NORM)))
        adamw.step()
        rates.step()  # pyright: ignore[reportCallIssue]
        losses.append(float(loss.detach()))
    return losses, norms


def made_table(device: torch.device) -> Table:
    """Return random rows with prompts and answers of all lengths."""
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(3, SHAPE.vocabulary, (64, SHAPE.length), generator=draw)
    begin = torch.randint(2, 12, (64,), generator=draw)
    end = begin + torch.randint(1, 12, (64,), generator=draw)
    ids[torch.arange(SHAPE.length) >= end[:, None]] = 0
    return Table(ids.to(device), torch.stack([begin, end], 1).to(device))


def compare(device: torch.device, dtype: torch.dtype, rank: int, allowed: float) -> bool:
    """Train stacked and one by one; print the largest relative difference."""
    table = made_table(device)
    setup = Setup(SHAPE, MODELS, BATCH, SHAPE.length, 12, rank=rank, longest=STEPS)
    stack = Stack(setup, table, How(dtype, device.type == "cuda"))
    wide = torch.float32 if dtype == torch.bfloat16 else dtype
    models: list[Plain] = []
    for slot in range(MODELS):
        weights = initial(SHAPE, slot)
        if rank:
            weights |= initial_factors(SHAPE, rank, slot)
        stack.load(slot, weights)
        moved = {name: w.to(device, wide) for name, w in weights.items()}
        models.append(Plain(moved, rank).to(device))
    rows = np.random.default_rng(0).integers(0, 48, (STEPS, MODELS, BATCH))
    at = np.arange(STEPS)
    rates = [p * schedule(k, at, STEPS, 2) for p, k in zip(PEAKS, KINDS, strict=True)]
    given = Steps(
        rows=rows,
        rate=np.stack(rates, 1),
        decay=np.tile(DECAYS, (STEPS, 1)),
        beta2=np.tile(BETAS, (STEPS, 1)),
        done=np.tile(at[:, None], (1, MODELS)),
    )
    # In two calls, so that the second replays with what the first left.
    halves = [
        Steps(*(getattr(given, name)[part] for name in Steps.__dataclass_fields__))
        for part in (slice(0, 5), slice(5, None))
    ]
    stacked = [np.concatenate(parts) for parts in zip(*map(stack.train, halves), strict=True)]
    evals = stack.evaluate(np.tile(np.arange(64), (MODELS, 1)))
    worst = 0.0
    for which, model in enumerate(models):
        found = plain_training(model, table, torch.from_numpy(rows[:, which]).to(device), which)
        final = float(plain_loss(model, table.ids, table.cuts).detach())
        pairs = [(stacked[0][:, which], found[0]), (stacked[1][:, which], found[1])]
        for ours, theirs in [*pairs, (evals[which : which + 1], [final])]:
            worst = max(worst, float(np.max(np.abs(ours / np.array(theirs) - 1.0))))
    ok = worst <= allowed
    print(f"{device} {dtype} rank {rank}: largest relative difference {worst:.1e}", flush=True)
    return ok


def schedules_agree() -> bool:
    """Compare every share of the peak rate with transformers.get_scheduler."""
    worst = 0.0
    names = {"constant": "constant_with_warmup", "hold": "warmup_stable_decay"}
    for kind in ("linear", "cosine", "constant", "hold"):
        for total, warmup, decay in ((62, 4, 31), (20, 0, 10), (7, 3, 2)):
            optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
            more = {"num_decay_steps": decay, "decay_type": "linear"} if kind == "hold" else None
            theirs = get_scheduler(
                names.get(kind, kind), optimizer, warmup, total, scheduler_specific_kwargs=more
            )
            found: list[float] = []
            for _ in range(total):
                found.append(float(theirs.get_last_lr()[0]))
                optimizer.step()
                theirs.step()  # pyright: ignore[reportCallIssue]
            ours = schedule(kind, np.arange(total), total, warmup, decay)
            worst = max(worst, float(np.max(np.abs(ours - found))))
    print(f"schedules: largest difference {worst:.1e}", flush=True)
    return worst < 1e-9


def main() -> int:
    """Check everything on one device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", type=torch.device)
    device: torch.device = parser.parse_args().device
    torch.backends.cuda.enable_cudnn_sdp(False)
    cases = [(torch.float64, 1e-9)]
    if device.type == "cuda":
        cases = [(torch.float32, 1e-3), (torch.bfloat16, 5e-2)]
    good = [schedules_agree()]
    good += [compare(device, dtype, rank, most) for dtype, most in cases for rank in (0, 4)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main())
