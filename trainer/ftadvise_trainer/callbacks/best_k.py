"""Keeps the checkpoints of lowest eval loss and the newest, each with a manifest."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate import PartialState  # type: ignore[import-untyped]  # it brings no types
from transformers import TrainerCallback

from ftadvise_trainer.saving import checkpoints
from ftadvise_trainer.saving.preflight import disk_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import TrainerControl, TrainerState, TrainingArguments

logger = logging.getLogger(__name__)


class BestK(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Keep the `k` checkpoints of lowest finite eval loss, and the newest besides.

    Works in any `transformers.Trainer` with `save_total_limit=None`; add it after callbacks that
    ask for saves or evaluations of their own. When an evaluation is among the best k so far, its
    checkpoint is asked for, so that the best is never left unsaved. After each save the manifest
    is written, which makes the checkpoint valid, and only then older ones go. transformers' own
    `save_total_limit` would delete the oldest instead, and does not know the manifest.

    It has no state to restore: what was evaluated stands in `state.log_history`, what is kept on
    the disk. All ranks must have it. The one for which `args.should_save` holds writes; the others
    wait for each other before it does, so that the manifest covers the files of all of them.
    """

    def __init__(
        self,
        k: int = 1,
        *,
        config_hash: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep `k` of them; `config_hash` and `settings` go into each manifest."""
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        self.k = k
        self.config_hash = config_hash
        self.settings = dict(settings or {})
        self._output_dir: Path | None = None
        self._training = self._stepped = False
        self._protected: int | None = None

    def checkpoints(self) -> list[dict[str, Any]]:
        """Return what is kept, by step: path, step, epoch and eval loss of each."""
        if self._output_dir is None:
            return []
        return [
            {
                "path": str(path),
                "step": manifest.step,
                "epoch": manifest.epoch,
                "eval_loss": manifest.eval_loss,
            }
            for path, manifest in checkpoints.listed(self._output_dir)
        ]

    def best(self) -> Path | None:
        """Return the checkpoint of lowest eval loss, or None when none has one."""
        found = checkpoints.best(self._output_dir) if self._output_dir else []
        return found[0] if found else None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Clear up after a kill, and move checkpoints of a future that is abandoned aside."""
        self._output_dir = Path(str(args.output_dir))
        self._training, self._stepped = True, False
        if not args.should_save:
            return
        with disk_errors(self._output_dir):
            checkpoints.recover(self._output_dir)
            moved = checkpoints.set_aside_after(self._output_dir, state.global_step)
        if moved:
            names = ", ".join(path.name for path in moved)
            logger.warning("Starting at step %d; moved aside: %s", state.global_step, names)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ask for a save if this evaluation is among the best k so far.

        Before the first step (`eval_on_start`) there is nothing to save; but a resumed run may
        make up for an evaluation there, whose loss then goes into the manifest.
        """
        if not self._training:
            return
        losses = finite_eval_losses(state.log_history)
        here = losses.pop(state.global_step, None)
        if not self._stepped:
            if here is not None and args.should_save:
                with disk_errors(Path(str(args.output_dir))):
                    checkpoints.record_eval_loss(self._folder(args, state.global_step), here)
            return
        if here is not None:
            others = sorted(losses.values())
            if len(others) < self.k or here < others[self.k - 1]:
                control.should_save = True
        if control.should_save:
            self._protect(args, state.global_step)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keep the checkpoint of the epoch's last step safe if it is about to be saved again."""
        if control.should_save and not control.should_evaluate:
            self._protect(args, state.global_step)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Make the new checkpoint valid, then delete what is neither best nor newest.

        Raises:
            TrainError: FT504 if the disk is full or broken; earlier checkpoints are untouched.
        """
        self._output_dir = output_dir = Path(str(args.output_dir))
        PartialState().wait_for_everyone()
        if not args.should_save:
            return
        step = state.global_step
        new = self._folder(args, step)
        with disk_errors(output_dir):
            checkpoints.write_manifest(
                new,
                step=step,
                epoch=state.epoch,
                eval_loss=finite_eval_losses(state.log_history).get(step),
                config_hash=self.config_hash,
                settings=self.settings,
            )
            self._settle(output_dir)
            checkpoints.prune(output_dir, {new, *checkpoints.best(output_dir, self.k)})

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put a protected checkpoint back if the save that it waited for did not come."""
        self._stepped = True
        self._settle(Path(str(args.output_dir)))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """As `on_step_begin`; evaluations after the training ask for nothing."""
        self._settle(Path(str(args.output_dir)))
        self._training = False

    def _folder(self, args: TrainingArguments, step: int) -> Path:
        return Path(str(args.output_dir)) / f"checkpoint-{step}"

    def _protect(self, args: TrainingArguments, step: int) -> None:
        if args.should_save:
            with disk_errors(Path(str(args.output_dir))):
                checkpoints.protect(Path(str(args.output_dir)), step)
            self._protected = step
        PartialState().wait_for_everyone()  # no rank may write into the folder before it has been renamed

    def _settle(self, output_dir: Path) -> None:
        if self._protected is not None:
            checkpoints.settle(output_dir, self._protected)
            self._protected = None


def finite_eval_losses(log_history: list[dict[str, Any]]) -> dict[int, float]:
    """Return the finite eval losses of a history by step; the later one where a step has two.

    Step 0 is left out: transformers saves no checkpoint of it.
    """
    losses: dict[int, float] = {}
    for entry in log_history:
        loss, step = entry.get("eval_loss"), entry.get("step")
        if isinstance(loss, (int, float)) and isinstance(step, int) and step > 0:
            losses.pop(step, None)
            if math.isfinite(loss):
                losses[step] = float(loss)
    return losses
