"""Training YAMLs of every style, together with what they have to be after a patch, to the byte."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from ftadvise.advice import Recommendation
from ftadvise.config.layouts import Layout, Setting, layout

TOOLS = ("ftadvise", "hf", "axolotl", "llama-factory")

# What is there besides, and must not be touched; {i} is one step of indentation.
NOISE = (
    "# num_train_epochs: 3",
    "#num_epochs: 3  # 早期停止 ü",
    "",
    "   ",
    "notes: |\n{i}num_train_epochs: 3\n{i}eval_steps: 7  # no comment\n\n{i}# none either",
    "folded: >-\n{i}early_stopping_patience: 99\n{i}save_steps: 1",
    "card: '''num_train_epochs: 3'' # ''é'''",
    'prompt: "eval_steps: 5 \\" # 🦙"',
    "grid:\n{i}num_train_epochs: 3\n{i}eval_steps: 3 # of the grid\n{i}training: none",
    "sweep:\n- num_train_epochs: 1\n- {{num_train_epochs: 2, eval_steps: 4}}",
    "shared: &shared\n{i}seed: 1\nother: *shared",
    "merged:\n{i}<<: {{num_train_epochs: 8}}\n{i}eval_steps: 9",
    "tagged: !!str 12",
    "list: [num_train_epochs, 3, 'eval_steps: 2']",
    "long: some text over\n{i}{i}two lines",
    "日本語: 学習率",
    "date: 2026-01-01",
    "empty:",
    "learning_rate: 2e-5",
    "'quoted key': 1   # num_train_epochs: 4",
)
LAST = ("seed: 42", "hub:\n{i}name: é\n{i}eval_steps: 1", "report_to:\n- a\n- 'eval_steps: 1'")
_KEPT = {
    "ftadvise": "model:\n{i}name_or_path: x\ndata:\n{i}train: a.jsonl",
    "hf": "per_device_train_batch_size: 4",
    "axolotl": "base_model: x",
    "llama-factory": "finetuning_type: lora",
}


@dataclass
class Made:
    """A YAML and what it has to become.

    Attributes:
        tool: Whose it is.
        layout: What is to be put into it.
        before: The bytes of the file.
        after: What they have to be.
        changed: Keys whose value has to change, or that have to be added.
    """

    tool: str
    layout: Layout
    before: bytes = b""
    after: bytes = b""
    changed: list[str] = field(default_factory=list[str])


def recommendation(rng: random.Random) -> Recommendation:
    every = rng.choice((None, rng.randint(1, 500)))
    epochs = rng.randint(1, 12)
    strategy = "steps" if every else "epoch"
    return Recommendation(
        num_train_epochs=epochs,
        epochs_range=(epochs, epochs + 1),
        eval_strategy=strategy,
        eval_steps=every,
        save_strategy=strategy,
        save_steps=every,
        save_total_limit=rng.randint(2, 5),
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        early_stopping_patience=rng.randint(2, 30),
        early_stopping_threshold=rng.choice((0.0, 0.001, 2e-05, 0.02)),
        expected_eval_loss=1.0,
        probability_of_false_stop=0.01,
    )


def make(seed: int) -> Made:
    """Return one YAML of every style there is, always the same for a seed."""
    rng = random.Random(seed)
    tool = TOOLS[seed % len(TOOLS)]
    made = Made(tool, layout(tool, recommendation(rng)))
    step = " " * rng.choice((2, 4))
    noise = [piece.format(i=step) for piece in rng.sample(NOISE, len(NOISE))]
    blocks, new_blocks = _block(rng, made, step, noise)
    head = [_KEPT[tool].format(i=step), *_take(rng, noise, 3)]
    tail = _take(rng, noise, 3)
    if tool == "ftadvise":
        name = rng.choice(("training:", "training:   # how", '"training":'))
        indented = [name, *(_indented(piece, step) for piece in blocks)]
        new = [name, *(_indented(piece, step) for piece in new_blocks)]
        before, after = [*head, *indented, *tail], [*head, *new, *tail]
    else:
        before, after = [*head, *blocks], [*head, *new_blocks]
    made.before, made.after = _bytes(rng, before, after)
    return made


def _block(
    rng: random.Random, made: Made, step: str, noise: list[str]
) -> tuple[list[str], list[str]]:
    """Return the pieces with the settings in them, before and after."""
    before: list[str] = []
    after: list[str] = []
    missing: list[str] = []
    for setting in rng.sample(made.layout.settings, len(made.layout.settings)):
        if rng.random() < 0.25:
            continue
        old, new = _entry(rng, made, setting)
        besides = _take(rng, noise, 1)
        before += [old, *besides]
        after += [new, *besides]
    last = rng.choice(LAST).format(i=step) + rng.choice(("", "  # the end", " "))
    there = {line.split(":")[0].strip("'\"") for line in before}
    for setting in made.layout.settings:
        if setting.add and not there & set(setting.names):
            missing.append(f"{setting.names[0]}: {_text(setting)}")
            made.changed.append(setting.names[0])
    end = [rng.choice(("", "# num_train_epochs: 1", "# ---"))] if rng.random() < 0.5 else []
    return [*before, last, *end], [*after, last, *missing, *end]


def _entry(rng: random.Random, made: Made, setting: Setting) -> tuple[str, str]:
    """Return a line with a setting, and what has to become of it."""
    name = rng.choice(setting.names)
    key = rng.choice((name, name, f"'{name}'", f'"{name}"'))
    gap = rng.choice((" ", " ", "   "))
    end = rng.choice(("", "", "  # why: 3", " # num_train_epochs: 5", "   "))
    if rng.random() < 0.3:
        same = rng.choice(_same(setting))
        line = f"{key}:{gap}{same}{end}"
        return line, line
    old, quote = _other(rng, setting)
    made.changed.append(name)
    if setting.value is None:
        quote = ""
    new = f"{quote}{_text(setting)}{quote}"
    if not old:
        return f"{key}:{end}", f"{key}: {new}{end}"
    return f"{key}:{gap}{old}{end}", f"{key}:{gap}{new}{end}"


def _same(setting: Setting) -> tuple[str, ...]:
    """Return ways to write what is wanted already."""
    value = setting.value
    if value is None:
        return ("null", "~", "NULL")
    if isinstance(value, bool):
        return ("true", "True", "yes", "on") if value else ("false", "False", "no", "off")
    if isinstance(value, str):
        texts = (value, *(str(alike) for alike in setting.alike))
        return tuple(f"{q}{text}{q}" for text in texts for q in ("", "'", '"'))
    return (_text(setting), f"'{value}'", f"{value:.6e}", f'"{float(value)}"')


def _other(rng: random.Random, setting: Setting) -> tuple[str, str]:
    """Return another value as somebody may have written it, and its quotes."""
    value = setting.value
    if value is not None and rng.random() < 0.15:
        return rng.choice(("", "null", "~")), ""
    if isinstance(value, bool):
        return rng.choice(("false", "no", "Off") if value else ("true", "YES", "on")), ""
    quote = rng.choice(("", "", "'", '"'))
    if isinstance(value, str):
        return f"{quote}{'best_yet'}{quote}", quote
    number = rng.choice(("1001", "1001.5", "1.0e+4", "3e4", "-1", ".5e4"))
    return f"{quote}{number}{quote}", quote


def _text(setting: Setting) -> str:
    value = setting.value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return {2e-05: "2.0e-05"}.get(value, str(value)) if isinstance(value, float) else str(value)


def _take(rng: random.Random, noise: list[str], most: int) -> list[str]:
    """Take some of what is left; keys must not stand twice."""
    return [noise.pop() for _ in range(min(rng.randint(0, most), len(noise)))]


def _indented(piece: str, step: str) -> str:
    return "\n".join(step + line if line.strip() else line for line in piece.split("\n"))


def _bytes(rng: random.Random, before: list[str], after: list[str]) -> tuple[bytes, bytes]:
    start = rng.choice(("", "", "\ufeff")) + rng.choice(("", "# training\n", "---\n"))
    end = rng.choice(("\n", "\n", "", "\n\n# the end\n"))
    line_end = rng.choice(("\n", "\n", "\r\n"))
    texts = (start + "\n".join(pieces) + end for pieces in (before, after))
    old, new = (text.replace("\n", line_end).encode() for text in texts)
    return old, new
