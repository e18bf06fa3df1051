"""After a resume: the cadence that the settings say now, not the one that was saved."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from ftadvise_trainer.settings import changes


class Cadence(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Logs, evaluates and saves as often as the arguments say, also after a resume.

    transformers takes the three from the checkpoint, so that changed settings are silently
    ignored.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Apply the arguments to the state that was loaded."""
        changes.apply_cadence(args, state)
