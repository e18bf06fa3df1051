"""FT1xx: what is wrong with, or missing from, the log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_cases import case_of, findings, run_of

from ftadvise.run import Run, Series, Settings, Source, as_floats

TRAIN = [3.0, 2.0, 1.5, 1.2, 1.1, 1.05]
EVAL = [2.0, 1.6, 1.4, 1.3, 1.25, 1.22]
RUN = run_of(evals=EVAL, train=TRAIN)
NAN = float("nan")
THRESHOLD = Settings(early_stopping_threshold=0.001)
WIDE = Settings(early_stopping_threshold=0.1)

TABLE = [
    ("FT101", True, run_of(train=TRAIN)),
    ("FT101", True, run_of(train=TRAIN, evals=[1.5])),
    ("FT101", True, run_of(train=TRAIN, evals=[NAN, NAN, NAN])),
    ("FT101", False, RUN),
    ("FT102", True, run_of(evals=EVAL[:4])),
    ("FT102", True, run_of(evals=[2.0, NAN, 1.5, 1.4, 1.3])),
    ("FT102", True, run_of(train=TRAIN[:2])),
    ("FT102", False, run_of(evals=EVAL[:5])),
    ("FT104", True, replace(RUN, nonfinite={"eval_loss": 1})),
    ("FT104", False, RUN),
    ("FT105", True, replace(RUN, restarts=2)),
    ("FT105", False, RUN),
    ("FT106", True, replace(RUN, notes=("Epochs are numbered from 0.",))),
    ("FT106", True, Run(eval=Series("loss", as_floats([NAN] * 3), as_floats([NAN] * 3), as_floats(EVAL[:3])))),
    ("FT106", False, RUN),
    ("FT107", True, replace(RUN, source=Source(run="a", others=("b",)))),
    ("FT107", False, replace(RUN, source=Source(run="a"))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "fires", "run"), TABLE)
def test_a_rule_about_the_log_fires_when_it_should(code: str, fires: bool, run: Run) -> None:
    assert bool(findings(case_of(run), code)) is fires


@pytest.mark.parametrize(
    ("used", "fires"),
    [(THRESHOLD, True), (WIDE, False), (Settings(early_stopping_threshold=0.0), False)],
)
def test_noise_is_held_against_the_threshold_that_the_run_used(
    used: Settings, fires: bool
) -> None:
    case = case_of(RUN, used=used, proposed=THRESHOLD)
    found = findings(case, "FT103")
    assert bool(found) is fires
    for finding in found:
        assert finding.evidence["noise"] == pytest.approx(case.fit.noise * EVAL[-1])


def test_the_noise_of_a_train_loss_is_not_held_against_a_threshold_for_evaluations() -> None:
    assert not findings(case_of(run_of(train=TRAIN), used=THRESHOLD), "FT103")


@pytest.mark.parametrize(
    ("counts", "level"),
    [
        ({"loss": 3}, "error"),
        ({"grad_norm": 9, "eval_loss": 1}, "error"),
        ({"grad_norm": 2}, "warning"),
    ],
)
def test_non_finite_values_are_an_error_and_infinite_gradient_norms_alone_a_warning(
    counts: dict[str, int], level: str
) -> None:
    (finding,) = findings(case_of(replace(RUN, nonfinite=counts)), "FT104")
    assert finding.level == level
    assert "logging_nan_inf_filter" in finding.message
    for key, count in counts.items():
        assert f"{count} in {key}" in finding.message


def test_names_from_a_log_are_cleaned_and_at_most_five_are_shown() -> None:
    others = ("\x1b[31mred\x1b[0m\n", *(f"run-{i}" for i in range(7)))
    (finding,) = findings(
        case_of(replace(RUN, source=Source(run="x\x07", others=others))), "FT107"
    )
    assert finding.message == (
        "Of the 9 runs found here, 'x' was taken. The others: 'red', 'run-0', 'run-1', 'run-2', "
        "'run-3', and 3 more."
    )
    assert "--run" in finding.fix
    counts = {f"key{i}\x1b[2J": 1 for i in range(8)}
    (finding,) = findings(case_of(replace(RUN, nonfinite=counts)), "FT104")
    assert finding.message.isprintable()
    assert "3 more keys" in finding.message


def test_all_that_the_reader_assumed_is_said_in_one_finding() -> None:
    unknown = as_floats([NAN] * 6)
    run = Run(eval=Series("loss", unknown, unknown, as_floats(EVAL)), notes=("One.", "Two."))
    (finding,) = findings(case_of(run), "FT106")
    assert finding.message.startswith("One. Two. The log does not tell how many passes")
    assert finding.evidence["epochs_known"] == "no"


def test_an_eval_series_of_holes_is_told_from_a_missing_one() -> None:
    (missing,) = findings(case_of(run_of(train=TRAIN)), "FT101")
    (holes,) = findings(case_of(run_of(train=TRAIN, evals=[NAN, NAN])), "FT101")
    (single,) = findings(case_of(run_of(train=TRAIN, evals=[1.3])), "FT101")
    texts = [f.message.partition(":")[0] for f in (missing, holes, single)]
    assert texts == [
        "The log has no eval loss",
        "The log has no finite eval loss",
        "The log has too few eval losses for a curve",
    ]


def test_several_values_at_one_epoch_count_as_one_usable_point() -> None:
    epoch = np.repeat([1.0, 2.0, 3.0], 3)
    same = Series(
        "eval_loss", as_floats(epoch * 10), as_floats(epoch), as_floats(np.linspace(2, 1, 9))
    )
    (finding,) = findings(case_of(Run(eval=same)), "FT102")
    assert finding.evidence["points"] == 3
