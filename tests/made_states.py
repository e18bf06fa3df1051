"""Logs of a run in progress, cut from an example at any step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHAT = Path(__file__).resolve().parent.parent / "examples" / "chat" / "trainer_state.json"


def rows_until(step: int, per_step: float | None = None) -> list[dict[str, Any]]:
    """Return the rows of the chat example up to a step, with a run time if one step takes one."""
    rows: list[dict[str, Any]] = json.loads(CHAT.read_text())["log_history"]
    timed = {} if per_step is None else {"train_runtime": per_step}
    return [
        {**row, **{key: value * row["step"] for key, value in timed.items() if "loss" in row}}
        for row in rows
        if row["step"] <= step
    ]


def state_until(step: int, per_step: float | None = None) -> str:
    """Return the `trainer_state.json` of the chat example as it was at a step; it has 480 of them."""
    state = json.loads(CHAT.read_text())
    cut = {"log_history": rows_until(step, per_step), "global_step": step, "epoch": step / 120}
    return json.dumps(state | cut, indent=2) + "\n"


def lines_until(step: int) -> str:
    """Return the rows up to a step as JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows_until(step))
