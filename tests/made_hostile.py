"""Files of about 100 kB that ask much of a reader: depth, numbers, names, lines, pieces."""

from __future__ import annotations

import gzip
import json
import random


def _rows(count: int = 2000) -> str:
    return "".join(json.dumps({"step": s, "loss": 3 / s}) + "\n" for s in range(1, count + 1))


def _names(chance: random.Random, count: int) -> list[str]:
    return ["".join(chance.choices("abcdefgh_./ ", k=10)) + "_loss" for _ in range(count)]


def hostile() -> dict[str, bytes]:
    """Return the files by what is wrong with them."""
    chance = random.Random(0)
    names = _names(chance, 5000)
    texts: dict[str, str] = {
        "lists in lists": "[" * 100_000,
        "lists in lists, closed": "[" * 50_000 + "]" * 50_000,
        "objects in objects": '{"loss":' * 12_000,
        "objects in objects, closed": '{"loss":' * 12_000 + "1" + "}" * 12_000,
        "deep, but read by Python": '{"a":' * 900 + '{"loss": [2, 1]}' + "}" * 900,
        "lists of lists of lists": "[" + ",".join(["[[[[1]]]]"] * 11_000) + "]",
        "an integer of 100,000 digits": '{"loss": [2, ' + "9" * 100_000 + "]}",
        "many long integers": json.dumps({"loss": ["x"]})[:-5] + ",".join(["7" * 4400] * 22) + "]}",
        "numbers beyond a double": '{"loss": [' + ",".join(["1e999", "-1e999"] * 8000) + "]}",
        "a long exponent": '{"loss": [1, 1e' + "9" * 90_000 + "]}",
        "a long fraction": '{"loss": [1, 0.' + "3" * 100_000 + "]}",
        "nothing but NaN": '{"loss": [' + ",".join(["NaN"] * 25_000) + "]}",
        "lone surrogates": '{"\\ud800loss": [2, 1], "loss\\udfff": [2, 1], "run": "\\ud800"}',
        "one name ten thousand times": "{" + ",".join(['"loss": 1'] * 10_000) + "}",
        "names that differ": json.dumps({name: [2.0, 1.0] for name in names[:4000]}),
        "rows with names that differ": json.dumps([{name: 1.0} for name in names[:4000]]),
        "rows of very many names": json.dumps([dict.fromkeys(names, 1.0)] * 1)[:-1] + ", {}]",
        "a name of 100,000 letters": json.dumps({"loss" * 25_000: [2, 1], "loss": [2, 1]}),
        "a text of 100,000 letters": json.dumps([{"step": s, "loss": 1, "run": "r" * 50_000}
                                                 for s in (1, 2)]),
        "objects on one line": "{}" * 50_000,
        "rows on one line": '{"loss":1}' * 10_000,
        "lines that begin an object": '{"\n' * 33_000,
        "lines that begin a list": "[1,\n" * 25_000,
        "lines of a bracket": "{\n" * 50_000,
        "lines of quotes": '"\n' * 50_000,
        "objects that never end": '{"a": "\\u0041' * 8_000,
        "one line without an end": '{"loss": [' + "1, " * 33_000,
        "commas": "," * 100_000,
        "spaces": '{"loss": [2' + " " * 100_000 + ", 1]}",
        "blanks alone": " " * 100_000,
        "blank lines": "\n" * 60_000 + '{"loss": [2, 1]}',
        "blank lines between two rows": "step 1 loss 2\n" + "\n" * 100_000 + "step 2 loss 1\n",
        "runs of one row": "".join(json.dumps({"run": f"r{s}", "loss": 1}) + "\n" for s in range(4000)),
        "runs of three rows": "".join(
            json.dumps({"run": f"r{s // 3}", "step": s % 3, "loss": 1}) + "\n" for s in range(3000)),
        "a restart at every row": "".join(
            json.dumps({"step": s % 2, "loss": 1}) + "\n" for s in range(4000)),
        "steps in random order": "".join(
            json.dumps({"step": chance.randrange(10**6), "loss": 1}) + "\n" for _ in range(3500)),
        "steps without bounds": "".join(
            json.dumps({"step": s * 10**300, "epoch": -(s**50), "loss": 1}) + "\n" for s in range(250)),
        "brackets of every kind": "".join(chance.choices('{}[]",:0.1eNa \n\\', k=100_000)),
        "numbered names": json.dumps({str(s): s for s in range(9000)}),
        "numbers with 18 digits as names": json.dumps({str(10**17 + s): {"loss": 1} for s in range(2000)}),
        "nested in lists of rows": json.dumps([{"a": [{"b": [{"c": [{"loss": [2, 1]}] * 9}] * 9}] * 9}]),
        "points": json.dumps({"loss": [{"step": None, "value": {}}] * 3000}),
        "escapes": json.dumps({"acc\x1b[2J\x1b]0;x\x07": [1, 2], "\u202eloss\x9b": [2, 1]}),
        "NUL among rows": _rows().replace("\n", "\n\0", 50),
        "settings of every type": json.dumps({"config": {"num_train_epochs": [], "eval_steps": {},
            "early_stopping_patience": 1e300, "save_total_limit": "NaN", "lr_scheduler_type": 5,
            "load_best_model_at_end": "yes"}, "log_history": [{"loss": 1, "step": 1}] * 3}),
        "a state of nothing but nulls": json.dumps({"log_history": [None] * 20_000}),
        "a state of lists": json.dumps({"log_history": [[{"loss": 1}]] * 5000}),
    }  # fmt: skip
    files = {name: text.encode("utf-8", errors="surrogatepass") for name, text in texts.items()}
    rows = _rows().encode()
    files |= {
        "UTF-16 with a mark": _rows().encode("utf-16"),
        "UTF-16 without a mark, cut in half a letter": _rows().encode("utf-16-le")[:-3],
        "UTF-32": _rows(500).encode("utf-32"),
        "two marks": b"\xef\xbb\xbf" * 2 + rows,
        "bytes that are no UTF-8": rows.replace(b"l", b"\xff\xfe\x80"),
        "NUL bytes": b"\0" * 100_000,
        "NUL bytes after rows": rows + b"\0" * 50_000,
        "random bytes": chance.randbytes(100_000),
        "a compressed bomb": gzip.compress(b"0" * 90_000_000),
        "a bomb in a bomb": gzip.compress(gzip.compress(b"[" * 20_000_000)),
        "compressed and cut off": gzip.compress(rows)[:-20],
        "compressed, then something else": gzip.compress(rows) + b"something else",
        "a comment that names a file of its own": b"\x1f\x8b\x08\x18" + b"\0" * 6 + b"x" * 90_000,
    }
    return files
