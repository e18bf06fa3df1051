"""Writes `chat/trainer_state.json`: a made-up fine-tune that overfits, from formulas and a seed.

python examples/make_logs.py
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

EPOCHS, STEPS_PER_EPOCH = 4, 120
LOG_EVERY, EVAL_EVERY = 10, 60
PEAK_RATE, WARMUP = 2e-5, 24


def learning_rate(step: int) -> float:
    """Return the rate of a linear schedule with warm-up."""
    if step < WARMUP:
        return PEAK_RATE * step / WARMUP
    return PEAK_RATE * (EPOCHS * STEPS_PER_EPOCH - step) / (EPOCHS * STEPS_PER_EPOCH - WARMUP)


def train_loss(epoch: float) -> float:
    """Return a train loss that keeps falling, with a step down at every new pass."""
    return 0.52 + 1.05 * math.exp(-epoch / 0.8) + 0.33 * math.pow(0.62, math.floor(epoch))


def eval_loss(epoch: float) -> float:
    """Return an eval loss that turns up again after the second pass."""
    return 0.98 + 0.78 * math.exp(-epoch / 0.55) + 0.035 * math.pow(max(0.0, epoch - 1.7), 1.4)


def history(rng: random.Random) -> list[dict[str, Any]]:
    """Return the rows of `log_history`."""
    rows: list[dict[str, Any]] = []
    for step in range(LOG_EVERY, EPOCHS * STEPS_PER_EPOCH + 1, LOG_EVERY):
        epoch = step / STEPS_PER_EPOCH
        seen = (step - LOG_EVERY / 2) / STEPS_PER_EPOCH
        rows.append({
            "epoch": round(epoch, 4),
            "grad_norm": round(1.1 * rng.lognormvariate(0.0, 0.15), 4),
            "learning_rate": learning_rate(step),
            "loss": round(train_loss(seen) * rng.lognormvariate(0.0, 0.03), 4),
            "step": step,
        })  # fmt: skip
        if step % EVAL_EVERY == 0:
            loss = eval_loss(epoch) * rng.lognormvariate(0.0, 0.003)
            rows.append({"epoch": round(epoch, 4), "eval_loss": round(loss, 4), "step": step})
    return rows


def main() -> None:
    """Write the log beside this file."""
    steps = EPOCHS * STEPS_PER_EPOCH
    state = {
        "best_global_step": None,
        "best_metric": None,
        "best_model_checkpoint": None,
        "epoch": float(EPOCHS),
        "eval_steps": EVAL_EVERY,
        "global_step": steps,
        "is_local_process_zero": True,
        "is_world_process_zero": True,
        "log_history": history(random.Random(7)),
        "logging_steps": LOG_EVERY,
        "max_steps": steps,
        "num_train_epochs": EPOCHS,
        "save_steps": EVAL_EVERY,
        "train_batch_size": 8,
    }
    text = json.dumps(state, indent=2) + "\n"
    (Path(__file__).parent / "chat" / "trainer_state.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
