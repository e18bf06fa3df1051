"""A thousand generated YAMLs: what is not an edited value stays as it is, to the byte."""

from __future__ import annotations

import random

import yaml
from made_configs import Made, make

from ftadvise.config.errors import ConfigFileError
from ftadvise.config.layouts import detect
from ftadvise.config.patching import patch
from ftadvise.config.tree import parse

FILES = 1000
DAMAGED = 200


def patched(made: Made, raw: bytes) -> bytes:
    found = patch(raw.decode(), made.layout.section, made.layout.settings)
    return found.text.encode()


def test_a_patch_changes_the_values_it_must_and_no_other_byte() -> None:
    styles = set[tuple[str, bool]]()
    for seed in range(FILES):
        made = make(seed)
        assert patched(made, made.before) == made.after, f"seed {seed}"
        styles.add((made.tool, b"\r\n" in made.before))
    assert len(styles) == 8


def test_a_second_run_changes_nothing() -> None:
    for seed in range(FILES):
        made = make(seed)
        assert patched(made, made.after) == made.after, f"seed {seed}"


def test_a_damaged_file_is_patched_right_or_refused() -> None:
    outcomes = {"patched": 0, "refused": 0}
    for seed in range(DAMAGED):
        made = make(seed)
        text = damaged(made.before.decode(), random.Random(seed))
        section = made.layout.section
        try:
            new = patch(text, section, made.layout.settings).text
        except ConfigFileError:
            outcomes["refused"] += 1
            continue
        outcomes["patched"] += 1
        # All is text for this reader, so that no value is hard to compare.
        told = [yaml.load(t, Loader=yaml.BaseLoader) for t in (text, new)]
        for data in told:
            own = (data.get(section) or {}) if section else data
            for setting in made.layout.settings:
                for name in setting.names:
                    own.pop(name, None)
            if section and not own:
                data.pop(section, None)
        assert told[0] == told[1], f"seed {seed}"
    assert min(outcomes.values()) > DAMAGED // 10


def damaged(text: str, rng: random.Random) -> str:
    """Cut, repeat or insert something somewhere."""
    place, size = rng.randrange(len(text)), rng.randint(1, 20)
    middle = rng.choice(("", text[place : place + size] * 2, rng.choice("\t\n:#'\"{}[]&*!|-,? ")))
    return text[:place] + middle + text[place + size * rng.randint(0, 1) :]


def test_another_reader_of_yaml_finds_the_advice_and_all_else_as_it_was() -> None:
    for seed in range(0, FILES, 5):
        made = make(seed)
        old, new = (yaml.load(raw, Loader=yaml.CSafeLoader) for raw in (made.before, made.after))
        section = made.layout.section
        inner_old, inner_new = (old[section], new[section]) if section else (old, new)
        for setting in made.layout.settings:
            for name in setting.names:
                if name in made.changed and not isinstance(inner_new[name], str):
                    assert inner_new[name] == setting.value, f"seed {seed}: {name}"
                inner_old.pop(name, None)
                inner_new.pop(name, None)
        assert old == new, f"seed {seed}"


def test_the_tool_of_a_file_is_found_out_from_its_keys() -> None:
    for seed in range(0, FILES, 5):
        made = make(seed)
        assert detect(parse(made.before.decode())) == made.tool, f"seed {seed}"
