"""One of two gloo processes of `ftadvise train --auto`, killed at a chosen moment.

    torchrun --standalone --nproc-per-node 2 auto_ranks.py FOLDER train --auto CONFIG

Started by `test_auto_ranks.py`. The file `FOLDER/kill.json` says who is killed and when; without
it the command runs to its end.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from transformers import TrainerCallback

from ftadvise.cli import main
from ftadvise_trainer import ending, training
from ftadvise_trainer.auto.schedule import rule_of
from ftadvise_trainer.saving import checkpoints

RANK = int(os.environ["RANK"])


class Agreed(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Writes down what this rank ended with."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"rank-{RANK}.json"

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        rule, digest = rule_of(kwargs["lr_scheduler"]), hashlib.sha256()
        for tensor in kwargs["model"].state_dict().values():
            digest.update(tensor.numpy().tobytes())
        began = rule.start if rule is not None else None
        found = {"step": state.global_step, "began": began, "weights": digest.hexdigest()}
        self.path.write_text(json.dumps(found))


class Kill(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Kills a rank, or both and torchrun with them, with SIGKILL at an event of a step."""

    def __init__(self, folder: Path, who: str, event: str, step: int) -> None:
        self.folder, self.who, self.event, self.step = folder, who, event, step
        (folder / f"{RANK}.pid").write_text(str(os.getpid()))

    def now(self, event: str, step: int) -> None:
        if event != self.event or step != self.step or self.who not in ("all", str(RANK)):
            return
        others: list[int] = []
        if self.who == "all":
            others = [os.getppid(), int((self.folder / f"{1 - RANK}.pid").read_text())]
        for process in (*others, os.getpid()):
            os.kill(process, signal.SIGKILL)

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.now("substep", state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.now("step", state.global_step)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.now("prediction", state.global_step)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.now("evaluate", state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.now("save", state.global_step)


def run(folder: Path, arguments: list[str]) -> None:
    callbacks, given = list[TrainerCallback]([Agreed(folder)]), folder / "kill.json"
    if given.exists():
        kill = Kill(folder, **json.loads(given.read_text()))
        callbacks.append(kill)
        before_and_after(kill, checkpoints, "write_manifest")
        before_and_after(kill, ending, "remember")
    training.train = functools.partial(training.train, callbacks=callbacks)
    sys.argv = ["ftadvise", *arguments]
    sys.exit(main())


def before_and_after(kill: Kill, module: ModuleType, name: str) -> None:
    """Make the moments before and after a function events, of the step that it is told, else 0."""
    inner = getattr(module, name)

    def watched(*args: Any, **kwargs: Any) -> Any:
        kill.now(f"before {name}", kwargs.get("step", 0))
        result = inner(*args, **kwargs)
        kill.now(f"after {name}", kwargs.get("step", 0))
        return result

    setattr(module, name, watched)


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
