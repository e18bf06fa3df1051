"""Records: five formats in five kinds of file, and what is said of those that are broken."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftadvise_trainer.data.files import has_eval, read
from ftadvise_trainer.data.formats import Record, Records
from ftadvise_trainer.data.records import FORMATS, Example, examples
from ftadvise_trainer.errors import TrainError

ASK = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
SHARE = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
RECORDS: dict[str, dict[str, Any]] = {
    "alpaca": {"instruction": "q", "input": "", "output": "a"},
    "messages": {"messages": ASK},
    "sharegpt": {"conversations": SHARE},
    "prompt_completion": {"prompt": "q", "completion": "a"},
    "text": {"text": "q a"},
}


def made(*fields: Any, chosen: str = "auto") -> list[Example]:
    records = Records()
    for number, each in enumerate(fields, 1):
        records.add(f"d.jsonl line {number}", each)
    return examples(records, chosen)


def refused(*fields: Any, chosen: str = "auto") -> str:
    with pytest.raises(TrainError) as caught:
        made(*fields, chosen=chosen)
    assert caught.value.code == "FT502"
    assert caught.value.exit_code == 2
    return caught.value.message


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_known_by_its_fields(name: str) -> None:
    (found,) = made(RECORDS[name])
    assert (found,) == tuple(made(RECORDS[name], chosen=name))
    if name in ("alpaca", "messages", "sharegpt"):
        assert list(found.messages) == ASK
    elif name == "text":
        assert (found.prompt, found.completion) == ("", "q a")
    else:
        assert (found.prompt, found.completion) == ("q", "a")


def test_an_alpaca_input_follows_the_instruction_and_stays_known() -> None:
    (found,) = made({"instruction": "Add.", "input": "1 2", "output": 3, "system": "s"})
    system, user, answer = found.messages
    assert system == {"role": "system", "content": "s"}
    assert user == {
        "role": "user",
        "content": "Add.\n\n1 2",
        "instruction": "Add.",
        "input": "1 2",
    }
    assert answer["content"] == "3"


def test_an_alpaca_history_comes_before_the_question() -> None:
    (found,) = made({"instruction": "q", "output": "a", "history": [["q0", "a0"]]})
    assert [turn["content"] for turn in found.messages] == ["q0", "a0", "q", "a"]


def test_prompt_and_completion_may_be_messages() -> None:
    shot = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    (found,) = made({"prompt": [*shot, ASK[0]], "completion": [ASK[1]]})
    assert len(found.messages) == 4
    assert found.given_answers == 1


def test_the_parts_of_a_message_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    (found,) = made({"messages": [ASK[0], {"role": "assistant", "content": parts}]})
    assert found.messages[1]["content"] == "ab"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"instruction": "q"}, "'output' is missing; it has instruction"),
        ({"prompt": "q"}, "'completion' is missing; it has prompt"),
        ({"instruction": "q", "output": None}, "'output' is null, not text"),
        ({"text": ["a"]}, "'text' is [\"a\"], not text"),
        ({"messages": [{"role": "user"}]}, "message 1: 'content' is missing; it has role"),
        ({"messages": ["hi"]}, 'message 1 is "hi", not a record'),
        ({"messages": ASK[:1]}, "no message is the assistant's"),
        ({"messages": []}, "no message is the assistant's"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "the role 'tool' is not supported"),
        ({"text": "\ud83d"}, "lone surrogate"),
        ({"question": "q", "answer": "a"}, "'text' is missing; it has question, answer"),
        (["q", "a"], "not a record with named fields"),
        (7, "not a record with named fields: 7"),
    ],
)
def test_a_broken_record_is_named_by_its_line_with_what_is_missing(fields: Any, said: str) -> None:
    message = refused(fields)
    assert "d.jsonl line 1: " in message
    assert said in message


def test_mixed_formats_are_named_by_their_lines() -> None:
    message = refused(RECORDS["alpaca"], RECORDS["alpaca"], RECORDS["messages"])
    assert "1 record cannot be used" in message
    assert "line 3: messages, but the first record is alpaca" in message


def test_of_many_broken_records_ten_are_named_and_the_rest_counted() -> None:
    message = refused(*[{"instruction": "q"}] * 25)
    assert "25 records cannot be used" in message
    assert message.count("'output' is missing") == 10
    assert "and 15 more" in message


def test_a_chosen_format_is_not_detected() -> None:
    both = {"text": "t", "prompt": "p", "completion": "c"}
    assert made(both)[0].prompt == "p"
    assert made(both, chosen="text")[0].completion == "t"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["messages", "role", "content", "from", "value", "instruction", "output",
                         "input", "prompt", "completion", "text", "history", "system"]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(JSON, min_size=1, max_size=3), st.sampled_from(["auto", *FORMATS]))
@settings(max_examples=300, deadline=None)
def test_any_records_give_examples_or_a_named_error(values: list[Any], chosen: str) -> None:
    message = ""
    try:
        found = made(*values, chosen=chosen)
    except TrainError as error:
        found, message = [], error.message
    assert "d.jsonl line " in message or all(len(each.digest) == 64 for each in found)


# Files ----------------------------------------------------------------------------------------


def rows(path: Path, side: str = "train") -> list[dict[str, Any]]:
    records = read(path, side)
    assert not records.problems
    return [record.fields for record in records.found]


TWO = [RECORDS["alpaca"], {"instruction": "é", "input": "", "output": "ü\n1"}]


def test_json_jsonl_and_csv_hold_the_same_records(tmp_path: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in TWO)
    (tmp_path / "a.jsonl").write_text("\ufeff" + lines + "\n", encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps(TWO))
    (tmp_path / "c.json").write_text(json.dumps({"data": TWO}))
    (tmp_path / "d.json").write_text(lines)
    with (tmp_path / "e.csv").open("w", encoding="utf-8", newline="") as text:
        table = csv.DictWriter(text, list(TWO[0]))
        table.writeheader()
        table.writerows(TWO)
    for path in sorted(tmp_path.iterdir()):
        assert rows(path) == TWO, path.name
    assert rows(tmp_path) == TWO * 5


def test_parquet_and_saved_datasets_hold_the_same_records(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_list(TWO)
    parquet.write_table(data.data.table, tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet") == TWO
    data.save_to_disk(str(tmp_path / "one"))
    assert rows(tmp_path / "one") == TWO
    both = datasets.DatasetDict({"train": data, "test": data.select([1])})
    both.save_to_disk(str(tmp_path / "two"))
    assert rows(tmp_path / "two") == TWO
    assert rows(tmp_path / "two", "eval") == TWO[1:]
    assert has_eval(tmp_path / "two")
    assert not has_eval(tmp_path / "one")


def test_messages_in_a_cell_are_read_as_json(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as text:
        csv.writer(text).writerows([["messages"], [json.dumps(ASK)]])
    assert list(examples(read(tmp_path / "a.csv"))[0].messages) == ASK


def test_in_a_folder_the_names_say_what_is_held_out(tmp_path: Path) -> None:
    for name in ("train", "more", "validation", "test-00000-of-00001"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": name}) + "\n")
    assert [row["text"] for row in rows(tmp_path)] == ["more", "train"]
    held_out = [row["text"] for row in rows(tmp_path, "eval")]
    assert held_out == ["test-00000-of-00001", "validation"]
    assert has_eval(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', "a.jsonl line 2: not JSON"),
        ("a.json", b'{"train": []}', "neither a list of records"),
        ("a.json", b"[1, {]", "a.json: not JSON"),
        ("a.json", b"[" * 100_000, "a.json: not JSON"),
        ("a.csv", b"text,b\nx\n", "a.csv line 2: not 2 cells"),
        ("a.csv", b"text\nx,y\n", "a.csv line 2: not 1 cells"),
        ("a.parquet", b"PAR1 no", "a.parquet: not Parquet"),
    ],
)
def test_a_broken_file_is_named_with_the_place(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainError) as caught:
        examples(read(tmp_path / name))
    assert said in caught.value.message
    assert caught.value.code == "FT502"


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", b"x"), ("a.jsonl", b""), ("a.jsonl", b"\xff\xfe\x00"), ("b/c.txt", b"x")],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(TrainError) as caught:
        read(path if path.suffix == ".jsonl" or "/" not in name else path.parent)
    assert caught.value.code == "FT502"


def test_a_missing_file_is_named_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"data\.eval: there is no"):
        read(tmp_path / "gone.jsonl", "eval")


def test_a_reader_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(TrainError, match="needs pyarrow") as caught:
        read(tmp_path / "a.parquet")
    assert caught.value.code == "FT509"


def test_the_same_content_has_the_same_digest_wherever_it_stands() -> None:
    one, other = made({"messages": ASK}), made({"conversations": SHARE})
    assert one[0].digest == other[0].digest
    (third,) = examples(Records([Record("elsewhere", {"instruction": "q", "output": " a"})]))
    assert third.digest == one[0].digest
    assert made(RECORDS["text"])[0].digest != one[0].digest
