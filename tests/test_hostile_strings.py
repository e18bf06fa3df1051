"""Whatever a log, a plugin or a caller calls things, no output obeys it."""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING, Any

import pytest
from harmless import (
    OBEYED,
    OWN,
    Elements,
    check_github,
    check_json,
    check_jsonl,
    check_junit,
    check_markdown,
    check_sarif,
    check_text,
)
from hostile_strings import OVERLONG, STRINGS, spoiled, spoiled_error
from made_runs import make_run

import ftadvise
from ftadvise.cli.output import Look
from ftadvise.cli.renderings import FORMATS, Asked
from ftadvise.cli.selecting import Selection
from ftadvise.config.exports import TOOLS, export
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.advice import Advice
    from ftadvise.errors import FtadviseError

pytestmark = pytest.mark.usefixtures("at_root")

NUMBERS = range(len(STRINGS))


@functools.cache
def advice() -> Advice:
    """Return an advice with findings of every kind."""
    return ftadvise.advise(make_run(rise=0.6, noise=0.01))


@functools.cache
def evil(number: int) -> Advice:
    return spoiled(advice(), STRINGS[number])


def shown(
    form: str,
    path: str,
    *results: Advice | FtadviseError,
    width: int = 80,
    ascii_only: bool = False,
    command: str = "",
) -> str:
    """Return what `ftadvise analyze --format FORM` writes of some results, in colour."""
    rendering = FORMATS[form]
    look = Look(width, ascii_only, colour=not ascii_only)
    asked = Asked(len(results) > 1, look, Selection(), command)
    pieces = [rendering.piece(path, result, asked) for result in results]
    return rendering.whole([one for one in pieces if one is not None], None, asked) or ""


@functools.cache
def harmless(pieces: int) -> Elements:
    """Return what a page of harmless words is made of."""
    plain = spoiled(advice(), "plain")
    results: list[Advice | FtadviseError] = [plain, spoiled_error("plain"), plain]
    return Elements(shown("html", "plain", *results[:pieces], command="ftadvise analyze plain"))


def check_html(text: str, said: str) -> None:
    page, plain = Elements(text), [harmless(1), harmless(3)]
    assert page.found <= plain[0].found | plain[1].found
    assert page.links <= plain[0].links | plain[1].links
    assert not OBEYED.search(text.replace("\t", " "))


CHECKS: dict[str, Callable[[str, str], None]] = {
    "text": check_text,
    "json": check_json,
    "jsonl": check_jsonl,
    "markdown": check_markdown,
    "html": check_html,
    "github": check_github,
    "sarif": check_sarif,
    "junit": check_junit,
    "concise": check_text,
}


def test_every_format_is_tried_with_sixty_strings() -> None:
    assert len(set(STRINGS)) >= 60
    assert set(CHECKS) == set(FORMATS), "say in CHECKS what has to hold for a new format"


@pytest.mark.parametrize("form", [form for form in CHECKS if form != "html"])
def test_no_format_obeys_what_a_log_says(form: str) -> None:
    for number in NUMBERS:
        said = STRINGS[number]
        CHECKS[form](shown(form, said, evil(number)), said)


@pytest.mark.parametrize("form", list(CHECKS))
def test_no_format_obeys_what_an_error_says(form: str) -> None:
    for said in STRINGS:
        CHECKS[form](shown(form, said, spoiled_error(said), spoiled_error(said)), said)


@pytest.mark.parametrize("width", [40, 100])
def test_text_of_any_width_and_in_ascii_holds_no_other_codes_than_ours(width: int) -> None:
    for number in NUMBERS[:: 1 if width == 40 else 3]:
        check_text(shown("text", "x", evil(number), width=width), "")
        plain = shown("text", "x", evil(number), width=width, ascii_only=True)
        assert plain.isascii()
        assert not OBEYED.search(plain)


def test_a_page_about_a_log_holds_nothing_that_the_log_brought_along() -> None:
    for number in range(0, len(STRINGS), 7):  # a browser is shown them all: tests/browser
        said = STRINGS[number]
        check_html(shown("html", said, evil(number), command=f"ftadvise {said}"), said)


def test_what_harms_nobody_is_shown_as_it_is() -> None:
    said = "<b>|a&b \"c\" 'd' {{7*7}}"
    page = Elements(shown("html", said, spoiled(advice(), said)))
    assert said in "".join(page.text)
    assert said in OWN.sub("", shown("text", said, spoiled(advice(), said)))


def test_markdown_is_words_alone_to_a_reader_of_markdown() -> None:
    parser = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    plain = {token.type for token in walked(parser.parse(shown("markdown", "x", advice())))}
    for number in NUMBERS:
        tokens = walked(parser.parse(shown("markdown", "x", evil(number))))
        assert {token.type for token in tokens} <= plain, STRINGS[number]


def walked(tokens: list[Any]) -> list[Any]:
    return [one for token in tokens for one in (token, *walked(token.children or []))]


@pytest.mark.parametrize("tool", TOOLS)
def test_settings_to_paste_are_the_same_whatever_the_log_is_called(tool: str) -> None:
    load = yaml_of if tool in ("ftadvise", "axolotl", "llama-factory") else python_of
    wanted = load(export(advice(), tool))
    numbers = NUMBERS if tool != "keras" else range(0, len(STRINGS), 20)  # it rehearses anew
    for number in numbers:
        text = export(evil(number), tool)
        assert load(text) == wanted, STRINGS[number]
        assert not OBEYED.search(text)


def yaml_of(text: str) -> Any:
    return pytest.importorskip("yaml").safe_load(text)


def python_of(text: str) -> str:
    return ast.dump(ast.parse(text))


def test_strings_in_a_yaml_are_the_same_after_the_advice_was_put_in() -> None:
    yaml = pytest.importorskip("yaml")
    from ftadvise.config import layouts
    from ftadvise.config.patching import patch

    layout = layouts.layout("ftadvise", advice().recommendation)
    for said in STRINGS[:-1]:
        try:
            text = yaml.safe_dump(
                {"model": said, "training": {"num_train_epochs": 1, "note": said}}
            )
            before = yaml.safe_load(text)
        except (yaml.YAMLError, UnicodeError):
            continue  # YAML has no such character
        after = yaml.safe_load(patch(text, layout.section, layout.settings).text)
        assert after["model"] == before["model"]
        assert after["training"]["note"] == before["training"]["note"]
        assert after["training"]["num_train_epochs"] == advice().num_train_epochs
        assert set(after) == set(before)


@pytest.mark.parametrize("limit", [40, 200, 2000])
def test_words_are_bounded_and_cost_little_however_long_they_are(limit: int) -> None:
    assert all(len(clean(said, limit)) <= limit for said in STRINGS)
    assert len(shown("text", "x", spoiled(advice(), OVERLONG))) < 60_000
