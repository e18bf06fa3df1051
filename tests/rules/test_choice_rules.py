"""FT106, FT108, FT109: what the log does not decide, and the flag that does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_cases import case_of, findings, run_of

from ftadvise.run import Run

TRAIN = [3.0, 2.0, 1.5, 1.2, 1.1, 1.05]
EVAL = [2.0, 1.6, 1.4, 1.3, 1.25, 1.22]
RUN = run_of(evals=EVAL, train=TRAIN)


def with_rivals(run: Run, train: tuple[str, ...] = (), held_out: tuple[str, ...] = ()) -> Run:
    return replace(
        run,
        train=replace(run.train, rivals=train),
        eval=replace(run.eval, rivals=held_out),
    )


def test_a_loss_without_a_rival_is_no_finding() -> None:
    assert not findings(case_of(RUN), "FT108")


def test_a_series_chosen_among_others_is_a_warning_where_the_answer_rests_on_it() -> None:
    both = with_rivals(RUN, train=("d_loss",), held_out=("val_d_loss",))
    info, warning = findings(case_of(both), "FT108")
    assert (info.level, info.evidence["series"]) == ("info", "train")
    assert (warning.level, warning.evidence["series"]) == ("warning", "eval")
    assert warning.message == (
        "The eval loss was taken from eval_loss; val_d_loss may as well be meant."
    )
    assert "--eval-key val_d_loss" in warning.fix
    alone = with_rivals(run_of(train=TRAIN), train=("d_loss", "c_loss"))
    (only,) = findings(case_of(alone), "FT108")
    assert only.level == "warning"
    assert "d_loss and c_loss may as well be meant" in only.message
    assert "--key d_loss" in only.fix


def test_many_and_odd_names_of_rivals_are_shortened_and_cleaned() -> None:
    names = ("\x1b[31mred\n", *(f"part_{place}" for place in range(9)))
    (finding,) = findings(case_of(with_rivals(RUN, train=names)), "FT108")
    assert finding.message.isprintable()
    assert "red, part_0, part_1, part_2, part_3 and 5 more" in finding.message


@pytest.mark.parametrize(
    ("key", "fires"),
    [
        ("test_loss", True), ("test.loss", True), ("Testing Loss", True), ("eval_loss", False),
        ("val_test_loss", False), ("loss", False), ("latest_loss", False),
    ],
)  # fmt: skip
def test_a_held_out_loss_of_a_test_is_said(key: str, fires: bool) -> None:
    run = replace(RUN, eval=replace(RUN.eval, key=key))
    found = findings(case_of(run), "FT109")
    assert bool(found) is fires
    assert all("--eval-key none" in finding.fix for finding in found)


def test_a_test_loss_that_the_answer_does_not_rest_on_is_no_finding() -> None:
    one = run_of(train=TRAIN, evals=[1.5])
    assert not findings(case_of(replace(one, eval=replace(one.eval, key="test_loss"))), "FT109")


@pytest.mark.parametrize(
    ("note", "fix"),
    [
        ("No step or epoch in the log: points are taken as epochs 1, 2, 3, ...", True),
        ("Epochs are numbered from 0 in the log; epoch 0 is reported as epoch 1.", False),
    ],
)
def test_points_that_were_numbered_have_a_flag_that_says_what_they_are(
    note: str, fix: bool
) -> None:
    (finding,) = findings(case_of(replace(RUN, notes=(note,))), "FT106")
    assert ("--steps-per-epoch" in finding.fix) is fix
