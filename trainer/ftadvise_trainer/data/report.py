"""What became of the data, in numbers and in one example."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

OPEN, CLOSE = "⟦", "⟧"


@dataclass
class SideReport:
    """The train side or the eval side.

    Attributes:
        read: Examples as they were read.
        kept: Examples that are used.
        dropped: Examples that are not, counted by the reason.
        truncated: Kept examples that were longer than `data.max_length`.
        cut_tokens: Tokens that were cut off from those.
        trained_tokens: Tokens with a label.
        total_tokens: Tokens in all kept examples.
        duplicates: Kept examples whose content another one has as well.
        longest: Tokens in the longest example before anything was cut.
    """

    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict[str, int])
    truncated: int = 0
    cut_tokens: int = 0
    trained_tokens: int = 0
    total_tokens: int = 0
    duplicates: int = 0
    longest: int = 0

    def drop(self, reason: str, count: int = 1) -> None:
        """Count examples that are not used."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count


@dataclass
class DataReport:
    """What became of the data.

    Attributes:
        train: The train side.
        eval: The eval side.
        overlap: Train examples that the eval side has as well; they are not trained on.
        split: How the eval side was found.
        notes: What else somebody should know.
        example: The first train example as text, with the trained tokens marked.
        day: What a chat template was told that asks for the date, as in 2026-11-23; else empty.
    """

    train: SideReport = field(default_factory=SideReport)
    eval: SideReport = field(default_factory=SideReport)
    overlap: int = 0
    split: str = ""
    notes: list[str] = field(default_factory=list[str])
    example: str = ""
    day: str = ""

    def rendered_example(self) -> str:
        """Return one example as text; what is trained stands in ⟦ ⟧."""
        return self.example

    def lines(self) -> list[str]:
        """Return the report for people, one line for each thing to know."""
        said = [_side("train", self.train), _side("eval", self.eval)]
        for name, side in (("train", self.train), ("eval", self.eval)):
            said += [f"{name}: {count:,} dropped: {why}" for why, count in side.dropped.items()]
            if side.truncated:
                said.append(
                    f"{name}: {side.truncated:,} cut to max_length, {side.cut_tokens:,} tokens "
                    f"lost (the longest has {side.longest:,})"
                )
            if side.duplicates:
                said.append(f"{name}: {side.duplicates:,} stand there more than once")
        if self.split:
            said.append(f"eval side: {self.split}")
        if self.day:
            said.append(f"chat template: the date in all examples is {self.day}, as the run began")
        return said + self.notes

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, without the example."""
        made = asdict(self)
        made.pop("example")
        if not self.day:
            made.pop("day")
        return made


def _side(name: str, side: SideReport) -> str:
    return (
        f"{name}: {side.kept:,} of {side.read:,} examples, "
        f"{side.trained_tokens:,} of {side.total_tokens:,} tokens trained"
    )


def marked(tokenizer: Any, ids: Sequence[int], labels: Sequence[int]) -> str:
    """Return an example as text with what is trained in ⟦ ⟧ and no character that acts."""
    parts: list[str] = []
    start = 0
    for index in range(1, len(ids) + 1):
        trained = labels[start] >= 0
        if index == len(ids) or (labels[index] >= 0) != trained:
            text = str(tokenizer.decode(list(ids[start:index]), skip_special_tokens=False))
            shown = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
            parts.append(f"{OPEN}{shown}{CLOSE}" if trained else shown)
            start = index
    return "".join(parts)
