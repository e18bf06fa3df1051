"""A chat template that asks for the date gets that of the run's first start."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from tiny_runs import config, losses

from ftadvise_trainer import models
from ftadvise_trainer.config import Config
from ftadvise_trainer.data import cache
from ftadvise_trainer.data import day as days
from ftadvise_trainer.data.chat import Renderer
from ftadvise_trainer.data.prepare import Prepared, prepare
from ftadvise_trainer.saving.checkpoints import listed, read_manifest
from ftadvise_trainer.tokenizers import load_tokenizer
from ftadvise_trainer.training import train

DATED = (
    "{% set today = strftime_now('%d %b %Y') %}<|im_start|>system\nIt is {{ today }}<|im_end|>\n"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FIRST, LATER = date(2026, 3, 30), date(2026, 4, 2)


@pytest.fixture
def dated(tmp_path: Path) -> Config:
    """Return the settings of a short run whose template writes the date."""
    made = config(tmp_path, num_train_epochs=1.0)
    model = tmp_path / "model"
    path = model / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": DATED}))
    return replace(made, model=replace(made.model, family="generic", tokenizer=str(model)))


def on(day: date, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "today", lambda: day)


def prepared(dated: Config, day: date | None = None) -> Prepared:
    family = models.family_of(dated)
    return prepare(dated, load_tokenizer(dated, family), family, day=day)


def test_a_run_that_is_gone_on_with_on_another_day_has_the_tokens_it_began_with(
    dated: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = dated.output_dir
    on(FIRST, monkeypatch)
    said = io.StringIO()
    train(dated, stream=said)
    assert "the date in all examples is 2026-03-30" in said.getvalue()
    whole = losses(folder)
    before = read_manifest(folder / "checkpoint-10")
    shutil.rmtree(folder / "checkpoint-10")

    on(LATER, monkeypatch)
    again = io.StringIO()
    train(dated, stream=again)
    assert "going on from checkpoint-5" in again.getvalue()
    assert "changed since" not in again.getvalue()
    assert losses(folder) == whole
    after = read_manifest(folder / "checkpoint-10")
    assert before is not None
    assert after is not None
    assert after.settings == before.settings
    assert (
        json.loads((folder / "training_metrics.json").read_text())["data"]["day"] == "2026-03-30"
    )

    train(dated, stream=io.StringIO(), resume=False)
    assert days.of_run(folder) == LATER, "a new run has its own day"


def test_another_day_is_other_data_unless_it_is_the_runs(
    dated: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(LATER, monkeypatch)
    later, frozen = prepared(dated), prepared(dated, FIRST)
    assert (later.report.day, frozen.report.day) == ("2026-04-02", "2026-03-30")
    assert later.train.fingerprint != frozen.train.fingerprint
    assert "It is 30 Mar 2026" in frozen.report.rendered_example()


def test_processes_that_start_on_two_sides_of_midnight_have_the_day_of_the_first(
    dated: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    on(FIRST, monkeypatch)
    one = prepared(dated)
    on(LATER, monkeypatch)
    other = prepared(dated)
    assert other.train.fingerprint == one.train.fingerprint
    assert other.report.day == "2026-03-30"
    # What is left from another run gives way to the day that the checkpoints name.
    assert prepared(dated, LATER).report.day == "2026-04-02"
    cache.clear(dated.output_dir)


def test_a_template_without_a_date_has_no_day(tmp_path: Path) -> None:
    plain = config(tmp_path)
    found = prepared(plain)
    assert found.report.day == ""
    assert "day" not in found.report.to_dict()
    family = models.family_of(plain)
    assert Renderer(load_tokenizer(plain, family), family).day is None


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ strftime_now('%d %B %Y %H:%M') }}", "05 March 2026 00:00"),
        ('{{ strftime_now("%-d.%-m.%y, %A, 100%%d") }}', "5.3.26, Thursday, 100%d"),
        ("{{ strftime_now(format='%F') }}", "2026-03-05"),
        (
            "{% if strftime_now is defined %}{% set d = strftime_now('%j') %}{{ d }}{% endif %}",
            "064",
        ),
        ("{% macro m() %}{{ strftime_now('%m') }}{% endmacro %}{{ m() }}", "03"),
        ("\n a{{ strftime_now('%d') }}\n", "\n a05\n"),
        ("{%- for x in messages %}\n{{ strftime_now('%d') + x }}{% endfor %}", "05u05v"),
    ],
)
def test_a_template_writes_the_day_it_is_given_as_it_would_today(template: str, text: str) -> None:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    there = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    day = date(2026, 3, 5)
    assert there.from_string(days.frozen(template, day)).render(messages="uv") == text
    names: Any = there.globals
    names["strftime_now"] = datetime(2026, 3, 5, tzinfo=UTC).strftime
    assert there.from_string(template).render(messages="uv") == text


def test_today_is_that_of_utc() -> None:
    assert abs((days.today() - datetime.now(UTC).date()).days) <= 1


@pytest.mark.parametrize("value", [None, 3, "yesterday", ["2026-03-30"]])
def test_a_day_that_is_none_counts_as_not_known(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "training_metrics.json"
    path.write_text(json.dumps({"data": {"day": value}}))
    assert days.of_metrics(path) is None
    assert days.of_metrics(tmp_path / "none.json") is None
    path.write_text(json.dumps({"data": {"day": "2026-03-30"}}))
    assert days.of_metrics(path) == FIRST
    assert listed(tmp_path) == []
    assert days.of_run(tmp_path) is None
