from __future__ import annotations

import math
import sys

import pytest

from ftadvise.config import placing
from ftadvise.config.errors import ConfigFileError
from ftadvise.config.layouts import Setting, detect, once_an_epoch
from ftadvise.config.patching import patch
from ftadvise.config.tree import Node, parse

EPOCHS = Setting(("num_train_epochs",), 6)
STRATEGY = Setting(("eval_strategy", "evaluation_strategy"), "steps")
BEST = Setting(("load_best_model_at_end",), True)
BOTH = (EPOCHS, STRATEGY)


def put(text: str, section: str | None = None, settings: tuple[Setting, ...] = (EPOCHS,)) -> str:
    return patch(text, section, settings).text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("num_train_epochs: 3 # 3\n", "num_train_epochs: 6 # 3\n"),
        ("num_train_epochs : '3'\n", "num_train_epochs : '6'\n"),
        ("num_train_epochs:\n  3\n", "num_train_epochs:\n  6\n"),
        ("num_train_epochs:   # how many?\n", "num_train_epochs: 6   # how many?\n"),
        ("num_train_epochs: ~\n", "num_train_epochs: 6\n"),
        ("? num_train_epochs\n: 3\n", "? num_train_epochs\n: 6\n"),
        ('{"num_train_epochs": 3, "a": [1]}', '{"num_train_epochs": 6, "a": [1]}'),
        ("\ufeff---\nnum_train_epochs: 1e1\n...\n", "\ufeff---\nnum_train_epochs: 6\n...\n"),
        ("a: 'é🦙'\r\nnum_train_epochs: 3\r\n", "a: 'é🦙'\r\nnum_train_epochs: 6\r\n"),
        ("a: 1\rnum_train_epochs: 3\r", "a: 1\rnum_train_epochs: 6\r"),
    ],
)
def test_a_value_is_replaced_where_it_stands(text: str, wanted: str) -> None:
    assert put(text) == wanted
    assert put(wanted) == wanted


@pytest.mark.parametrize("same", ["6", "6.0", "6e0", '"6"', "+6", "0.6e1"])
def test_a_value_that_is_right_already_keeps_its_spelling(same: str) -> None:
    text = f"num_train_epochs: {same}\n"
    found = patch(text, None, (EPOCHS,))
    assert (found.text, found.changes) == (text, ())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: 1", "a: 1\nnum_train_epochs: 6"),
        ("a: 1\n\n# end\n", "a: 1\nnum_train_epochs: 6\n\n# end\n"),
        ("a: 1  # b\r\n", "a: 1  # b\r\nnum_train_epochs: 6\r\n"),
        ("a:\n- 1\n\nb:   # c\n\n", "a:\n- 1\n\nb:   # c\nnum_train_epochs: 6\n\n"),
        ("a: |\r\n  b\r\n# c\r\n", "a: |\r\n  b\r\nnum_train_epochs: 6\r\n# c\r\n"),
        ("a: |+\n  b\n\n\n", "a: |+\n  b\n\n\nnum_train_epochs: 6\n"),
        ("a: 1\n...\n", "a: 1\nnum_train_epochs: 6\n...\n"),
        ("  a: 1\n  b: 2\n", "  a: 1\n  b: 2\n  num_train_epochs: 6\n"),
        ("{a: 1}\n", "{a: 1, num_train_epochs: 6}\n"),
        ("{}\n", "{num_train_epochs: 6}\n"),
    ],
)
def test_a_missing_key_is_added_at_the_end_of_its_block(text: str, wanted: str) -> None:
    assert put(text) == wanted
    assert put(wanted) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "training:\n    a: 1 # c\n\ndata: x\n",
            "training:\n    a: 1 # c\n    num_train_epochs: 6\n\ndata: x\n",
        ),
        (
            "training:  # soon\nd:\n   a: 1\n",
            "training:  # soon\n   num_train_epochs: 6\nd:\n   a: 1\n",
        ),
        ("model:\n    a: 1\n", "model:\n    a: 1\ntraining:\n    num_train_epochs: 6\n"),
        ("training: {a: 1}\n", "training: {a: 1, num_train_epochs: 6}\n"),
        ("training: {}", "training: {num_train_epochs: 6}"),
        (
            "num_train_epochs: 1\ntraining: {num_train_epochs: 3}\n",
            "num_train_epochs: 1\ntraining: {num_train_epochs: 6}\n",
        ),
    ],
)
def test_a_section_gets_its_keys_with_the_indentation_of_the_file(text: str, wanted: str) -> None:
    assert put(text, "training") == wanted
    assert put(wanted, "training") == wanted


def test_an_older_name_is_kept_and_no_second_one_added() -> None:
    text = "evaluation_strategy: 'no'\nnum_train_epochs: 6\n"
    assert put(text, None, BOTH) == text.replace("'no'", "'steps'")


def test_anchors_and_merges_that_bring_none_of_the_keys_are_left_alone() -> None:
    text = "base: &b {seed: 1}\ntraining:\n  <<: *b\n  x: &x 1\n  num_train_epochs: 3\ny: *x\n"
    assert put(text, "training") == text.replace("epochs: 3", "epochs: 6")


REFUSED = {
    "a: 1\na: 2\n": "line 2: a stands twice, first in line 1",
    "b:\n  a: 1\n  'a': 2\n": "line 3: a stands twice, first in line 2",
    "num_train_epochs: &n 3\nx: *n\n": "line 1: num_train_epochs has the anchor &n",
    "x: &n 3\nnum_train_epochs: *n\n": "line 2: num_train_epochs is the alias *n",
    "d: &d {num_train_epochs: 3}\n<<: *d\n": "line 2: the top level takes settings from elsewhere",
    "<<: {<<: {a: 1}}\n": "line 1: the top level takes settings from elsewhere",
    "d: &d {a: 1}\ne: &e {num_train_epochs: 3}\n<<: [*d, *e]\n": "line 3: the top level takes",
    "a: 1\n---\nb: 2\n": "line 2: a second YAML document begins",
    "{\n  a: 1\n}\n": "line 1: keys are missing in a {...} of several lines",
    '{"a": 1}\n': "line 1: keys are missing in a {...} with names in quotes",
    "num_train_epochs: [3]\n": "line 1: num_train_epochs is a sequence, but must be a number",
    "num_train_epochs: {a: 3}\n": "line 1: num_train_epochs is a mapping, but must be a number",
    "num_train_epochs: ten\n": "line 1: num_train_epochs is 'ten', but must be a number",
    "num_train_epochs: ${EPOCHS}\n": "line 1: num_train_epochs is '${EPOCHS}', but must be",
    "num_train_epochs: yes\n": "line 1: num_train_epochs is 'yes', but must be a number",
    "num_train_epochs: !!int 3\n": "line 1: num_train_epochs has the tag tag:yaml.org,2002:int",
    "a: {? {b: 1} : 2}\n": "line 1: a key is no name, but of the kind mapping",
    "a: &k num_train_epochs\n*k : 3\n": "line 2: a key is no name, but of the kind alias",
    "a: *nowhere\n": "line 1: the anchor &nowhere is missing, but there is a *nowhere",
    "a: &n 1\nb: &n 2\n": "line 2: the anchor &n stands twice",
    "num_train_epochs: |\n  3\n": "line 1: num_train_epochs is written over several lines",
    "- num_train_epochs: 3\n": "line 1: is a sequence, and no settings by name",
    "": "the file has no settings in it",
    "# a comment\n": "the file has no settings in it",
    "a: |\n  b": "the settings cannot be placed without changing something else",
    "a: b\u2028num_train_epochs: 3\n": "line 1: has a character that some YAML readers take",
    "a: " + "[" * 30 + "]" * 30: "line 1: more values, or more levels, than a training YAML has",
}


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_edited_safely_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        put(text)
    assert caught.value.message.startswith(REFUSED[text])
    assert caught.value.code == "FT434"
    assert "ftadvise export" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n\tnum_train_epochs: 3\n", "line 2: not valid YAML: a tab"),
        ("num_train_epochs:\t3\n", "line 1: not valid YAML: a tab"),
        ("a: [1\n", "line 2: not valid YAML"),
        ("a: *nowhere\nb: \x07", "not valid YAML"),
    ],
)
def test_what_is_no_yaml_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        put(text)
    assert caught.value.message.startswith(message)
    assert caught.value.code == "FT433"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: [1]\n", "line 1: training is a sequence, and no settings by name"),
        ("training: ~\n", "line 1: training is a scalar, and no settings by name"),
        ("training: &t {a: 1}\nx: *t\n", "line 1: training is used elsewhere too, through its"),
        ("{a: 1}\n", "line 1: there is no training in a file that is one {...}"),
    ],
)
def test_a_section_that_is_none_or_is_shared_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        put(text, "training")
    assert caught.value.message.startswith(message)


def test_two_names_of_one_setting_are_refused() -> None:
    with pytest.raises(ConfigFileError, match="mean the same and are both there"):
        put("eval_strategy: no\nevaluation_strategy: epoch\n", None, BOTH)


@pytest.mark.parametrize("old", ["'true'", "1", "maybe"])
def test_text_where_a_switch_belongs_is_refused(old: str) -> None:
    with pytest.raises(ConfigFileError, match="must be true or false"):
        put(f"load_best_model_at_end: {old}\n", None, (BEST,))


def test_an_edit_that_would_change_anything_else_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def astray(node: Node, value: object) -> placing.Edit:
        return placing.Edit(node.end, node.end + 1, f"{value}\n")

    monkeypatch.setattr(placing, "replacement", astray)
    with pytest.raises(ConfigFileError, match="cannot be placed"):
        put("num_train_epochs: 3\nb: 1\n")


def test_without_pyyaml_the_hint_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigFileError) as caught:
        put("num_train_epochs: 3\n")
    assert caught.value.code == "FT436"
    assert 'pip install "ftadvise[train]"' in caught.value.hint


def test_a_share_of_the_run_is_rounded_to_one_epoch_of_any_length() -> None:
    for epochs in range(1, 13):
        share = once_an_epoch(epochs)
        assert share < 1
        for steps in range(1, 1000):
            assert math.ceil(epochs * steps * share) == steps  # as transformers counts


def test_a_file_for_nobody_known_asks_whose_it_is() -> None:
    with pytest.raises(ConfigFileError) as caught:
        detect(parse("trainer:\n  max_epochs: 3\n"))
    assert caught.value.code == "FT435"
    assert "--to" in caught.value.hint
