"""FT2xx: what the curve did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_cases import case_of, findings, run_of, scaled
from made_runs import series

from ftadvise.onset import Onset
from ftadvise.run import Run, Settings, as_floats

NAN = float("nan")
FALLS = [2.0, 1.6, 1.4, 1.28, 1.2, 1.13, 1.07, 1.02]
FLATTENS = [2.0, 1.6, 1.4, 1.3, 1.26, 1.25, 1.249, 1.2489]
TURNS = [2.0, 1.5, 1.3, 1.25, 1.3, 1.4, 1.55, 1.75]
NEVER = Onset("none", None, None, 0.02, 5.0)
SURE = Onset("detected", 4.0, (2.5, 3.0), 0.97, 2.5)
MAYBE = Onset("suspected", 4.0, (2.5, 3.0), 0.6, 2.5)
UNKNOWN = Onset("not identified", None, None, 0.4, 2.5)


@pytest.mark.parametrize(
    ("turning", "level"), [(SURE, "warning"), (MAYBE, "warning"), (NEVER, None), (UNKNOWN, None)]
)
def test_overfitting_is_reported_when_it_is_detected_or_suspected(
    turning: Onset, level: str | None
) -> None:
    found = findings(case_of(run_of(evals=TURNS), turning=turning), "FT201")
    assert [f.level for f in found] == ([level] if level else [])
    for finding in found:
        assert finding.evidence["onset_epoch"] == 4.0
        begins = "begins" if turning is SURE else "may begin"
        assert finding.message.startswith(f"Overfitting {begins} at epoch 4: the eval loss rose")
        assert "between epochs 2.5 and 3" in finding.message


def test_a_rise_of_many_noise_widths_is_not_called_weak_evidence() -> None:
    (finding,) = findings(case_of(run_of(evals=TURNS)), "FT201")
    assert "weak" not in finding.message
    assert "40 % up" in finding.message


def test_a_falling_train_loss_is_named_as_the_other_half_of_overfitting() -> None:
    down, up = list(np.geomspace(2, 0.2, 24)), list(np.geomspace(2, 4, 24))
    (fell,) = findings(case_of(run_of(evals=TURNS, train=down)), "FT201")
    assert "while the train loss fell" in fell.message
    (rose,) = findings(case_of(run_of(evals=TURNS, train=up)), "FT201")
    assert "and the train loss rose" in rose.message


def test_one_point_up_within_noise_is_called_weak_evidence_with_its_numbers() -> None:
    run = run_of(evals=[2.0, 1.6, 1.4, 1.3, 1.31])
    (finding,) = findings(case_of(run, turning=replace(MAYBE, onset_epoch=5.0)), "FT201")
    assert "One point up by 0.77 % is weak evidence: a point scatters by about" in finding.message
    run = run_of(evals=[2.0, 1.6, 1.4, 1.3, 2.6])
    (finding,) = findings(case_of(run, turning=replace(MAYBE, onset_epoch=5.0)), "FT201")
    assert "weak" not in finding.message


def test_a_rise_of_the_train_loss_is_always_called_weak_evidence() -> None:
    (finding,) = findings(case_of(run_of(train=TURNS), turning=MAYBE), "FT201")
    assert "the train loss that rises, which is weak evidence" in finding.message
    assert "Hold out" in finding.fix


def test_a_rise_within_the_first_pass_is_not_taken_for_memorising() -> None:
    run = run_of(train=[2.0, 1.5, 1.3, 1.4, 1.5], epochs=0.9)
    turning = Onset("suspected", 0.7, (0.5, 0.6), 0.6, 0.54)
    (finding,) = findings(case_of(run, turning=turning), "FT201")
    assert "In a first pass over the data" in finding.message


def test_no_rise_is_told_where_the_lowest_value_lies_past_the_onset() -> None:
    run = run_of(evals=[2.0, 1.5, 1.3, 1.35, 1.36, 1.34, 1.29, 1.295])
    (finding,) = findings(case_of(run, turning=MAYBE), "FT201")
    assert finding.message.startswith("Overfitting may begin at epoch 4. The turning point")
    assert "One point" not in finding.message


@pytest.mark.parametrize(
    ("losses", "fires"),
    [
        (FALLS, True),
        (FALLS[:4], True),
        (FLATTENS, False),
        (TURNS, False),
        ([3.0, 1.0, 0.9, 0.8999], False),
        ([1.0, 1.004, 0.997, 1.002, 0.999, 1.003, 0.996, 1.001], False),
        (FALLS[:3], False),
        ([1.3] * 6, False),
    ],
)
def test_a_curve_that_still_falls_at_its_end_is_told_from_one_that_does_not(
    losses: list[float], fires: bool
) -> None:
    assert bool(findings(case_of(run_of(evals=losses)), "FT202")) is fires


def test_a_falling_train_loss_promises_nothing_for_other_data() -> None:
    (finding,) = findings(case_of(run_of(train=list(np.geomspace(3, 0.5, 8)))), "FT202")
    assert "likely have helped" not in finding.message
    assert "unknown" in finding.message


@pytest.mark.parametrize(
    ("losses", "kind", "planned", "fires"),
    [
        (FLATTENS, "linear", 5.0, True),
        (FLATTENS, "cosine", 5.0, True),
        (FLATTENS, "linear", 10.0, False),
        (FLATTENS, "constant", 5.0, False),
        (FLATTENS, None, 5.0, False),
        (FALLS, "linear", 5.0, False),
        (TURNS, "linear", 5.0, False),
        (FLATTENS[:3], "linear", 5.0, False),
    ],
)
def test_a_flat_end_is_put_down_to_the_learning_rate_only_where_that_ran_out(
    losses: list[float], kind: str | None, planned: float, fires: bool
) -> None:
    run = run_of(evals=losses, kind=kind, planned=planned)
    assert bool(findings(case_of(run), "FT203")) is fires


OVERFITS_FAR = list(1.0 + 0.5 * np.linspace(0, 1, 100))
CALM = list(np.geomspace(3.0, 0.5, 30))
BLOWN = [3.0, 2.0, 1.5, 1.3, 1.25, 4.0, 7.0, 7.4]


@pytest.mark.parametrize(
    ("run", "fires"),
    [
        pytest.param(run_of(train=BLOWN), True, id="train loss above its start"),
        pytest.param(run_of(train=[3, 2, 1, 0.5, 2, 2.1, 2]), True, id="jump that stays"),
        pytest.param(run_of(train=[3, 2, 1, 0.5, 2, 0.6, 0.4]), False, id="spike that passes"),
        pytest.param(
            run_of(train=[2.96, 0.13, 0.05, 0.0349, 0.2]), False, id="memorised, then up"
        ),
        pytest.param(run_of(train=TURNS), False, id="train loss up a little"),
        pytest.param(run_of(evals=BLOWN, train=BLOWN), True, id="both blown"),
        pytest.param(run_of(evals=BLOWN), True, id="eval alone, all at once"),
        pytest.param(run_of(evals=BLOWN, train=CALM), False, id="eval up while train falls"),
        pytest.param(run_of(evals=OVERFITS_FAR, epochs=100), False, id="slow eval rise alone"),
        pytest.param(run_of(evals=OVERFITS_FAR, train=CALM, epochs=100), False, id="overfitting"),
        pytest.param(run_of(evals=[1.2, 1.0, 1.3, 1.8, 2.4, 3.2], train=CALM), False, id="far"),
        pytest.param(run_of(evals=[-1.0, -2.0, -3.0, 5.0]), False, id="no ratio below zero"),
        pytest.param(run_of(evals=FALLS, train=CALM), False, id="all well"),
    ],
)
def test_divergence_is_told_from_overfitting_and_from_spikes(run: Run, fires: bool) -> None:
    assert bool(findings(case_of(run), "FT204")) is fires


def test_a_noisy_curve_that_happens_to_end_high_did_not_diverge() -> None:
    wild = [1.0, 2.0, 0.9, 2.2, 1.0, 1.9, 0.8, 2.1]
    assert not findings(case_of(run_of(train=wild)), "FT204")


def test_a_single_last_point_far_beyond_noise_is_enough_for_divergence() -> None:
    sudden = [3.0, 2.0, 1.5, 1.3, 1.25, 1.22, 1.2, 1.19, 1.18, 1.17, 1.16, 40.0]
    assert findings(case_of(run_of(train=sudden)), "FT204")


@pytest.mark.parametrize("code", ["FT203", "FT206"])
def test_a_schedule_that_is_only_named_is_no_ground_for_judging_its_rate(code: str) -> None:
    named = Settings(lr_scheduler_type="linear")
    losses, turning = (FLATTENS, NEVER) if code == "FT203" else (TURNS, SURE)
    shown = run_of(evals=losses, kind="linear", planned=5.0)
    assert findings(case_of(shown, turning=turning), code)
    assert not findings(case_of(run_of(evals=losses), used=named, turning=turning), code)


@pytest.mark.parametrize(("size", "stretch"), [(15, "point"), (16, "eighth of the points")])
def test_the_fall_at_the_end_is_told_over_a_point_or_an_eighth_of_a_long_curve(
    size: int, stretch: str
) -> None:
    (finding,) = findings(case_of(run_of(evals=list(np.linspace(3, 1, size)))), "FT202")
    assert f"over the last {stretch}," in finding.message


def test_a_run_that_ends_in_nan_diverged_but_one_that_ends_in_a_hole_did_not() -> None:
    run = run_of(evals=FALLS, train=[*CALM, NAN, NAN])
    assert not findings(case_of(run), "FT204")
    (finding,) = findings(case_of(replace(run, nonfinite={"loss": 2})), "FT204")
    assert finding.level == "error"
    assert "train loss ended in a value that is not finite" in finding.message
    recovered = run_of(evals=FALLS, train=[3.0, NAN, 2.0, 1.0])
    assert not findings(case_of(replace(recovered, nonfinite={"loss": 1})), "FT204")


def stairs(
    drop: float, epochs: int, per_epoch: int, noise: float = 0.02, shift: float = 0.0
) -> Run:
    """Return a run whose train loss falls by `drop` at each end of an epoch, else level."""
    epoch = np.arange(1, epochs * per_epoch + 1) / per_epoch
    rng = np.random.default_rng(3)
    passed = np.ceil(epoch - 1e-9) - 1
    loss = (1 - drop) ** passed * (1 + noise * rng.standard_normal(epoch.size))
    return Run(train=series("loss", epoch + shift, loss))


@pytest.mark.parametrize(
    ("run", "fires"),
    [
        (stairs(0.3, 3, 10), True),
        (stairs(0.3, 3, 4), True),
        (stairs(0.1, 5, 20), True),
        (stairs(0.3, 40, 50), True),
        (stairs(0.3, 4, 10, shift=60.0), True),
        (stairs(0.3, 3, 3), False),
        (stairs(0.3, 2, 10), False),
        (stairs(0.02, 5, 20), False),
        (stairs(0.0, 5, 20), False),
        (stairs(0.05, 3, 10, noise=0.3), False),
        (stairs(0.3, 4, 10, shift=0.5), False),
        (run_of(train=list(np.geomspace(3, 0.3, 60))), False),
        (run_of(evals=FALLS), False),
        (
            Run(train=series("loss", np.array([5.0]), np.array([1.0])), eval=run_of(FALLS).eval),
            False,
        ),
    ],
)
def test_steps_at_the_ends_of_epochs_are_told_from_noise_and_from_a_steady_fall(
    run: Run, fires: bool
) -> None:
    assert bool(findings(case_of(run), "FT205")) is fires


@pytest.mark.parametrize(
    ("kind", "turning", "target", "fires"),
    [
        ("linear", SURE, "eval", True),
        ("cosine", MAYBE, "eval", True),
        ("linear", NEVER, "eval", False),
        ("linear", replace(SURE, best_epoch=4.95), "eval", False),
        ("linear", replace(SURE, best_epoch=0.1), "eval", False),
        ("constant", SURE, "eval", False),
        (None, SURE, "eval", False),
        ("linear", SURE, "train", False),
    ],
)
def test_a_best_in_mid_decay_calls_for_a_shorter_schedule(
    kind: str | None, turning: Onset, target: str, fires: bool
) -> None:
    evals, train = (TURNS, None) if target == "eval" else (None, TURNS)
    run = run_of(evals, train, kind=kind, planned=5.0)
    found = findings(case_of(run, turning=turning), "FT206")
    assert bool(found) is fires
    if kind == "linear" and fires:
        assert found[0].evidence["rate"] == pytest.approx(0.5, abs=0.02)


def epochs(number: float) -> Settings:
    return Settings(num_train_epochs=number)


@pytest.mark.parametrize(
    ("run", "proposed", "words"),
    [
        (run_of(evals=FALLS, kind="linear", planned=5.0), epochs(7), "this run had 5: a longer"),
        (run_of(evals=FALLS), epochs(7), "does not show its schedule"),
        (run_of(evals=FALLS, kind="linear", planned=10.0), epochs(7), "for 10: a shorter"),
        (run_of(evals=FALLS, kind="linear", planned=10.0), epochs(10), None),
        (run_of(evals=FALLS, kind="constant", planned=5.0), epochs(7), None),
        (replace(run_of(evals=FALLS), settings=Settings(lr_scheduler_type="constant_with_warmup")), epochs(7), None),
        (run_of(evals=FALLS), epochs(5), None),
        (run_of(evals=FALLS), epochs(3), None),
        (run_of(evals=FALLS), Settings(), None),
    ],
)  # fmt: skip
def test_a_run_of_another_length_is_another_curve_unless_the_rate_is_constant(
    run: Run, proposed: Settings, words: str | None
) -> None:
    found = findings(case_of(run, proposed=proposed), "FT207")
    assert bool(found) is (words is not None)
    if words:
        assert words in found[0].message
        assert "run with a decaying learning rate is another curve" in found[0].message


def test_epochs_that_are_only_shares_of_the_log_are_not_compared_with_a_proposal() -> None:
    run = run_of(evals=FALLS)
    lost = as_floats([NAN] * len(FALLS))
    run = replace(run, eval=replace(run.eval, epoch=lost, step=lost))
    assert not findings(case_of(run, proposed=epochs(90)), "FT207")


def test_losses_below_zero_are_reported_without_per_cent() -> None:
    below = [x - 1.5 for x in TURNS]
    (finding,) = findings(case_of(run_of(evals=below), turning=SURE), "FT201")
    assert "rose from -0.25 at epoch 2.5 to 0.25 at epoch 5, 0.5 up" in finding.message


def test_the_unit_of_the_loss_does_not_matter() -> None:
    for losses in (FALLS, FLATTENS, TURNS, BLOWN):
        run = run_of(evals=losses, train=CALM, kind="linear", planned=5.0)
        codes = [
            [f.code for f in findings(case_of(scaled(run, k)), None) if f.code < "FT3"]
            for k in (1, 3)
        ]
        assert codes[0] == codes[1]


def test_no_curve_is_both_told_to_go_on_and_said_to_overfit() -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        at = np.arange(1.0, 25.0)
        loss = (1.0 + 1.0 / at) * (1.0 + 0.03 * rng.standard_normal(24))
        case = case_of(run_of(evals=loss.tolist()))
        assert not (findings(case, "FT201") and findings(case, "FT202"))
