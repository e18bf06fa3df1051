"""One of two gloo processes of Lightning whose advisors see different things.

Started by `test_advisor_lightning.py`, with the environment that torchrun would give it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from test_advisor_lightning import data, model, trainer

from ftadvise.live import Decision
from ftadvise_trainer.callbacks import live_advice
from ftadvise_trainer.callbacks.lightning import AdvisorCallback


def stopped(folder: Path, here: int | None) -> dict[str, Any]:
    """Train with an advisor that wants to stop at validation `here`; -1: it fails, None: never."""

    def should_stop(run: Any, past: Any) -> Decision:
        if here == -1:
            raise ArithmeticError("no idea")
        return Decision(len(run.eval) == here, "made up", 0.5)

    callback = AdvisorCallback(stop=True)
    with mock.patch.object(live_advice, "should_stop", should_stop):
        made = trainer(folder, callback, max_epochs=4, devices=2, strategy="ddp")
        made.fit(model(), data(1, batches=8), data(2, batches=8))
    return {"step": made.global_step, "stopped": callback.reason is not None}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    saw = {
        "first wants": stopped(folder, 5 if rank == 0 else None),
        "second wants": stopped(folder, None if rank == 0 else 5),
        "first fails": stopped(folder, -1 if rank == 0 else 5),
    }
    (folder / f"rank-{rank}.json").write_text(json.dumps(saw))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
