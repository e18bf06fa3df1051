"""Turns records into examples: five formats, told apart by their fields."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean
from ftadvise_trainer.data.formats import as_dict, as_list
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ftadvise_trainer.data.formats import Record, Records

FORMATS = ("alpaca", "messages", "sharegpt", "prompt_completion", "text")

_ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatgpt"), "assistant"),
}
_SHOWN = 10


@dataclass(frozen=True)
class Example:
    """What the model is trained on: a conversation, or a prompt with its completion.

    Attributes:
        where: Where it was read, for messages.
        messages: The turns of a conversation; empty when it is none.
        given_answers: How many of the first answers belong to the prompt and are not trained.
        prompt: The text before the completion; empty for plain text.
        completion: The text to train on.
    """

    where: str
    messages: tuple[dict[str, str], ...] = ()
    given_answers: int = 0
    prompt: str = ""
    completion: str = ""

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the content, the same wherever the example stands."""
        turns = [[turn["role"], turn["content"].strip()] for turn in self.messages]
        content = [turns, self.given_answers, self.prompt.strip(), self.completion.strip()]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to answer with."""
        if self.messages:
            answers = [turn["content"] for turn in self.messages if turn["role"] == "assistant"]
            return not any(answer.strip() for answer in answers[self.given_answers :])
        return not self.completion.strip()

    @property
    def texts(self) -> list[str]:
        """All texts in it."""
        return [turn["content"] for turn in self.messages] or [self.prompt, self.completion]


class BrokenRecordError(ValueError):
    """What is wrong with a record, without where it stands."""


def examples(records: Records, chosen: str = "auto", key: str = "data.train") -> list[Example]:
    """Return the example of each record.

    Args:
        records: As they were read.
        chosen: One of `FORMATS`, or `auto`: that of the first record which has one.
        key: Setting that named the file, for messages.

    Raises:
        TrainError: FT502, with a line for each of the first broken or unlike records.
    """
    problems = list(records.problems)
    kind = chosen if chosen != "auto" else _common(records.found)
    made: list[Example] = []
    for record in records.found:
        try:
            own = detect(record.fields)
            if chosen == "auto" and own is not None and own != kind:
                raise BrokenRecordError(f"{own}, but the first record is {kind}")
            made.append(_READERS[kind or "text"](record.fields, record.where))
        except BrokenRecordError as error:
            problems.append(f"{record.where}: {error}")
    if problems:
        raise refusal(key, problems)
    return made


def refusal(key: str, problems: Sequence[str]) -> TrainError:
    """Return the error for broken records, with the first of them by name."""
    count = "1 record" if len(problems) == 1 else f"{len(problems)} records"
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    lines = "".join(f"\n  {line}" for line in [*problems[:_SHOWN], *more])
    return TrainError(
        f"{key}: {count} cannot be used:{lines}",
        code="FT502",
        hint="Mend or delete them; data.format names one format for all: " + ", ".join(FORMATS),
    )


def detect(fields: dict[str, Any]) -> str | None:
    """Return the format that the fields of a record show, None when they show none."""
    turns = _turns(fields)
    if turns is not None:
        first: Any = turns[0] if turns else {}
        return "sharegpt" if isinstance(first, dict) and "from" in first else "messages"
    if "instruction" in fields or {"input", "output"} <= fields.keys():
        return "alpaca"
    if "completion" in fields or "prompt" in fields:
        return "prompt_completion"
    return "text" if "text" in fields else None


def _common(found: Sequence[Record]) -> str | None:
    kinds = (detect(record.fields) for record in found)
    return next((kind for kind in kinds if kind is not None), None)


def _turns(fields: dict[str, Any]) -> list[Any] | None:
    for key in ("messages", "conversations", "conversation"):
        value = fields.get(key)
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:  # a cell of a CSV
                value = json.loads(value)
            except ValueError:
                continue
        turns = as_list(value)
        if turns is not None:
            return turns
    return None


def _text(fields: dict[str, Any], key: str, *, optional: bool = False) -> str:
    value = fields.get(key)
    if value is None and optional:
        return ""
    if key not in fields:
        has = ", ".join(clean(name, 40) for name in list(fields)[:8]) or "nothing"
        raise BrokenRecordError(f"{key!r} is missing; it has {has}")
    parts = [as_dict(part) or {} for part in as_list(value) or ()]  # of a message
    if parts and all(isinstance(part.get("text"), str) for part in parts):
        value = "".join(part["text"] for part in parts)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise BrokenRecordError(f"{key!r} is {_shown(value)}, not text")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise BrokenRecordError(f"{key!r} holds half of a character (a lone surrogate)")
    return value


def _shown(value: Any) -> str:
    return "null" if value is None else clean(json.dumps(value, default=str), 40)


def _message(value: Any, number: int) -> dict[str, str]:
    fields = as_dict(value)
    if fields is None:
        raise BrokenRecordError(f"message {number} is {_shown(value)}, not a record")
    names = ("from", "value") if "from" in fields else ("role", "content")
    try:
        role = _text(fields, names[0])
        if fields.get("tool_calls"):
            raise BrokenRecordError("tool calls are not supported")
        if role.lower() not in _ROLES:
            raise BrokenRecordError(f"the role {clean(role, 40)!r} is not supported")
        return {"role": _ROLES[role.lower()], "content": _text(fields, names[1])}
    except BrokenRecordError as error:
        raise BrokenRecordError(f"message {number}: {error}") from None


def _conversation(turns: Sequence[Any], where: str, given: int = 0) -> Example:
    messages = tuple(_message(turn, number) for number, turn in enumerate(turns, 1))
    if not any(message["role"] == "assistant" for message in messages):
        raise BrokenRecordError("no message is the assistant's")
    return Example(where, messages, given)


def _chat(fields: dict[str, Any], where: str) -> Example:
    turns = _turns(fields)
    if turns is None:
        raise BrokenRecordError(f"no list of messages; it has {', '.join(list(fields)[:8])}")
    if fields.get("system"):
        turns = [{"role": "system", "content": _text(fields, "system")}, *turns]
    return _conversation(turns, where)


def _alpaca(fields: dict[str, Any], where: str) -> Example:
    """Keep the two parts of the question beside it, for Alpaca's own template."""
    instruction = _text(fields, "instruction", optional="input" in fields)
    given = _text(fields, "input", optional=True)
    answer = {"role": "assistant", "content": _text(fields, "output")}
    question = "\n\n".join(part for part in (instruction, given) if part.strip())
    user = {"role": "user", "content": question}
    if instruction.strip() and given.strip():
        user |= {"instruction": instruction, "input": given}
    system = _text(fields, "system", optional=True)
    before = ({"role": "system", "content": system},) if system.strip() else ()
    past = _history(fields.get("history"))
    return Example(where, (*before, *past, user, answer))


def _history(value: Any) -> list[dict[str, str]]:
    turns: list[dict[str, str]] = []
    for pair in as_list(value) or ():
        said = as_list(pair) or ()
        if len(said) != 2:
            raise BrokenRecordError("'history' is not a list of question and answer")
        for role, content in zip(("user", "assistant"), said, strict=True):
            turns.append({"role": role, "content": _text({"history": content}, "history")})
    return turns


def _prompt(fields: dict[str, Any], where: str) -> Example:
    before, after = as_list(fields.get("prompt")), as_list(fields.get("completion"))
    if before is not None and after is not None:
        chat = _conversation([*before, *after], where)
        given = chat.messages[: len(before)]
        count = sum(message["role"] == "assistant" for message in given)
        return Example(where, chat.messages, count)
    return Example(where, prompt=_text(fields, "prompt"), completion=_text(fields, "completion"))


def _plain(fields: dict[str, Any], where: str) -> Example:
    return Example(where, completion=_text(fields, "text"))


_READERS: dict[str, Callable[[dict[str, Any], str], Example]] = {
    "alpaca": _alpaca,
    "messages": _chat,
    "sharegpt": _chat,
    "prompt_completion": _prompt,
    "text": _plain,
}
