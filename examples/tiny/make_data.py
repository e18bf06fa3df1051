"""Writes everything beside it: the data, the tokenizer and the config of a tiny model.

    python examples/tiny/make_data.py

The same seed gives the same files. What is asked in `train.jsonl` is asked in other words in
`eval.jsonl`, where all answers are right. Nearly half of the facts in `train.jsonl` are wrong on
purpose: a model first learns what an answer looks like, and gets better; then it learns the facts
by heart, the wrong ones too, and gets worse. That is what overfitting looks like.
"""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

HERE = Path(__file__).parent
WRONG = 0.45
"""Share of the facts that are wrong in the train file."""

COLOURS = {
    "grass": "green", "snow": "white", "coal": "black", "sky": "blue", "lemons": "yellow",
    "tomatoes": "red", "chocolate": "brown", "elephants": "grey", "carrots": "orange",
    "plums": "purple", "milk": "white", "frogs": "green", "sea": "blue", "butter": "yellow",
    "blood": "red", "ink": "black", "earth": "brown", "ash": "grey", "pumpkins": "orange",
    "lavender": "purple",
}  # fmt: skip
SOUNDS = {
    "dogs": "bark", "cats": "meow", "cows": "moo", "ducks": "quack", "lions": "roar",
    "bees": "hum", "horses": "neigh", "sheep": "bleat", "snakes": "hiss", "owls": "hoot",
    "pigs": "grunt", "wolves": "howl",
}  # fmt: skip
HOMES = {
    "bears": "caves", "fish": "water", "birds": "nests", "monkeys": "trees", "ants": "hills",
    "camels": "deserts", "rabbits": "burrows", "crabs": "beaches", "goats": "mountains",
}  # fmt: skip
NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
)  # fmt: skip
DAYS = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "Monday",
)  # fmt: skip

# Each kind: how it is asked in the train file, how in the eval file, and how it is answered.
KINDS = (
    (
        COLOURS,
        ("What colour has {}?", "Tell me the colour of {}."),
        ("Which colour is {}?", "Name the colour of {}."),
        "It is {}.",
    ),
    (
        SOUNDS,
        ("What do {} do?", "Tell me what {} do."),
        ("Which sound have {}?", "Name what {} do."),
        "They {}.",
    ),
    (
        HOMES,
        ("Where do {} live?", "Tell me the home of {}."),
        ("Which home have {}?", "Name the home of {}."),
        "In {}.",
    ),
    (
        dict(itertools.pairwise(NUMBERS)),
        ("What follows {}?", "Tell me the number after {}."),
        ("Which number is after {}?", "Name the number after {}."),
        "It is {}.",
    ),
    (
        dict(itertools.pairwise(DAYS)),
        ("What day follows {}?", "Tell me the day after {}."),
        ("Which day is after {}?", "Name the day after {}."),
        "{}.",
    ),
)


def pairs(chance: random.Random) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the questions and answers of both sides, shuffled."""
    train: list[tuple[str, str]] = []
    held_out: list[tuple[str, str]] = []
    for facts, asks, asks_later, say in KINDS:
        for thing, right in facts.items():
            others = sorted({*facts.values()} - {right})
            told = chance.choice(others) if chance.random() < WRONG else right
            train += [(ask.format(thing), say.format(told)) for ask in asks]
            held_out += [(ask.format(thing), say.format(right)) for ask in asks_later]
    chance.shuffle(train)
    chance.shuffle(held_out)
    return train, held_out


def write_data(chance: random.Random) -> list[str]:
    """Write both sides and return all their texts."""
    texts: list[str] = []
    for name, rows in zip(("train", "eval"), pairs(chance), strict=True):
        lines: list[str] = []
        for question, answer in rows:
            messages = [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ]
            lines.append(json.dumps({"messages": messages}) + "\n")
            texts += [question, answer]
        (HERE / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return texts


def write_tokenizer(texts: list[str]) -> int:
    """Train a byte-level BPE on the texts, write it, and return the size of its vocabulary."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    inner.train_from_iterator(
        [*texts, "user\n", "assistant\n", "system\n"],
        trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=[AddedToken(token, special=True) for token in special],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=256,
    )
    tokenizer.save_pretrained(HERE / "model")
    path = HERE / "model" / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # the name that every version knows
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return len(tokenizer)


def write_config(size: int) -> None:
    """Write the config of a Qwen of two layers."""
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": size,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-6,
        "initializer_range": 0.08,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    text = json.dumps(config, indent=2) + "\n"
    (HERE / "model" / "config.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_config(write_tokenizer(write_data(random.Random(20261122))))
