"""`ftadvise rule` explains the codes of errors too."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ftadvise.cli import main
from ftadvise.cli.error_codes import meanings

ROOT = Path(__file__).resolve().parents[2]
RAISED = sorted(
    {
        code
        for root in ("advisor", "trainer")
        for path in (ROOT / root).rglob("*.py")
        for code in re.findall(r'code="(FT[459]\d\d)"', path.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize("code", RAISED)
def test_every_code_that_is_raised_has_a_meaning(code: str) -> None:
    assert meanings(code)


def test_an_error_code_is_explained_in_upper_or_lower_case() -> None:
    result = CliRunner().invoke(main, ["rule", "ft401"])
    assert result.exit_code == 0
    assert "no such file" in result.stdout


def test_the_json_of_an_error_code_names_its_meanings() -> None:
    result = CliRunner().invoke(main, ["rule", "FT405", "--format", "json"])
    assert json.loads(result.stdout) == {
        "code": "FT405",
        "kind": "error",
        "means": ["no loss history (LogError)"],
    }


def test_a_code_that_nobody_has_is_still_an_error() -> None:
    assert meanings("FT499") == []
    assert CliRunner().invoke(main, ["rule", "FT499"]).exit_code == 2
