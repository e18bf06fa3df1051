"""Kills a training at random moments, resumes it, and counts what went wrong.

    python benchmarks/crash_test.py --kills 200            # BestK and newest_valid
    python benchmarks/crash_test.py --kills 200 --plain    # transformers alone, for comparison

Each trial trains a tiny Llama for 24 steps with a checkpoint after every second one, SIGKILLs the
process at a random moment, starts it again (killing it again up to `--again` times), and lets it
finish. What counts as a failure:

* a resume ends with an error;
* the final weights are not bit by bit those of a run that was not killed;
* the resume begins more than one save interval before the last step that was done (a save that
  was under way counts as not done).

A process is forked from one that has imported torch, so that a trial takes a second.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from ctypes import c_int
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / part) for part in ("advisor", "trainer", "tests")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from tiny_models import arguments, pad, ragged_dataset, tiny_model, weights  # pyright: ignore[reportMissingImports]  # in tests
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from ftadvise_trainer.callbacks.best_k import BestK
from ftadvise_trainer.saving.checkpoints import clear_unfinished, newest_valid

STEPS, SAVE_EVERY = 24, 2


class Report(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Tells the parent the step where the run began and the last one that was done."""

    def __init__(self, began: Any, done: Any) -> None:
        """Take the shared numbers to write into."""
        self.began, self.done = began, done

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell where it begins."""
        self.began.value = state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell that a step is done."""
        self.done.value = state.global_step


def train(folder: Path, plain: bool, began: Any, done: Any, result: Any) -> None:
    """Train to the end, from the newest checkpoint if there is one; the body of a process."""
    quiet()
    torch.manual_seed(0)
    settings: dict[str, Any] = {"max_steps": STEPS, "per_device_train_batch_size": 2, "seed": 7}
    settings |= {"save_strategy": "steps", "save_steps": SAVE_EVERY}
    settings |= {"eval_strategy": "steps", "eval_steps": SAVE_EVERY}
    if plain:
        settings |= {"save_total_limit": 2}
    trainer = Trainer(
        model=tiny_model(),
        args=arguments(folder, **settings),
        train_dataset=ragged_dataset(16),
        eval_dataset=ragged_dataset(4, seed=1),
        data_collator=pad,
        callbacks=[Report(began, done), *([] if plain else [BestK(1)])],
    )
    resume: str | bool | None
    if plain:
        resume = get_last_checkpoint(str(folder)) is not None  # what everybody does
    else:
        clear_unfinished(folder)
        found, _ = newest_valid(folder)
        resume = str(found) if found else None
    trainer.train(resume_from_checkpoint=resume or None)
    digest = hashlib.sha256()
    for name, value in sorted(weights(trainer.model).items()):
        digest.update(name.encode() + value.numpy().tobytes())
    result.value = digest.hexdigest().encode()


def quiet() -> None:
    """Send what a process says to nowhere."""
    with Path(os.devnull).open("wb") as sink:
        os.dup2(sink.fileno(), 1)
        if not os.environ.get("CRASH_TEST_LOUD"):
            os.dup2(sink.fileno(), 2)


class Run:
    """One process that trains, and what it told."""

    def __init__(self, folder: Path, plain: bool) -> None:
        """Start it in `folder`."""
        fork = multiprocessing.get_context("fork")
        # Without locks: a process that is killed while it holds one never gives it back.
        self.began: Any = fork.Value(c_int, -1, lock=False)
        self.done: Any = fork.Value(c_int, -1, lock=False)
        self.result: Any = fork.Array("c", 64, lock=False)
        told = (self.began, self.done, self.result)
        self.process = fork.Process(target=train, args=(folder, plain, *told))
        self.process.start()

    def finish(self, kill_after: float | None = None) -> bool:
        """Wait for the end, or kill it; return whether it was killed."""
        self.process.join(kill_after)
        killed = self.process.is_alive()
        if killed:
            os.kill(self.process.pid or 0, signal.SIGKILL)
        self.process.join()
        return killed


def trial(folder: Path, plain: bool, length: float, again: int, draw: random.Random) -> list[str]:
    """Train with kills in between; return what went wrong, and how often it was killed."""
    reached, kills, wrong = 0, 0, []
    while True:
        run = Run(folder, plain)
        killed = run.finish(draw.uniform(0, length) if kills <= again else None)
        began, done = run.began.value, run.done.value
        if began >= 0 and reached - began > SAVE_EVERY:
            wrong.append(f"more than one save interval lost ({reached} -> {began})")
        reached = max(reached, done)
        kills += killed
        if killed:
            continue
        if run.process.exitcode != 0:
            wrong.append("the resume failed")
        return [*wrong, *["killed"] * kills, run.result.value.decode()]


def main() -> int:
    """Run the trials and print the counts; exit status 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=40, help="runs that are killed at least once")
    parser.add_argument("--again", type=int, default=0, help="how often a resume is killed, too")
    parser.add_argument("--plain", action="store_true", help="transformers alone")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="crash-test-") as name:
        start = time.monotonic()
        whole = Run(Path(name) / "whole", options.plain)
        whole.finish()
        length = time.monotonic() - start
        expected = whole.result.value.decode()
        counts: Counter[str] = Counter()
        failed = trials = kills = 0
        while trials < options.kills:
            folder = Path(name) / "trial"
            *said, digest = trial(folder, options.plain, length, options.again, draw)
            killed = said.count("killed")
            wrong = [line for line in said if line != "killed"]
            if not wrong and digest != expected:
                wrong.append("other weights in the end")
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder)
            if killed:
                trials, kills, failed = trials + 1, kills + killed, failed + bool(wrong)
                counts.update(line.partition(" (")[0] for line in set(wrong))
    what = "transformers alone" if options.plain else "BestK and newest_valid"
    print(f"{what}: {failed} of {trials} killed runs failed ({kills} kills, seed {options.seed})")
    for line, number in counts.most_common():
        print(f"  {number} x {line}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
