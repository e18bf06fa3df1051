"""Every output that programs read is as its JSON Schema in docs/schemas says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner

from ftadvise.cli import main

ROOT = Path(__file__).parent.parent
SCHEMAS = {
    str(schema["$id"]): schema
    for path in sorted((ROOT / "docs" / "schemas").glob("*.json"))
    for schema in [json.loads(path.read_text(encoding="utf-8"))]
}
CHAT = "examples/chat/trainer_state.json"
QWEN = "examples/qwen/training_metrics.json"
PRIVATE = {"ftadvise.tokens/1"}  # of a cache that only its own code reads

pytestmark = pytest.mark.usefixtures("at_root")


def written(*args: str) -> str:
    return CliRunner().invoke(main, list(args)).stdout


def valid(document: Any, name: str) -> Any:
    jsonschema.Draft202012Validator(SCHEMAS[name]).validate(document)
    return document


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a schema that names the keys of an object."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_admits_no_key_that_it_does_not_name(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    found = list(objects(SCHEMAS[name]))
    assert found
    closed = [part for part in found if "propertyNames" not in part]
    assert all(part["additionalProperties"] is False for part in closed)


def test_every_schema_that_the_code_writes_is_described() -> None:
    rooms = (ROOT / "advisor", ROOT / "trainer", ROOT / "plugins")
    code = "\n".join(p.read_text(encoding="utf-8") for room in rooms for p in room.rglob("*.py"))
    named = set(re.findall(r"\"(ftadvise\.[a-z.]+/\d+)\"", code))
    assert named - PRIVATE - SCHEMAS.keys() == set()
    assert {name for name in SCHEMAS if "/" in name} - named == set()


@pytest.mark.parametrize("log", [CHAT, QWEN])
def test_an_advice_is_as_its_schema_says_and_no_key_more(log: str) -> None:
    told = valid(json.loads(written("analyze", log, "--format", "json")), "ftadvise.advice/1")
    for inside in (told, told["observed"], told["scenarios"][0], told["findings"][0]):
        inside["unheard-of"] = 1
        with pytest.raises(jsonschema.ValidationError, match="unheard-of"):
            valid(told, "ftadvise.advice/1")
        del inside["unheard-of"]


def test_a_training_yaml_is_as_its_schema_says_and_no_key_more() -> None:
    yaml = pytest.importorskip("yaml")
    given = yaml.safe_load((ROOT / "examples/tiny/training.yaml").read_text(encoding="utf-8"))
    valid(given, "ftadvise.training")
    given["training"]["adam_beta2"] = 0.95
    valid(given, "ftadvise.training")
    for section, key in (("data", "trian"), ("training", "push_to_hub")):
        with pytest.raises(jsonschema.ValidationError, match=key):
            valid(given | {section: given[section] | {key: "x"}}, "ftadvise.training")


def test_an_error_is_as_its_schema_says() -> None:
    lines = written("analyze", "nowhere.json", "--format", "jsonl").splitlines()
    valid(json.loads(lines[0]), "ftadvise.error/1")


def test_the_answer_from_several_logs_is_as_its_schema_says(tmp_path: Path) -> None:
    text = (ROOT / CHAT).read_text(encoding="utf-8")
    (tmp_path / "again.json").write_text(text.replace("1.0077", "1.0079"), encoding="utf-8")
    logs = (CHAT, str(tmp_path / "again.json"))
    *_, joint = json.loads(written("analyze", *logs, "--format", "json"))
    valid(joint, "ftadvise.together/1")


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("ftadvise.forecast/1", ("forecast", CHAT, "--at", "4")),
        ("ftadvise.forecast/1", ("forecast", CHAT, "--at", "2", "--epochs", "3")),
        ("ftadvise.replay/1", ("replay", CHAT)),
        ("ftadvise.replay/1", ("replay", QWEN)),
        ("ftadvise.runs/1", ("analyze", CHAT, "--list")),
        ("ftadvise.runs/1", ("analyze", "examples", "--list")),
        ("ftadvise.plugins/1", ("plugins",)),
        ("ftadvise.plugins.check/1", ("plugins", "check", "examples/ftadvise-lossbook")),
        ("ftadvise.env/1", ("env",)),
        ("ftadvise.rule", ("rule",)),
        ("ftadvise.rule", ("rule", "FT201")),
        ("ftadvise.rule", ("rule", "FT401")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_what_a_command_writes_is_as_its_schema_says(name: str, args: tuple[str, ...]) -> None:
    valid(json.loads(written(*args, "--format", "json")), name)


def test_a_new_plugin_is_told_as_its_schema_says(tmp_path: Path) -> None:
    args = ("plugins", "new", "mine", "--kind", "rule", "--into", str(tmp_path))
    valid(json.loads(written(*args, "--format", "json")), "ftadvise.plugins.new/1")


@pytest.mark.parametrize("log", [CHAT, QWEN])
def test_a_run_in_progress_is_told_as_its_schema_says(log: str) -> None:
    lines = written("watch", "--once", log, "--format", "jsonl").splitlines()
    assert lines
    for line in lines:
        valid(json.loads(line), "ftadvise.progress/1")


def test_the_history_is_told_as_its_schema_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTADVISE_HISTORY", str(tmp_path / "history.sqlite3"))
    advice = tmp_path / "advice.json"
    advice.write_text(written("analyze", CHAT, "--format", "json"), encoding="utf-8")
    told: list[Any] = [
        json.loads(written("history", *args, "--format", "json"))
        for args in (
            ("list",),
            ("add", CHAT, "--advice", str(advice)),
            ("add", QWEN),
            ("list",),
            ("show", "1"),
            ("path",),
            ("forget", "1"),
        )
    ]
    for one in told:
        valid(one, "ftadvise.history/1")
    assert told[4]["run"]["outcome"] is not None, "the judgement of an advice was not looked at"
    told[4]["run"]["facts"]["unheard-of"] = 1
    with pytest.raises(jsonschema.ValidationError):
        valid(told[4], "ftadvise.history/1")
