"""The whole advice, with the constants that are shipped, on fine-tunes run at several lengths.

usage: python benchmarks/advice_on.py FAMILIES.jsonl.gz...

`ftadvise.advise` is asked about every log of 3, 5, 7 and 10 epochs, knowing no other log of its
fine-tune. Printed is the regret of the number of epochs against the best length that was measured,
with a bootstrap interval over families, beside the rules that people use. Nothing is learned here:
this is a fair test only on files that the constants have not seen, such as
`finetunes/unseen.jsonl.gz`; for the others see `horizon_left_out.py`.
"""

from __future__ import annotations

import argparse

import numpy as np
from families import load
from horizon_model import rows
from learn_horizon import SCORED, report, rules

import ftadvise


def main() -> None:
    """Ask about every log and print the regrets, one table a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    print("regret in % of the best loss that any length reaches, mean (90 % bootstrap interval)")
    for path in parser.parse_args().files:
        families = load(path)
        table = [row for row in rows(families) if row.seen in SCORED]
        print(f"{path}: {len(families)} families, {len(table)} logs")
        rules(table)
        advised = [
            ftadvise.advise(row.family.runs[row.seen]).recommendation.num_train_epochs
            for row in table
        ]
        report("ftadvise", table, np.array(advised, dtype=np.float64))


if __name__ == "__main__":
    main()
