"""The advice as Python, for trainers that are set up in a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.calm import calmed
from ftadvise.config.layouts import common
from ftadvise.config.why import ADDS_UP, NEVER_ADDS_UP, Why, evals_per_epoch, patience, why
from ftadvise.patience import choose_rule, rehearse

if TYPE_CHECKING:
    from ftadvise.advice import Advice, Recommendation
    from ftadvise.patience import StopRule

# An argument of a call: its name (empty for one without), its value as Python, and why.
_Argument = tuple[str, str, str]


def transformers(advice: Advice) -> str:
    """Return the advice for `transformers.Trainer`."""
    imports = ["from transformers import EarlyStoppingCallback, TrainingArguments"]
    return _hugging_face(advice, imports, "TrainingArguments", "Trainer")


def trl(advice: Advice) -> str:
    """Return the advice for `trl.SFTTrainer`, whose arguments are those of transformers."""
    imports = ["from transformers import EarlyStoppingCallback", "from trl import SFTConfig"]
    return _hugging_face(advice, imports, "SFTConfig", "SFTTrainer")


def _hugging_face(advice: Advice, imports: list[str], config: str, trainer: str) -> str:
    advised, reasons = advice.recommendation, why(advice)
    comments = {
        "num_train_epochs": reasons.epochs,
        "eval_steps": reasons.every,
        "save_steps": reasons.save,
        "save_total_limit": reasons.keep,
        "load_best_model_at_end": reasons.best,
    }
    arguments: list[_Argument] = [("output_dir", '"checkpoints"', "")]
    arguments += [
        (name, _python(value), comments.get(name, "")) for name, value in common(advised).items()
    ]
    arguments.append(("greater_is_better", "False", ""))
    stop: list[_Argument] = [
        ("early_stopping_patience", str(advised.early_stopping_patience), reasons.patience),
        ("early_stopping_threshold", repr(advised.early_stopping_threshold), NEVER_ADDS_UP),
    ]
    return _text(
        reasons,
        imports,
        [
            *_call("args", config, arguments),
            *_call("early_stopping", "EarlyStoppingCallback", stop),
            f"# {trainer}(..., args=args, eval_dataset=..., callbacks=[early_stopping])",
        ],
    )


def lightning(advice: Advice) -> str:
    """Return the advice for Lightning."""
    advised, reasons = advice.recommendation, why(advice)
    per_epoch = evals_per_epoch(advice)
    stop = _stop(advised.early_stopping_patience, advised, reasons.patience)
    checkpoint: list[_Argument] = [
        ("monitor", '"val_loss"', ""),
        ("mode", '"min"', ""),
        ("save_top_k", str(max(1, advised.save_total_limit - 1)), _last(reasons)),
        ("save_last", "True", ""),
    ]
    trainer: list[_Argument] = [("max_epochs", str(advised.num_train_epochs), reasons.epochs)]
    if per_epoch == 1:
        trainer.append(("check_val_every_n_epoch", "1", reasons.every))
    else:
        share = f"{reasons.every}; a whole number would count batches"
        trainer.append(("val_check_interval", f"1 / {per_epoch}", share))
    trainer.append(("callbacks", "[early_stopping, checkpoint]", ""))
    return _text(
        reasons,
        [
            "from lightning.pytorch import Trainer",
            "from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint",
        ],
        [
            *_call("early_stopping", "EarlyStopping", stop),
            *_call("checkpoint", "ModelCheckpoint", checkpoint),
            *_call("trainer", "Trainer", trainer),
            "# After trainer.fit(...) the best model is in checkpoint.best_model_path.",
        ],
    )


def keras(advice: Advice) -> str:
    """Return the advice for Keras, with the patience that holds when it judges once an epoch."""
    advised, reasons = advice.recommendation, why(advice)
    rule = _once_an_epoch(advice)
    safety = patience(rule.false_stop, "epochs, as Keras judges once an epoch,")
    stop = _stop(rule.patience, advised, safety)
    stop[-1] = ("min_delta", repr(rule.threshold), ADDS_UP)
    stop += [
        ("restore_best_weights", "True", reasons.best),
        ("start_from_epoch", "0", "the patience allows for the first epochs too"),
    ]
    checkpoint: list[_Argument] = [
        ("", '"best.keras"', "the lowest loss, also by less than min_delta"),
        ("monitor", '"val_loss"', ""),
        ("mode", '"min"', ""),
        ("save_best_only", "True", ""),
    ]
    return _text(
        reasons,
        ["from keras.callbacks import EarlyStopping, ModelCheckpoint"],
        [
            f"epochs = {advised.num_train_epochs}  # {reasons.epochs}",
            *_call("early_stopping", "EarlyStopping", stop),
            *_call("checkpoint", "ModelCheckpoint", checkpoint),
            "callbacks = [early_stopping, checkpoint]",
            "# model.fit(..., validation_data=..., epochs=epochs, callbacks=callbacks)",
        ],
    )


def _once_an_epoch(advice: Advice) -> StopRule:
    """Return the rule for one evaluation an epoch, chosen as that of the advice was."""
    epochs, fit = advice.recommendation.num_train_epochs, calmed(advice.fit)
    return choose_rule(fit, rehearse(fit, epochs, 1), rehearse(fit, 2 * epochs, 1))


def _stop(epochs: int, advised: Recommendation, reason: str) -> list[_Argument]:
    return [
        ("monitor", '"val_loss"', "the name that your eval loss is logged under"),
        ("mode", '"min"', ""),
        ("patience", str(epochs), reason),
        ("min_delta", repr(advised.early_stopping_threshold), ADDS_UP),
    ]


def _last(reasons: Why) -> str:
    return reasons.keep.replace("the newest included", "the newest besides")


def _python(value: bool | float | str | None) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _call(target: str, function: str, arguments: list[_Argument]) -> list[str]:
    lines = [f"{target} = {function}("]
    for name, value, reason in arguments:
        comment = f"  # {reason}" if reason else ""
        lines.append(f"    {f'{name}={value}' if name else value},{comment}")
    return [*lines, ")"]


def _text(reasons: Why, imports: list[str], body: list[str]) -> str:
    return "\n".join([f"# {reasons.head}", *imports, "", *body])
