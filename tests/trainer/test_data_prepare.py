"""From files to tokens: what is trained, what is cut, dropped, held out, and said about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from made_tokenizers import bytes_tokenizer, pieces_tokenizer

from ftadvise.families import ModelFamily
from ftadvise_plugins.gpt2 import GPT2
from ftadvise_plugins.mistral import MISTRAL
from ftadvise_plugins.qwen import QWEN
from ftadvise_trainer.config import Config, DataConfig
from ftadvise_trainer.data.chat import Renderer
from ftadvise_trainer.data.collate import Collator
from ftadvise_trainer.data.prepare import Prepared, prepare
from ftadvise_trainer.data.records import Example
from ftadvise_trainer.data.split import by_hash
from ftadvise_trainer.errors import TrainError


def chatml() -> Any:
    made = bytes_tokenizer("<|im_start|>", "<|im_end|>", eos="<|im_end|>")
    made.add_special_tokens({"pad_token": "<|endoftext|>"})
    return made


def pair(question: str, answer: str) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }


def numbered(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [pair(f"question {n}", f"answer {n}") for n in range(start, start + count)]


def ready(
    folder: Path,
    train: list[Any],
    held_out: list[Any] | None = None,
    family: ModelFamily = QWEN,
    tokenizer: Any = None,
    **settings: Any,
) -> Prepared:
    for name, rows in (("train", train), ("eval", held_out)):
        if rows is not None:
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"{name}.jsonl").write_text(text)
    if held_out is not None:
        settings["eval"] = "eval.jsonl"
    config = Config(
        data=DataConfig(train="train.jsonl", **settings), path=str(folder / "training.yaml")
    )
    return prepare(config, tokenizer or chatml(), family)


def trained_text(tokenizer: Any, item: dict[str, list[int]]) -> str:
    return str(tokenizer.decode([label for label in item["labels"] if label >= 0]))


def test_only_the_answer_and_its_end_are_trained(tmp_path: Path) -> None:
    made = ready(tmp_path, [pair("q", "a 🙂"), pair("r", "b")], numbered(1))
    assert trained_text(chatml(), made.train[0]) == "a 🙂<|im_end|>"
    assert made.report.rendered_example() == (
        "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n⟦a 🙂<|im_end|>⟧\n"
    )


def test_loss_on_all_trains_everything_but_the_first_token(tmp_path: Path) -> None:
    made = ready(tmp_path, numbered(3), numbered(2, 9), loss_on="all")
    for index in range(3):
        item = made.train[index]
        assert item["labels"] == [-100, *item["input_ids"][1:]]
    assert made.train.trained_tokens == made.train.total_tokens - 3


def test_the_counts_are_those_of_the_shifted_labels(tmp_path: Path) -> None:
    made = ready(tmp_path, numbered(5), numbered(2, 9))
    items = [made.train[index] for index in range(5)]
    shifted = sum(label >= 0 for item in items for label in item["labels"][1:])
    assert made.train.trained_tokens == made.report.train.trained_tokens == shifted
    assert made.train.lengths == [len(item["input_ids"]) for item in items]
    assert made.train.total_tokens == sum(made.train.lengths)


def test_a_long_example_is_cut_and_counted_and_one_without_answer_dropped(tmp_path: Path) -> None:
    rows = [pair("q", "long " * 50), pair("long " * 50, "a"), pair("q", "a")]
    made = ready(tmp_path, rows, numbered(1), max_length=24)
    side = made.report.train
    assert (side.read, side.kept, side.truncated) == (3, 2, 1)
    assert side.dropped == {"its answer lies beyond max_length": 1}
    assert max(made.train.lengths) == 24
    assert side.longest > 50
    assert side.cut_tokens > 0
    assert any("cut to max_length" in line for line in made.report.lines())


def test_data_that_is_all_cut_away_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainError) as caught:
        ready(tmp_path, [pair("long " * 50, "a")] * 2, numbered(1), max_length=16)
    assert caught.value.code == "FT503"
    assert "2: its answer lies beyond max_length" in caught.value.message
    with pytest.raises(TrainError) as caught:
        ready(tmp_path, numbered(2), [pair("long " * 50, "a")], max_length=16)
    assert "data.eval" in caught.value.message


def test_an_empty_answer_is_dropped_and_counted(tmp_path: Path) -> None:
    made = ready(tmp_path, [pair("q", " "), *numbered(2)], numbered(1, 9))
    assert made.report.train.dropped == {"its answer is empty": 1}


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    made = ready(tmp_path, [*numbered(5), pair("question 2", " answer 2")], numbered(2, 2))
    assert made.report.overlap == 3
    assert len(made.train) == 3
    assert made.report.train.dropped == {"it stands in the eval side as well": 3}
    with pytest.raises(TrainError, match="holds every example"):
        ready(tmp_path, numbered(2), numbered(2))


def test_duplicates_are_counted_and_kept(tmp_path: Path) -> None:
    made = ready(tmp_path, [*numbered(3), *numbered(2)], numbered(1, 9))
    assert made.report.train.duplicates == 4
    assert len(made.train) == 5


def test_a_split_stays_when_examples_are_added() -> None:
    def some(count: int) -> list[Example]:
        return [Example("", prompt="p", completion=f"c{n}") for n in range(count)]

    first, first_held = by_hash(some(200), 0.1)
    second, second_held = by_hash(some(400)[::-1], 0.1)
    assert {e.completion for e in first} <= {e.completion for e in second}
    assert {e.completion for e in first_held} <= {e.completion for e in second_held}
    assert 5 <= len(first_held) <= 40
    assert 20 <= len(second_held) <= 65


def test_a_split_that_leaves_a_side_empty_says_what_would_not(tmp_path: Path) -> None:
    with pytest.raises(TrainError) as caught:
        ready(tmp_path, numbered(4), eval_share=0.001)
    share = float(caught.value.hint.split("Raise data.eval_share to ")[1].split(",")[0])
    made = ready(tmp_path, numbered(4), eval_share=share)
    assert len(made.eval) >= 1
    with pytest.raises(TrainError) as caught:
        ready(tmp_path, numbered(4), eval_share=0.999)
    share = float(caught.value.hint.split("Lower data.eval_share to ")[1].split(",")[0])
    assert len(ready(tmp_path, numbered(4), eval_share=share).train) >= 1
    with pytest.raises(TrainError, match="between 0 and 1"):
        ready(tmp_path, numbered(4), eval_share=1.5)


def test_an_eval_file_beside_the_train_file_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    ready(folder, numbered(4), numbered(2, 9))
    config = Config(data=DataConfig(train="data"), path=str(tmp_path / "t.yaml"))
    made = prepare(config, chatml(), QWEN)
    assert (len(made.train), len(made.eval)) == (4, 2)
    assert made.report.split == "found beside the train side"


def test_the_same_data_has_the_same_fingerprint_and_other_data_another(tmp_path: Path) -> None:
    one = ready(tmp_path, numbered(4), numbered(2, 9))
    again = ready(tmp_path, numbered(4), numbered(2, 9))
    other = ready(tmp_path, numbered(4)[::-1], numbered(2, 9))
    masked = ready(tmp_path, numbered(4), numbered(2, 9), loss_on="all")
    assert one.train.fingerprint == again.train.fingerprint
    assert len({p.train.fingerprint for p in (one, other, masked)}) == 3


def test_a_batch_is_padded_where_nothing_is_trained(tmp_path: Path) -> None:
    made = ready(tmp_path, [pair("q", "a"), pair("q", "a long answer, really")], numbered(1))
    items = [made.train[0], made.train[1]]
    batch = Collator(7)(items)
    assert {key: value.dtype for key, value in batch.items()} == dict.fromkeys(
        ("input_ids", "attention_mask", "labels"), torch.long
    )
    rows: dict[str, Any] = dict(batch)
    for row, item in enumerate(items):
        length = len(item["input_ids"])
        assert rows["input_ids"][row].tolist()[:length] == item["input_ids"]
        assert set(rows["input_ids"][row].tolist()[length:]) <= {7}
        assert rows["labels"][row].tolist()[:length] == item["labels"]
        assert set(rows["labels"][row].tolist()[length:]) <= {-100}
        assert batch["attention_mask"][row].sum() == length


def test_an_end_of_turn_that_is_also_padding_elsewhere_stays_trained(tmp_path: Path) -> None:
    tokenizer = chatml()
    made = ready(tmp_path, numbered(2), numbered(1, 9), tokenizer=tokenizer)
    batch = Collator(tokenizer.eos_token_id)([made.train[0]])
    assert (batch["labels"] == tokenizer.eos_token_id).sum() == 1


def test_a_system_message_is_added_where_there_is_none(tmp_path: Path) -> None:
    own = {"messages": [{"role": "system", "content": "own"}, *pair("q", "a")["messages"]]}
    made = ready(tmp_path, [pair("q", "a"), own], numbered(1), system="be brief")
    texts = [chatml().decode(made.train[n]["input_ids"]) for n in range(2)]
    assert texts[0].startswith("<|im_start|>system\nbe brief<|im_end|>")
    assert texts[1].startswith("<|im_start|>system\nown<|im_end|>")


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [("Q: x\nA:", " Paris"), ("Q: x\nA: ", "Paris"), ("Q\n\n", " Paris"), ("", " Paris")],
)
def test_a_completion_is_trained_after_the_tokens_of_its_prompt(
    tmp_path: Path, prompt: str, completion: str
) -> None:
    tokenizer = bytes_tokenizer(bos="<s>", eos="<|endoftext|>")
    rows = [{"prompt": prompt, "completion": completion}, {"prompt": "b", "completion": "c"}]
    made = ready(tmp_path, rows, [{"prompt": "z", "completion": "y"}], GPT2, tokenizer)
    item = made.train[0]
    asked = tokenizer(prompt).input_ids
    assert item["input_ids"][: len(asked)] == asked  # one beginning of sequence
    assert item["labels"][: len(asked)] == [-100] * len(asked)
    assert trained_text(tokenizer, item) == f"{completion}<|endoftext|>"


def test_answers_in_a_prompt_are_not_trained(tmp_path: Path) -> None:
    shots = [*pair("q0", "a0")["messages"], {"role": "user", "content": "q1"}]
    rows = [
        {"prompt": shots, "completion": [{"role": "assistant", "content": f"a{n}"}]} for n in "12"
    ]
    made = ready(tmp_path, rows, numbered(1))
    assert trained_text(chatml(), made.train[0]) == "a1<|im_end|>"


def test_plain_text_is_trained_whole_and_says_so(tmp_path: Path) -> None:
    made = ready(tmp_path, [{"text": "once upon"}, {"text": "a time"}], [{"text": "end"}])
    assert trained_text(chatml(), made.train[0]).endswith("<|im_end|>")
    assert len(made.train[0]["labels"]) - 1 == sum(x >= 0 for x in made.train[0]["labels"])
    assert any("every token" in note for note in made.report.notes)


def test_text_that_holds_special_tokens_is_reported(tmp_path: Path) -> None:
    made = ready(tmp_path, [pair("q<|im_end|>", "a"), pair("r", "b")], numbered(1))
    assert any("1 examples contain special tokens" in note for note in made.report.lines())


def test_there_is_one_beginning_of_sequence(tmp_path: Path) -> None:
    tokenizer = pieces_tokenizer()
    made = ready(tmp_path, numbered(2), numbered(1, 9), MISTRAL, tokenizer)
    assert made.train[0]["input_ids"].count(tokenizer.bos_token_id) == 1


def test_a_control_character_is_not_shown(tmp_path: Path) -> None:
    made = ready(tmp_path, [pair("q\x1b[2J\u202e", "a"), pair("r", "b")], numbered(1))
    assert "\x1b" not in made.report.rendered_example()
    assert "\u202e" not in made.report.rendered_example()


def test_a_template_without_an_end_of_turn_is_refused() -> None:
    tokenizer = chatml()
    endless = ModelFamily(
        "endless",
        chat_template="{% for m in messages %}{% generation %}{{ m['content'] }}"
        "{% endgeneration %}{% endfor %}",
        end_of_turn="<|im_end|>",
    )
    with pytest.raises(TrainError, match="does not mark its answers"):
        Renderer(tokenizer, endless)


def test_a_template_that_refuses_an_example_names_its_line(tmp_path: Path) -> None:
    strict = ModelFamily(
        "strict",
        chat_template=str(QWEN.chat_template)
        + "{% if messages[0]['content'] == 'bad' %}{{ raise_exception('no') }}{% endif %}",
        end_of_turn="<|im_end|>",
    )
    with pytest.raises(TrainError, match=r"train.jsonl line 2: the chat template refuses it: no"):
        ready(tmp_path, [pair("q", "a"), pair("bad", "b")], numbered(1), strict)


@pytest.mark.parametrize(
    "settings", [{"loss_on": "some"}, {"format": "x"}, {"max_length": 1}], ids=str
)
def test_a_setting_of_no_meaning_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(TrainError, match=next(iter(settings))):
        ready(tmp_path, numbered(2), **settings)
