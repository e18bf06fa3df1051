"""What the charts of the HTML report are made of."""

from __future__ import annotations

import re
from importlib.resources import files
from xml.etree import ElementTree

import numpy as np
import pytest
from made_runs import five_numbers, make_run, true_loss

import ftadvise
from ftadvise.advice import Advice
from ftadvise.reports.html.extremes import envelope, thinned
from ftadvise.reports.html.lengths import by_length
from ftadvise.reports.html.next_run import next_run
from ftadvise.reports.html.palette import COLOURS, RUNS
from ftadvise.reports.html.plot import number, worded, y_axes
from ftadvise.reports.html.stops import stops
from ftadvise.reports.html.svg import draw
from ftadvise.reports.html.this_run import smooth, this_run
from ftadvise.run import Run
from ftadvise.scenarios import paths
from ftadvise.schedules import Schedule


@pytest.fixture(scope="module")
def advice() -> Advice:
    return ftadvise.advise(make_run(epochs=6, evals=12, rise=0.4, noise=0.005))


def chart(advice: Advice) -> str:
    plot = this_run(advice)
    assert plot is not None
    return draw(plot, legend=True)


def test_a_thinned_curve_keeps_its_ends_and_the_spikes_of_every_stretch() -> None:
    x = np.arange(100_000.0)
    y = np.sin(x / 7000.0)
    y[[5, 50_001]] = 9.0, -9.0
    kept_x, kept_y = thinned(x, y, 300)
    assert kept_x.size <= 300
    assert (np.diff(kept_x) > 0).all()
    assert {0.0, 5.0, 50_001.0, 99_999.0} <= set(kept_x.tolist())
    assert kept_y.max() == 9.0
    assert kept_y.min() == -9.0


def test_a_short_curve_is_left_as_it_is() -> None:
    x = np.arange(10.0)
    assert thinned(x, x, 10)[0] is x


def test_an_envelope_holds_every_value_of_its_stretch() -> None:
    rng = np.random.default_rng(0)
    x, y = np.arange(1003.0), rng.standard_normal(1003)
    middle, low, high, mean = envelope(x, y, 10)
    assert middle.shape == low.shape == high.shape == mean.shape == (10,)
    assert low.min() == y.min()
    assert high.max() == y.max()
    assert ((low <= mean) & (mean <= high)).all()
    assert (np.diff(middle) > 0).all()


def test_the_picture_is_well_formed_and_the_same_every_time(advice: Advice) -> None:
    drawn = chart(advice)
    assert drawn == chart(advice)
    root = ElementTree.fromstring(drawn)
    assert root.get("role") == "img"
    assert "eval loss" in (root.get("aria-label") or "")
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"train loss", "eval loss, smoothed", "best", "overfitting begins"} <= set(words)


def test_the_picture_can_stand_on_any_page(advice: Advice) -> None:
    drawn = chart(advice)
    assert not re.search(r"<style|<script|\bid=|\bstyle=|\bhref=", drawn)
    assert "currentColor" in drawn


def test_the_smoothed_curve_is_nearer_to_the_truth_than_the_points_are() -> None:
    run = make_run(epochs=5, evals=40, noise=0.02)
    x, y = smooth(ftadvise.advise(run))
    at = run.eval.epoch[4:]
    truth = true_loss(at, 5.0, 0.0, Schedule("linear"))
    scatter = np.abs(run.eval.loss[4:] / truth - 1.0).mean()
    assert np.abs(np.interp(at, x, y) / truth - 1.0).mean() < 0.7 * scatter


def test_the_smoothed_curve_leaves_out_a_lone_spike() -> None:
    run = make_run(epochs=5, evals=30)
    loss = run.eval.loss.copy()
    loss[15] *= 3.0
    spiked = Run(run.train, type(run.eval)("eval_loss", run.eval.step, run.eval.epoch, loss))
    x, y = smooth(ftadvise.advise(spiked))
    assert y[x > 1.0].max() < 1.2 * run.eval.loss[run.eval.epoch > 1.0].max()


def test_the_ways_of_the_next_run_have_the_chances_of_the_advice(advice: Advice) -> None:
    plot = next_run(advice)
    assert plot is not None
    found = {path.name: path for path in paths(advice.fit, advice.num_train_epochs)}
    for scenario in advice.scenarios:
        assert (scenario.name in found) == (scenario.probability > 0)
    for path in found.values():
        assert path.epochs[-1] == advice.num_train_epochs
        assert ((path.low <= path.median) & (path.median <= path.high)).all()


def test_the_run_in_hand_is_drawn_beside_them_as_far_as_the_next_one_goes(advice: Advice) -> None:
    plot = next_run(advice)
    assert plot is not None
    before = plot.lines[0]
    assert before.role == "before"
    assert before.x.size > 20
    assert before.x[-1] <= advice.num_train_epochs < advice.observed.epochs


def test_early_convergence_is_near_its_best_before_the_others(advice: Advice) -> None:
    found = {path.name: path for path in paths(advice.fit, advice.num_train_epochs)}
    early, late = found["early convergence"], found.get("continued improvement")
    assert late is not None
    assert early.median.argmin() < late.median.argmin()


def test_stops_are_what_replay_says(advice: Advice) -> None:
    told = stops(advice)
    assert [one.name for one in told[:3]] == ["patience 1", "patience 3", "patience 5"]
    for one, patience in zip(told, (1, 3, 5), strict=False):
        found = ftadvise.replay(advice.run, f"transformers:patience={patience}")
        assert one.stopped == found.stopped
        assert one.at == pytest.approx(found.stop_epoch)
        assert one.kept == pytest.approx(found.best_epoch)
        assert (one.spent, one.total, one.regret) == (
            found.evals_spent,
            found.evals_total,
            found.regret,
        )


def test_the_advised_patience_counts_evaluations_as_far_apart_as_advised() -> None:
    often = ftadvise.advise(make_run(epochs=6, evals=300, rise=0.4, noise=0.01))
    *_, mine = stops(often)
    every = often.recommendation.eval_steps
    assert every is not None
    assert mine.advised
    assert mine.total == pytest.approx(600 / every, abs=1)
    assert f"evaluating every {every} steps" in mine.name
    assert mine.at * 100 / every == pytest.approx(round(mine.at * 100 / every))


def test_without_an_eval_loss_there_are_no_stops() -> None:
    assert stops(ftadvise.advise(five_numbers())) == ()


def test_a_mark_says_which_patience_stops_there(advice: Advice) -> None:
    told = stops(advice)
    plot = this_run(advice, told)
    assert plot is not None
    labels = ", ".join(mark.label for mark in plot.uprights if mark.foot)
    for one in told:
        assert (one.label in labels) == one.stopped


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.05, "0.05"), (-3.0, "−3"), (120000.0, "1.2e5"), (2e9, "2e9"), (1e-7, "1e−7"), (0.0, "0")],
)
def test_labels_are_short(value: float, text: str) -> None:
    assert worded(value) == text


def test_numbers_of_the_data_have_few_digits() -> None:
    assert number(1.0) == 1
    assert number(0.123456789) == 0.123457
    assert number(1e300) == 1e300


def test_a_wide_range_of_losses_is_drawn_in_logarithms_and_a_negative_one_never() -> None:
    assert y_axes([0.01, 3.0])[2] is True
    assert y_axes([1.0, 3.0])[2] is False
    assert y_axes([-1.0, 3.0])[1] is None
    even, log, _ = y_axes([1.0, 1.0])
    assert even.low < 1.0 < even.high
    assert log is not None
    assert log.low < 1.0 < log.high


def test_the_style_sheet_has_the_colours_of_the_palette() -> None:
    style = files("ftadvise.reports.html").joinpath("static", "report.css").read_text("utf-8")
    light, _, dark = style.partition("@media screen and (prefers-color-scheme: dark)")
    runs = {f"run{i}": colour for i, colour in enumerate(RUNS)}
    for role, colour in {**COLOURS, **runs}.items():
        assert f"--{role}: {colour};" in light
        assert f"--{role}: #" in dark
        assert f".s-{role} {{ stroke: var(--{role}); }}" in style


def test_the_chart_of_lengths_has_the_forecast_and_the_recommendation() -> None:
    advice = ftadvise.advise(make_run(epochs=8, evals=10, rise=0.05, noise=0.01))
    assert advice.recommendation.epochs_range[0] < advice.recommendation.epochs_range[1]
    plot = by_length(advice)
    assert plot is not None
    [band], [mark] = plot.bands, plot.uprights
    assert band.x.tolist() == [one.epochs for one in advice.forecast]
    assert band.low.tolist() == [one.low for one in advice.forecast]
    assert mark.x == advice.num_train_epochs
    assert (mark.low, mark.high) == advice.recommendation.epochs_range
