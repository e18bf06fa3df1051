"""One training run: with a linear decay over some epochs, or `ftadvise train --auto` itself."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from auto_plan import FineTune

Row = dict[str, Any]


def _row(one: FineTune, epochs: float, begin: float) -> Row:
    return {
        "family": [one.data_set, one.examples, one.rate, "linear", one.seed],
        "num_train_epochs": epochs,
        "wsd": None,
        "architecture": one.base.kind,
        "width": one.base.width,
        "layers": one.base.layers,
        "seconds": round(time.monotonic() - begin, 1),
    }


def linear(one: FineTune, epochs: int, folder: Path) -> Row:
    """Train over `epochs` with a linear decay; nothing is saved but the log."""
    from transformers.utils import logging

    from ftadvise_trainer import models
    from ftadvise_trainer.arguments import training_arguments
    from ftadvise_trainer.data.collate import Collator
    from ftadvise_trainer.data.prepare import prepare
    from ftadvise_trainer.finetuner import FineTuner
    from ftadvise_trainer.settings.file import load_config
    from ftadvise_trainer.tokenizers import load_tokenizer

    begin = time.monotonic()
    logging.disable_progress_bar()
    every = one.per_epoch // 2
    keys = {
        "num_train_epochs": epochs, "lr_scheduler_type": "linear", "eval_strategy": "steps",
        "eval_steps": every, "save_strategy": "steps", "save_steps": every,
        "output_dir": str(folder / f"linear-{epochs}"),
    }  # fmt: skip
    given = [f"training.{key}={json.dumps(value)}" for key, value in keys.items()]
    config = load_config(folder / "training.yaml", given)
    family = models.family_of(config)
    tokenizer = load_tokenizer(config, family)
    prepared = prepare(config, tokenizer, family)
    arguments = training_arguments(config)
    arguments.save_strategy, arguments.disable_tqdm = "no", True
    trainer = FineTuner(
        model=models.load_model(config, tokenizer, family),
        args=arguments,
        train_dataset=prepared.train,
        eval_dataset=prepared.eval,
        data_collator=Collator(tokenizer.pad_token_id),
        processing_class=tokenizer,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.train()
    state = folder / f"linear-{epochs}" / "trainer_state.json"
    state.parent.mkdir(parents=True, exist_ok=True)
    trainer.state.save_to_json(str(state))
    made = _row(one, epochs, begin)
    return made | {"max_steps": trainer.state.max_steps, "log_history": trainer.state.log_history}


def auto(one: FineTune, folder: Path, log: Path | None, keep: Path | None = None) -> Row:
    """Run `ftadvise train --auto training.yaml`, with `--from LOG` where there is one.

    What it saved is deleted, or moved to `keep`, in place of what lies there.
    """
    from ftadvise_trainer.commands import train

    os.environ["FTADVISE_HISTORY"] = "off"
    begin = time.monotonic()
    output = folder / ("auto" if log is None else "auto-from")
    shutil.rmtree(output, ignore_errors=True)
    given = [str(folder / "training.yaml"), "--auto", "--output-dir", str(output)]
    given += [] if log is None else ["--from", str(log)]
    said, out = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(out):
        code = train.main(given, standalone_mode=False)
    if code:
        raise RuntimeError(f"exit {code}: {said.getvalue()[-2000:]}")
    metrics: dict[str, Any] = json.loads((output / "training_metrics.json").read_text("utf-8"))
    state: dict[str, Any] = json.loads((output / "trainer_state.json").read_text("utf-8"))
    if keep is not None:
        shutil.rmtree(keep, ignore_errors=True)
        shutil.copytree(output, keep)
    shutil.rmtree(output)
    rows: list[dict[str, Any]] = state["log_history"]
    lines = said.getvalue().splitlines()
    return _row(one, max(row["epoch"] for row in rows), begin) | {
        "from": None if log is None else log.parent.name,
        "best": metrics["best"],
        "averaged": metrics.get("averaged"),
        "stopped": metrics["stopped"],
        "chosen": [line for line in lines if line.startswith("auto:")],
        "max_steps": max(row["step"] for row in rows),
        "log_history": rows,
    }
