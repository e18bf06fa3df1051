"""Makes the texts of the fine-tunes: a pool to pre-train on and data sets of pairs, as token ids.

    python benchmarks/finetunes/texts.py [--debs /tmp/debs] [--out .finetune-data]

Needs Debian 12 with apt and `tokenizers`. Writes tokenizer.json, pool.npy (uint16, documents end
in <eos>) and pairs.npz: for each data set `NAME` (pairs x 128, uint16: prompt <sep> answer <eos>
<pad>...) and `NAME.cut` (pairs x 2: where the answer begins, where the pair ends).
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
from pairs import DATA_SETS
from sources import fetch, plain_texts
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

PAD, SEP, EOS = 0, 1, 2
VOCABULARY = 4096
LENGTH = 128
ANSWER = 64
PAIRS = 4096 + 256


def train_tokenizer(pool: list[str], pairs: dict[str, list[tuple[str, str]]]) -> Tokenizer:
    """Return a byte-level BPE trained on part of the pool and of every data set."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<sep>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    sample = pool[::4] + [text for rows in pairs.values() for pair in rows[:1000] for text in pair]
    tokenizer.train_from_iterator(sample, trainer)
    return tokenizer


def choose(rows: list[tuple[str, str]], seed: str) -> list[tuple[str, str]]:
    """Return up to PAIRS pairs in random order, no prompt twice, none empty or very long."""
    seen = {
        prompt.strip(): answer.strip()
        for prompt, answer in rows
        if 0 < len(prompt.strip()) < 400 and 0 < len(answer.strip()) < 400
    }
    kept = list(seen.items())
    random.Random(seed).shuffle(kept)
    return kept[:PAIRS]


def as_rows(tokenizer: Tokenizer, pairs: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Return token ids (pairs x LENGTH) and cuts (pairs x 2); long answers lose their end."""
    prompts = tokenizer.encode_batch([prompt for prompt, _ in pairs])
    answers = tokenizer.encode_batch([answer for _, answer in pairs])
    ids = np.full((len(pairs), LENGTH), PAD, np.uint16)
    cuts = np.zeros((len(pairs), 2), np.uint16)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        front = [*prompt.ids[-(LENGTH - ANSWER - 1) :], SEP]
        whole = [*front, *[*answer.ids, EOS][:ANSWER]]
        ids[row, : len(whole)] = whole
        cuts[row] = len(front), len(whole)
    return ids, cuts


def main() -> None:
    """Write the three files and print one line for each data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--debs", type=Path, default=Path("/tmp/debs"))
    parser.add_argument("--out", type=Path, default=Path(".finetune-data"))
    options = parser.parse_args()
    fetch(options.debs)
    pool = list(plain_texts(options.debs))
    pairs = {name: choose(list(make(options.debs)), name) for name, make in DATA_SETS.items()}
    tokenizer = train_tokenizer(pool, pairs)
    options.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(options.out / "tokenizer.json"))
    random.Random(0).shuffle(pool)
    tokens = [[*e.ids, EOS] for e in tokenizer.encode_batch(pool)]
    flat = np.concatenate([np.array(ids, np.uint16) for ids in tokens])
    np.save(options.out / "pool.npy", flat)
    size = sum(map(len, pool))
    print(
        f"pool: {len(pool)} documents, {size / 1e6:.1f} M characters, {len(flat) / 1e6:.2f} M tokens"
    )
    arrays: dict[str, np.ndarray] = {}
    for name, rows in pairs.items():
        ids, cuts = arrays[name], arrays[f"{name}.cut"] = as_rows(tokenizer, rows)
        lengths = np.percentile(cuts[:, 1], [50, 98])
        print(
            f"{name:<16} {len(ids):>5} pairs, tokens: half {lengths[0]:.0f}, 98 % {lengths[1]:.0f}"
        )
        print(f"    {rows[0][0][:60]!r} -> {rows[0][1][:60]!r}")
    np.savez_compressed(options.out / "pairs.npz", allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
