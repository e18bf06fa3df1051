"""Prints a history the way transformers does, with the callbacks of transformers themselves."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import types
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Logged:
    """A made training: what it logs at which step.

    Attributes:
        per_epoch: Steps in an epoch.
        epochs: Epochs planned.
        train: Train loss by step.
        held_out: Eval loss by step.
        max_steps: The limit in steps where there is one.
    """

    per_epoch: int
    epochs: int
    train: dict[int, float]
    held_out: dict[int, float] = field(default_factory=dict[int, float])
    max_steps: int | None = None

    @property
    def total(self) -> int:
        return self.max_steps or self.per_epoch * self.epochs

    @property
    def last(self) -> int:
        return max([*self.train, *self.held_out])


def _play(logged: Logged, callback: Any, strategy: str, evaluate: bool = True) -> None:
    """Call `callback` as a Trainer does."""
    state = types.SimpleNamespace(
        is_world_process_zero=True,
        is_local_process_zero=True,
        max_steps=logged.total,
        num_train_epochs=logged.epochs,
        global_step=0,
        epoch=0.0,
        log_history=[],
    )
    args = types.SimpleNamespace(eval_strategy=strategy)
    control = types.SimpleNamespace()

    def log(row: dict[str, Any]) -> None:
        row["epoch"] = state.epoch
        state.log_history.append({**row, "step": state.global_step})
        callback.on_log(args, state, control, logs=row)

    callback.on_train_begin(args, state, control)
    # A bar of evaluations as long as that of the training could not be told from it.
    loader = [0, 1, 2] if logged.total != 3 else [0, 1]
    for step in range(1, logged.total + 1):
        state.global_step, state.epoch = step, step / logged.per_epoch
        callback.on_step_end(args, state, control)
        if step in logged.train:
            rate = 1e-4 * (1 - step / logged.total)
            log({"loss": logged.train[step], "grad_norm": 1.5, "learning_rate": rate})
        if step in logged.held_out and evaluate:
            for _ in loader:
                callback.on_prediction_step(args, state, control, eval_dataloader=loader)
            metrics = {"eval_loss": logged.held_out[step], "eval_runtime": 2.0}
            log(metrics)
            callback.on_evaluate(args, state, control, metrics=metrics)
    log({"train_runtime": 99.0, "train_samples_per_second": 3.0, "train_loss": 1.234})
    callback.on_train_end(args, state, control)


def console(logged: Logged) -> str:
    """Return what a console shows, standard output and error in one."""
    from transformers.trainer_callback import ProgressCallback

    screen = io.StringIO()
    with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
        _play(logged, ProgressCallback(), "steps")
    return screen.getvalue()


def printed(logged: Logged) -> str:
    """Return what is printed without a progress bar."""
    from transformers.trainer_callback import PrinterCallback

    screen = io.StringIO()
    with contextlib.redirect_stdout(screen):
        _play(logged, PrinterCallback(), "steps")
    return screen.getvalue()


def shown(logged: Logged, strategy: str = "steps") -> str:
    """Return the HTML that a notebook shows at the end of the training."""
    screen: list[str] = []
    display = types.ModuleType("IPython.display")
    shown_now = types.SimpleNamespace(update=screen.append)

    def show(html: str, **_: Any) -> Any:
        screen.append(html)
        return shown_now

    display.display = show  # type: ignore[attr-defined]
    display.HTML = str  # type: ignore[attr-defined]
    package = types.ModuleType("IPython")
    package.display = display  # type: ignore[attr-defined]
    known = {name: sys.modules.get(name) for name in ("IPython", "IPython.display")}
    sys.modules.update({"IPython": package, "IPython.display": display})
    try:
        from transformers.utils import notebook

        setattr(notebook, "disp", display)  # noqa: B010 - imported before, it has another
        _play(logged, notebook.NotebookProgressCallback(), strategy)
    finally:
        for name, module in known.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return screen[-1]


def cell(*outputs: dict[str, Any], source: str = "trainer.train()") -> dict[str, Any]:
    """Return a code cell of a notebook."""
    return {"cell_type": "code", "source": source.splitlines(True), "outputs": list(outputs)}


def html(text: str) -> dict[str, Any]:
    """Return an output that shows HTML."""
    data = {"text/html": text.splitlines(True), "text/plain": ["<IPython.core.display.HTML>"]}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def stream(text: str) -> dict[str, Any]:
    """Return an output of printed text."""
    return {"output_type": "stream", "name": "stdout", "text": text.splitlines(True)}


def notebook_of(*cells: dict[str, Any]) -> str:
    """Return a notebook as JSON."""
    top = {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(top, indent=1)
