"""Renders examples with the model's chat template and says which tokens are trained.

The mask is exact: the parts that the template marks with `{% generation %}` are found in the
rendered text, and a token belongs to the part in which its last character stands. A template
without marks is rendered turn by turn instead, and an answer is what a turn adds to the prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ftadvise.templates import CLOSE, OPEN, answers, has_marks, with_visible_marks
from ftadvise_trainer.data import day as days
from ftadvise_trainer.data.records import BrokenRecordError, Example
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.tokenizers import adds_bos, training_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from numpy.typing import NDArray

    from ftadvise.families import ModelFamily

Spans = list[tuple[int, int]]
BATCH = 256


class Renderer:
    """Turns examples into token ids and a mask of the trained ones."""

    def __init__(
        self,
        tokenizer: Any,
        family: ModelFamily,
        system: str | None = None,
        day: date | None = None,
    ) -> None:
        """Choose the template, and refuse one that does not end an answer.

        Args:
            tokenizer: As `load_tokenizer` gives it.
            family: As `family_of` gives it.
            system: For conversations that have none.
            day: What a template is told that asks for the date; today when left out.
        """
        self.tokenizer = tokenizer
        self.end: str = family.end_of_turn or tokenizer.eos_token
        self.end_id: int = tokenizer.convert_tokens_to_ids(self.end)
        self.system = system
        self.first: list[int] = [tokenizer.bos_token_id] if adds_bos(tokenizer) else []
        self.template = training_template(tokenizer, family)
        self.marked = has_marks(self.template)
        if self.marked:
            self.template = with_visible_marks(self.template)
        self.day: date | None = None
        if days.asked_for(self.template):
            self.day = day or days.today()
            self.template = days.frozen(self.template, self.day)
        self._check()

    def encode(self, examples: Sequence[Example]) -> Iterator[tuple[list[int], NDArray[np.bool_]]]:
        """Yield the token ids of each example, and which of them are answers.

        Raises:
            BrokenRecordError: The template refuses an example; it says where that stands.
        """
        for start in range(0, len(examples), BATCH):
            batch = examples[start : start + BATCH]
            rendered = [self._text(example) for example in batch]
            texts = [text for text, _ in rendered]
            encoded = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
            parts = zip(
                batch, rendered, encoded["input_ids"], encoded["offset_mapping"], strict=True
            )
            for example, (text, spans), ids, offsets in parts:
                if example.messages:
                    yield ids, mask(offsets, spans)
                else:
                    yield self._completion(example, text, ids)

    def chat(self, messages: Sequence[dict[str, str]]) -> tuple[str, Spans]:
        """Return a conversation as text, and where its answers begin and end."""
        turns = [
            turn | {"content": turn["content"].replace(OPEN, "").replace(CLOSE, "")}
            for turn in messages
        ]
        if self.marked:
            return answers(self._render(turns, prompt=False))
        spans: Spans = []
        text = self._render(turns, prompt=False)
        for index, turn in enumerate(turns):
            if turn["role"] != "assistant":
                continue
            before = self._render(turns[:index], prompt=True) if index else ""
            after = self._render(turns[: index + 1], prompt=False)
            end = after.rfind(self.end) + len(self.end)
            if not (after.startswith(before) and text.startswith(after[:end])) or end <= len(
                before
            ):
                raise BrokenRecordError(
                    "the tokenizer's chat template writes a turn differently once others follow it"
                )
            spans.append((len(before), end))
        return text, spans

    def _render(self, turns: Sequence[dict[str, str]], *, prompt: bool) -> str:
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    list(turns),
                    chat_template=self.template,
                    tokenize=False,
                    add_generation_prompt=prompt,
                )
            )
        except Exception as error:  # a template may raise whatever it likes
            raise BrokenRecordError(f"the chat template refuses it: {error}") from error

    def _text(self, example: Example) -> tuple[str, Spans]:
        if not example.messages:
            return example.prompt + example.completion, []
        messages = example.messages
        if self.system and messages[0]["role"] != "system":
            messages = ({"role": "system", "content": self.system}, *messages)
        try:
            text, spans = self.chat(messages)
        except BrokenRecordError as error:
            raise BrokenRecordError(f"{example.where}: {error}") from error
        return text, spans[example.given_answers :]

    def _completion(
        self, example: Example, text: str, ids: list[int]
    ) -> tuple[list[int], NDArray[np.bool_]]:
        """Return prompt and completion, the prompt in the tokens it has when it stands alone."""
        prompt: list[int] = self._ids(example.prompt)
        if ids[: len(prompt)] != prompt:
            ids = prompt + self._ids(text[len(example.prompt) :])
        first = [] if ids[:1] == self.first else self.first  # the text may bring its own
        whole = [*first, *ids] if ids[-1:] == [self.end_id] else [*first, *ids, self.end_id]
        return whole, np.arange(len(whole)) >= len(first) + len(prompt)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _check(self) -> None:
        """Refuse a template that leaves out an answer or its end, before any data is read."""
        turns = [
            {"role": role, "content": content}
            for role, content in zip(("user", "assistant") * 2, "abcd", strict=True)
        ]
        try:
            text, spans = self.chat(turns)
        except BrokenRecordError as error:
            raise TrainError(f"{error}", hint="Set model.family to one that fits.") from error
        found = [text[start:end] for start, end in spans]
        if [part.strip()[:1] for part in found] != ["b", "d"] or not all(
            part.rstrip().endswith(self.end) for part in found
        ):
            raise TrainError(
                f"the chat template does not mark its answers and their end, {self.end}",
                hint="{% generation %} has to stand around the answer and its end of turn.",
            )


def mask(offsets: Sequence[tuple[int, int]], spans: Spans) -> NDArray[np.bool_]:
    """Return which tokens have their last character in one of the spans.

    Only the end of a token is looked at: some tokenizers leave spaces out of where it begins.
    """
    ends = np.array([end for _, end in offsets], dtype=np.int64)
    trained = np.zeros(len(ends), dtype=np.bool_)
    for start, end in spans:
        trained |= (ends > start) & (ends <= end)
    return trained
