"""From the `data:` of a training YAML to the tokens of both sides, and a report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftadvise_trainer.data import cache, files, split
from ftadvise_trainer.data.chat import Renderer
from ftadvise_trainer.data.records import FORMATS, BrokenRecordError, Example, examples, refusal
from ftadvise_trainer.data.report import DataReport, SideReport, marked
from ftadvise_trainer.data.tokens import TokenDataset
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.processes.rank import world_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    import numpy as np
    from numpy.typing import NDArray

    from ftadvise.families import ModelFamily
    from ftadvise_trainer.config import Config, DataConfig

LOSS_ON = ("answers", "all")


@dataclass(frozen=True)
class Prepared:
    """What a run trains and evaluates on.

    Attributes:
        train: The train side.
        eval: The eval side, with which it has no example in common.
        report: What became of the data.
    """

    train: TokenDataset
    eval: TokenDataset
    report: DataReport


def prepare(
    config: Config, tokenizer: Any, family: ModelFamily, *, day: date | None = None
) -> Prepared:
    """Return the tokens to train and to evaluate on.

    The same files, tokenizer and settings give the same tokens in the same order, in every process.
    Of several, one tokenises; the others wait for it and read what it has written (`cache`).

    Args:
        config: The run's settings.
        tokenizer: As `load_tokenizer` gives it.
        family: As `family_of` gives it.
        day: What a chat template is told that asks for the date; today when left out.

    Raises:
        TrainError: FT502, the data cannot be used; FT503, no token would be trained; FT509, a
            reader is not installed.
    """
    _check(config.data)
    key = cache.key_of(config, tokenizer, family) if world_size() > 1 else None
    if key is None:
        return _tokenised(config, tokenizer, family, day)
    folder = config.output_dir
    with cache.turn(folder):
        found = cache.load(folder, key)
        if found is not None and (day is None or found[2].day in ("", day.isoformat())):
            return Prepared(*found)
        made = _tokenised(config, tokenizer, family, day)
        cache.save(folder, key, (made.train, made.eval, made.report))
        return made


def _tokenised(config: Config, tokenizer: Any, family: ModelFamily, day: date | None) -> Prepared:
    renderer = Renderer(tokenizer, family, config.data.system, day)
    report = DataReport(day=renderer.day.isoformat() if renderer.day else "")
    train, held_out = _sides(config, report)
    sides: dict[str, TokenDataset] = {}
    for name, given, side in (("train", train, report.train), ("eval", held_out, report.eval)):
        rows = _rows(given, renderer, config.data, side, f"data.{name}")
        sides[name] = TokenDataset(rows)
        side.kept = len(sides[name])
        side.total_tokens = sides[name].total_tokens
        side.trained_tokens = sides[name].trained_tokens
        if not side.trained_tokens:
            raise _nothing_trained(name, side, config.data.max_length)
    _note(report, config.data, tokenizer, [*train, *held_out])
    first = sides["train"][0]
    report.example = marked(tokenizer, first["input_ids"], first["labels"])
    return Prepared(sides["train"], sides["eval"], report)


def _check(data: DataConfig) -> None:
    wrong = ""
    if not data.train:
        wrong = "data.train: no file is named"
    elif data.format not in ("auto", *FORMATS):
        wrong = f"data.format: {data.format!r} is not auto or one of {', '.join(FORMATS)}"
    elif data.loss_on not in LOSS_ON:
        wrong = f"data.loss_on: {data.loss_on!r} is not one of {', '.join(LOSS_ON)}"
    elif data.max_length < 2:
        wrong = f"data.max_length: {data.max_length} leaves no token to predict"
    if wrong:
        raise TrainError(wrong, code="FT502")


def _sides(config: Config, report: DataReport) -> tuple[list[Example], list[Example]]:
    data = config.data
    where = config.find(data.train)
    train = examples(files.read(where), data.format)
    report.train.read = len(train)
    named = data.eval or (data.train if files.has_eval(where) else None)
    if named is None:
        train, held_out = split.by_hash(train, data.eval_share)
        report.train.read, report.eval.read = len(train), len(held_out)
        report.split = f"{len(held_out):,} held out by the hash of their content"
        return train, held_out
    held_out = examples(files.read(config.find(named), "eval"), data.format, "data.eval")
    report.eval.read = len(held_out)
    report.split = "given by data.eval" if data.eval else "found beside the train side"
    train, report.overlap = split.without_overlap(train, held_out)
    report.train.drop("it stands in the eval side as well", report.overlap)
    if not train:
        raise TrainError(
            "data.eval holds every example of data.train, which leaves none to train on",
            code="FT502",
            hint="Name another file, or leave data.eval out: a share is then held out.",
        )
    return train, held_out


def _rows(
    given: Sequence[Example], renderer: Renderer, data: DataConfig, side: SideReport, key: str
) -> Iterator[tuple[list[int], NDArray[np.bool_]]]:
    """Yield what is kept of each example, and count everything else."""
    full = [example for example in given if not example.empty]
    side.drop("its answer is empty", len(given) - len(full))
    seen: Counter[str] = Counter()
    try:
        for example, (ids, trained) in zip(full, renderer.encode(full), strict=True):
            side.longest = max(side.longest, len(ids))
            if data.loss_on == "all":
                trained[:] = True
            kept = trained[: data.max_length]
            if not kept[1:].any():
                cut = len(ids) > data.max_length
                side.drop(
                    "its answer lies beyond max_length" if cut else "it has no trained token"
                )
                continue
            if len(ids) > data.max_length:
                side.truncated += 1
                side.cut_tokens += len(ids) - data.max_length
            seen[example.digest] += 1
            yield ids[: data.max_length], kept
    except BrokenRecordError as error:
        raise refusal(key, [str(error)]) from error
    side.duplicates = sum(count for count in seen.values() if count > 1)


def _nothing_trained(name: str, side: SideReport, max_length: int) -> TrainError:
    reasons = ", ".join(f"{count:,}: {why}" for why, count in side.dropped.items())
    return TrainError(
        f"data.{name}: none of {side.read:,} examples has a token to train on ({reasons})",
        code="FT503",
        hint=f"The longest has {side.longest:,} tokens and data.max_length is {max_length:,}.",
    )


def _note(report: DataReport, data: DataConfig, tokenizer: Any, given: Sequence[Example]) -> None:
    if data.loss_on == "answers" and all(not e.messages and not e.prompt for e in given):
        report.notes.append("plain text has no answers: every token of it is trained")
    if not all(example.messages for example in given):
        report.notes.append("prompts and plain text are not put into the chat template")
    special = [token for token in tokenizer.all_special_tokens if len(token) > 1]
    literal = sum(any(s in text for text in e.texts for s in special) for e in given)
    if literal:
        report.notes.append(
            f"{literal:,} examples contain special tokens as text, such as "
            f"{tokenizer.eos_token}: was a chat template applied to them before?"
        )
