"""What the name of a series in a log means: train loss, eval loss, step, epoch, learning rate.

People write `train_loss`, `Training Loss`, `trainLoss`, `loss/train`, `train_losses_history` and
mean the same. A name is cut into words; words that only say what kind of list it is are dropped;
what is left decides the meaning and how good a match it is.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Role = Literal["train", "eval", "step", "epoch", "rate", "gradient", "total_steps", "other"]
LOSSES = ("train", "eval")  # the roles that are losses


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRAIN_WORDS = frozenset({"train", "training", "trn", "tr"})
EVAL_WORDS = {  # in order of preference: test is the last choice for a held-out loss
    "val": 0,
    "validation": 0,
    "valid": 0,
    "va": 0,
    "eval": 1,
    "evaluation": 1,
    "dev": 2,
    "heldout": 2,
    "holdout": 2,
    "test": 5,
    "testing": 5,
}
_SPLIT_WORDS = TRAIN_WORDS | EVAL_WORDS.keys()

_LOSS = frozenset({"loss", "losses"})
# Losses by their formula; believed only where nothing is called a loss. Perplexity is none.
_MEASURES = {
    "nll": 0, "elbo": 0, "nelbo": 0, "xent": 0, "ce": 0, "bce": 0, "logloss": 0, "mlogloss": 0,
    "mse": 1, "rmse": 2,
}  # fmt: skip
# Words that make a number with "loss" in its name something else.
_NOT_A_LOSS = _words(
    "best min minimum max maximum lowest highest initial final start end median std stddev var"
    " variance capital gain scale scaler scaling weight weights coef coeff coefficient lambda"
    " alpha beta gamma threshold function fn func type name delta diff difference ratio"
    " improvement improved reduction change gap patience counter count time runtime duration"
    " seconds sec lr acc accuracy grad gradient norm id percent percentage stop num number target"
    " prev previous smallest largest at rate f1 bleu rouge perplexity ppl precision recall"
    " error err std"
)
_LIST_WORDS = _words(
    "history hist curve curves list values value per epoch epochs step steps iter iters iteration"
    " iterations batch batches avg average mean averaged logs all record records running data"
    " metric metrics series over the by stats results info"
)
_TOTAL = frozenset({"total", "overall", "sum", "summed", "combined", "full", "objective"})
_MAIN = frozenset(
    {"lm", "nll", "ce", "cross", "entropy", "xent", "sft", "task", "main", "smooth", "smoothed"}
)
_MINOR = frozenset(
    {"log", "aux", "auxiliary", "reg", "regularization", "kl", "kld", "kd", "balance", "router"}
)

_STEPS = ("step", "steps", "iteration", "iterations", "iter", "iters", "it", "update", "updates")
_BATCHES = ("batch", "batches")
_EPOCHS = ("epoch", "epochs", "ep", "round", "rounds", "cycle", "cycles")
_AXIS_WORDS = _words(
    "global current cur num number n idx index id no optimizer opt x the completed list history"
    " trainer"
)
# YOLOv5 logs its rates as `x/lr0`.
_RATE_WORDS = _words("current list history group groups pg adam adamw sgd values x")

_WORD = re.compile(r"[a-z]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_GLUED = re.compile(r"^(train|training|val|valid|validation|eval|dev|test)(loss|losses)$")


@dataclass(frozen=True)
class Meaning:
    """What a name means.

    Attributes:
        role: What the series is.
        rank: How good a match it is for its role; lower is better.
        split: "train" or "eval" where the name says it, else empty.
        rest: The words that tell it from others of its role, such as `("rnn",)`.
    """

    role: Role
    rank: tuple[int, ...] = ()
    split: str = ""
    rest: tuple[str, ...] = ()


_OTHER = Meaning("other")


def words(name: str) -> list[str]:
    """Return the lower-case words of `name`, `trainLoss` and `train_loss` alike."""
    found: list[str] = []
    for word in _WORD.findall(_CAMEL.sub("_", name[:200]).lower()):
        glued = _GLUED.match(word)
        found.extend(glued.groups() if glued else (word,))
    return found


@functools.lru_cache(maxsize=4096)
def split_of(name: str) -> str:
    """Return "train" or "eval" when `name` says which data it is about, else ""."""
    found = words(name)
    if "held" in found and "out" in found:
        return "eval"
    if any(word in EVAL_WORDS for word in found):
        return "eval"
    return "train" if any(word in TRAIN_WORDS for word in found) else ""


@functools.lru_cache(maxsize=4096)
def is_split_word(name: str) -> bool:
    """Return whether `name` says nothing but which data it is about, such as `"dev"`."""
    found = words(name)
    return len(found) == 1 and found[0] in _SPLIT_WORDS


def meaning(name: str, above: Iterable[str] = ()) -> Meaning:
    """Return what a series called `name` is.

    Args:
        name: The name in the log.
        above: Names of the containers it lies in, outermost first. They decide between train and
            eval where the name itself does not: `{"val": {"loss": [...]}}`.
    """
    found = _of_name(name)
    if found.role not in ("train", "eval", "step", "epoch") or found.split:
        return found
    context = next(filter(None, (split_of(part) for part in reversed(tuple(above)[-3:]))), "")
    if not context:
        return found
    if found.role in ("step", "epoch"):
        return Meaning(found.role, found.rank, context, found.rest)
    rank = (found.rank[0], _preference(words(" ".join(above))), *found.rank[2:])
    return Meaning("eval" if context == "eval" else "train", rank, context, found.rest)


@functools.lru_cache(maxsize=4096)
def _of_name(name: str) -> Meaning:
    if len(name) > 200:
        return _OTHER
    found = words(name)
    if not found:
        return _OTHER
    return _loss(found, split_of(name)) or _axis(found, split_of(name)) or _OTHER


def _loss(found: list[str], split: str) -> Meaning | None:
    rest = [w for w in found if w not in _SPLIT_WORDS and w not in _LIST_WORDS and w not in _LOSS]
    if any(word in _NOT_A_LOSS for word in rest):
        return None
    if _LOSS.isdisjoint(found):
        rank = _measure(found)
    else:
        if found[-1] == "log" and "log" in rest:  # "loss_log" is a list of losses
            rest.remove("log")
        rank = _kind(rest)
    if rank is None:
        return None
    role: Role = "eval" if split == "eval" else "train"
    preference = _preference(found) if role == "eval" else 0 if split else 1
    return Meaning(role, (rank, preference), split, tuple(rest))


def _kind(rest: list[str]) -> int:
    """Return how near a name with `rest` beside "loss" is to the objective: 0 is the nearest."""
    if not rest:
        return 0
    if _TOTAL.issuperset(rest):
        return 1
    if _MAIN.issuperset(rest):
        return 2
    return 4 if not _MINOR.isdisjoint(rest) else 3


def _measure(found: list[str]) -> int | None:
    if "cross" in found and "entropy" in found:
        return 5
    ranks = [_MEASURES[word] for word in found if word in _MEASURES]
    return 5 + min(ranks) if ranks else None


def _preference(found: list[str]) -> int:
    return min((EVAL_WORDS[word] for word in found if word in EVAL_WORDS), default=0)


def _axis(found: list[str], split: str) -> Meaning | None:
    if set(found) in ({"total", "steps"}, {"max", "steps"}):
        return Meaning("total_steps")
    core = [w for w in found if w not in _SPLIT_WORDS]
    if core in (["grad", "norm"], ["gradient", "norm"]):
        return Meaning("gradient")
    rate = [w for w in core if w not in _RATE_WORDS and not w.isdigit()]
    if rate in (["lr"], ["lrs"], ["learning", "rate"], ["learning", "rates"]):
        return Meaning("rate", (len(core),), split)
    core = [w for w in core if w not in _AXIS_WORDS]
    if len(core) != 1:
        return None
    role: Role = "epoch" if core[0] in _EPOCHS else "step"
    for names in (_STEPS, _EPOCHS, _BATCHES):
        if core[0] in names:
            # A global step outranks a step, a step outranks a batch number.
            rank = (names is _BATCHES, "global" not in found, names.index(core[0]))
            return Meaning(role, rank, split, (core[0],))
    return None
