from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import ftadvise
from ftadvise.numbers import chance, short
from ftadvise.reports import markdown, text, words
from ftadvise.reports.configuration import training_block
from ftadvise.reports.style import Style
from ftadvise.rules.case import Finding

if TYPE_CHECKING:
    from ftadvise.advice import Advice

pytestmark = pytest.mark.usefixtures("at_root")


@pytest.fixture(scope="module")
def chat() -> Advice:
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    return ftadvise.advise(ftadvise.read(root / "examples" / "chat" / "trainer_state.json"))


def test_the_answer_comes_before_everything_else(chat: Advice) -> None:
    lines = text.report(chat).splitlines()
    answer = next(i for i, line in enumerate(lines) if line.startswith("Next run"))
    assert answer <= 5
    assert f"{chat.num_train_epochs} epoch" in lines[answer]
    following = "\n".join(lines[answer : answer + 7])
    assert f"patience {chat.recommendation.early_stopping_patience}, threshold" in following
    assert short(chat.recommendation.expected_eval_loss) in following


@pytest.mark.parametrize("width", [40, 57, 80, 100])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider_than_asked(chat: Advice, width: int, ascii_only: bool) -> None:
    for line in text.report(chat, width, ascii_only).splitlines():
        assert len(line) <= width or line.startswith("  early_stopping_threshold"), line


def test_ascii_means_ascii_even_for_the_text_of_rules(chat: Advice) -> None:
    odd = replace(chat, findings=(Finding("FT900", "info", "σ ≤ 3 … 東京"),))
    assert text.report(odd, ascii_only=True).isascii()


def test_without_colour_there_is_no_escape_and_with_it_the_words_are_the_same(
    chat: Advice,
) -> None:
    plain, coloured = text.report(chat), text.report(chat, style=Style(colour=True))
    assert "\x1b" not in plain
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


def test_a_level_in_the_message_is_not_mistaken_for_the_level(chat: Advice) -> None:
    one = replace(chat, findings=(Finding("error", "error", "an error " * 40),))
    assert re.sub(r"\x1b\[\d+m", "", text.report(one, style=Style(True))) == text.report(one)


def test_advice_without_findings_reasons_or_scenarios_leaves_the_sections_out(
    chat: Advice,
) -> None:
    bare = replace(chat, findings=(), reasons=(), scenarios=(), forecast=(), ahead=())
    shown = text.report(bare)
    assert "Findings" not in shown
    assert "Why" not in shown
    assert "\n\n\n" not in shown
    assert "## Findings\n\nNone." in markdown.report(bare)


def test_the_configuration_is_what_yaml_readers_take_it_for(chat: Advice) -> None:
    tiny = replace(chat.recommendation, early_stopping_threshold=5e-05)
    lines = training_block(tiny)
    assert lines[0] == "training:"
    assert "  early_stopping_threshold: 5.0e-05" in lines
    assert "  load_best_model_at_end: true" in lines
    assert not any("expected_eval_loss" in line or "None" in line for line in lines)


def test_evaluating_every_epoch_is_said_in_words_and_leaves_no_steps(chat: Advice) -> None:
    each = replace(
        chat.recommendation,
        eval_strategy="epoch",
        eval_steps=None,
        save_strategy="epoch",
        save_steps=None,
    )
    assert "every epoch" in words.cadence(replace(chat, recommendation=each))
    assert "steps" not in "\n".join(training_block(each))


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.0, "<1 %"), (0.004, "<1 %"), (0.05, "5 %"), (0.5, "50 %"), (0.999, ">99 %"), (1, ">99 %")],
)
def test_a_chance_is_never_a_certainty(share: float, said: str) -> None:
    assert chance(share) == said


@pytest.mark.parametrize("status", ["detected", "suspected", "none", "not identified"])
def test_every_status_of_overfitting_has_its_sentence(chat: Advice, status: str) -> None:
    known = status in ("detected", "suspected")
    found = replace(
        chat.overfitting,
        status=status,
        onset_epoch=2.5 if known else None,
        interval=(1.5, 3.0) if known else None,
    )
    sentence = words.overfitting(replace(chat, overfitting=found))
    assert sentence.startswith(status)
    assert ("epoch 2.5 (turn between 1.5 and 3;" in sentence) == known


def test_markdown_progression_has_first_best_and_last_in_at_most_twenty_rows(
    chat: Advice,
) -> None:
    body = markdown.report(chat).split("## Loss progression")[1].split("##")[0]
    rows = [line for line in body.splitlines() if line.startswith("| ")][2:]
    assert len(rows) <= 20
    assert rows[0].startswith("| 0.5 ")
    assert rows[-1].startswith("| 4 ")
    assert sum("best" in row for row in rows) == 1


@pytest.mark.parametrize(
    "evil",
    ["a|b", "<b>x</b>", "[a](javascript:b)", "`x`", "*x* _y_ ~z~", "# x", "@someone", "a\nb"],
)
def test_markdown_escapes_what_would_be_markup(evil: str) -> None:
    shown = markdown.escape(evil)
    assert not re.search(r"(?<!\\)[`*\[\]|~#@<>\n]", shown)


def test_markdown_keeps_underscores_inside_of_names() -> None:
    assert markdown.escape("early_stopping_patience") == "early_stopping_patience"
