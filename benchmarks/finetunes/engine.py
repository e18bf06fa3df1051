"""Trains the models of a stack side by side, on a GPU as one CUDA graph replayed for each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from optimizer import BETA1, update
from stack import Shape, Weights, token_losses

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

EVAL_ROWS = 64  # rows of one model that one evaluation call takes


@dataclass(frozen=True)
class Setup:
    """How all models of a stack are trained; sizes that a CUDA graph fixes."""

    shape: Shape
    models: int
    batch: int
    length: int
    answer: int
    rank: int = 0
    dropout: float = 0.0
    longest: int = 4096  # steps that one call of train() takes at most


@dataclass(frozen=True)
class How:
    """What to compute in, and whether with CUDA graphs and the fused AdamW."""

    dtype: torch.dtype
    graph: bool


@dataclass(frozen=True)
class Steps:
    """What one call of train() does: for each step and model (steps x models, float64)."""

    rows: NDArray[np.int64]  # steps x models x batch: rows of the table
    rate: NDArray[np.float64]
    decay: NDArray[np.float64]
    beta2: NDArray[np.float64]
    done: NDArray[np.int64]  # steps that the model had made before, for the bias correction


@dataclass(frozen=True)
class Table:
    """Token ids (rows x length, int64) and where each answer begins and ends (rows x 2)."""

    ids: Tensor
    cuts: Tensor


class Stack:
    """M models with their moments; `load` puts a model into a slot, `train` runs all slots."""

    def __init__(self, setup: Setup, table: Table, how: How) -> None:
        """Allocate everything."""
        self.setup, self.dtype, self.fast = setup, how.dtype, how.graph
        self.table = Table(table.ids[:, : setup.length].contiguous(), table.cuts)
        self.device = device = table.ids.device
        self.wide = torch.float64 if how.dtype == torch.float64 else torch.float32
        base, factors = setup.shape.sizes(), setup.shape.factor_sizes(max(1, setup.rank))
        trained = factors if setup.rank else base
        self.trained: Weights = {
            name: torch.zeros(setup.models, *size, device=device, dtype=self.wide)
            for name, size in trained.items()
        }
        self.frozen: Weights = {
            name: torch.zeros(setup.models, *size, device=device, dtype=how.dtype)
            for name, size in (base if setup.rank else {}).items()
        }
        for weight in self.trained.values():
            weight.requires_grad_()
        self.moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in self.trained.values()]
        long, m = setup.longest, setup.models
        self.at = torch.zeros(1, device=device, dtype=torch.int64)
        self.rows = torch.zeros(long, m, setup.batch, device=device, dtype=torch.int64)
        self.settings = {
            name: torch.zeros(long, m, device=device, dtype=self.wide)
            for name in ("rate", "decay", "beta2", "fix1", "fix2")
        }
        self.losses = torch.zeros(long, m, device=device, dtype=self.wide)
        self.norms = torch.zeros(long, m, device=device, dtype=self.wide)
        self._graph: torch.cuda.CUDAGraph | None = None

    @torch.no_grad()
    def load(self, slot: int, weights: Weights) -> None:
        """Put a model's weights (LoRA factors included) into a slot; its moments begin at 0."""
        for part in (self.trained, self.frozen):
            for name, stacked in part.items():
                stacked[slot].copy_(weights[name])
        for mean, square in self.moments:
            mean[slot].zero_()
            square[slot].zero_()

    def weights(self, slot: int) -> Weights:
        """Return a copy of what a slot has learned."""
        return {name: w[slot].detach().clone() for name, w in self.trained.items()}

    def _losses(self, rows: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
        return token_losses(
            self.frozen | self.trained,
            self.table.ids[rows],
            self.table.cuts[rows],
            self.setup.shape,
            answer=self.setup.answer,
            dtype=self.dtype,
            dropout=dropout,
        )

    def _step(self) -> None:
        rows = self.rows.index_select(0, self.at)[0]
        total, count = self._losses(rows, self.setup.dropout)
        losses = total / count
        parameters = list(self.trained.values())
        grads = torch.autograd.grad(losses.sum(), parameters)
        with torch.no_grad():
            now = {name: s.index_select(0, self.at)[0] for name, s in self.settings.items()}
            norms = update(parameters, grads, self.moments, now, self.fast)
            self.losses.index_copy_(0, self.at, losses.detach().to(self.wide)[None])
            self.norms.index_copy_(0, self.at, norms.to(self.wide)[None])
            self.at.add_(1)

    def _capture(self) -> torch.cuda.CUDAGraph:
        """Record one step. The warm-up runs with rate 0, and the moments are restored."""
        for setting in self.settings.values():
            setting.zero_()
        kept = [(mean.clone(), square.clone()) for mean, square in self.moments]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.at.zero_()
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        for (mean, square), (old_mean, old_square) in zip(self.moments, kept, strict=True):
            mean.copy_(old_mean)
            square.copy_(old_square)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        return graph

    def train(self, steps: Steps) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Make the steps; return each one's loss and gradient norm (steps x models)."""
        count = len(steps.rows)
        if self.fast and self._graph is None:
            self._graph = self._capture()
        fixes = {
            "fix1": 1.0 / (1.0 - BETA1 ** (steps.done + 1.0)),
            "fix2": (1.0 - steps.beta2 ** (steps.done + 1.0)) ** -0.5,
        }
        given = {"rate": steps.rate, "decay": steps.decay, "beta2": steps.beta2} | fixes
        self.rows[:count].copy_(torch.from_numpy(steps.rows))
        for name, values in given.items():
            self.settings[name][:count].copy_(torch.from_numpy(values))
        self.at.zero_()
        for _ in range(count):
            if self._graph is not None:
                self._graph.replay()
            else:
                self._step()
        losses, norms = (
            found[:count].to("cpu", torch.float64, copy=True).numpy()
            for found in (self.losses, self.norms)
        )
        return losses, norms

    @torch.no_grad()
    def evaluate(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return each model's mean loss of a token over its rows (models x rows)."""
        total = torch.zeros(self.setup.models, device=self.device, dtype=torch.float64)
        count = torch.zeros_like(total)
        for part in torch.split(torch.from_numpy(rows).to(self.device), EVAL_ROWS, dim=1):
            losses, tokens = self._losses(part, 0.0)
            total += losses.double()
            count += tokens
        return (total / count).cpu().numpy()
