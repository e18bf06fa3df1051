"""Stop policies by name, and their replay on a finished log."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ftadvise import plugins
from ftadvise.errors import LogError, PluginError, UsageError
from ftadvise.policies import Replay, parse_policy, policies, policy_named, replay
from ftadvise.run import Run, Series, as_floats
from ftadvise.stopping import StopPolicy, train_loss_at_evals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAN = math.nan
OURS = ["transformers", "keras", "lightning", "rises-while-train-falls"]


def series(
    loss: Sequence[float],
    *,
    step: Sequence[float] | None = None,
    epoch: Sequence[float] | None = None,
) -> Series:
    unknown = [NAN] * len(loss)
    return Series("loss", as_floats(step or unknown), as_floats(epoch or unknown), as_floats(loss))


def eval_run(*loss: float) -> Run:
    return Run(eval=series(loss, epoch=range(1, len(loss) + 1)))


def stops_at(answer: object) -> StopPolicy:
    def stop_at(run: Run, patience: int, threshold: float) -> int | None:
        return answer  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    return StopPolicy("odd", "answers what it was told", stop_at)


@pytest.fixture
def with_policies(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes plugins give these objects beside our own policies."""

    def install(*found: object) -> None:
        real = plugins.collect

        def collect(hook: str) -> list[object]:
            return [*real(hook), *found]

        monkeypatch.setattr(plugins, "collect", collect)

    return install


# Policies by name ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_each_built_in_policy_is_found_by_its_name(name: str) -> None:
    assert policy_named(name).name == name


def test_built_in_policies_come_through_the_hook() -> None:
    given = [p.name for p in plugins.collect("register_stop_policies")]
    assert given[-len(OURS) :] == OURS


def test_policy_of_a_plugin_is_found_by_its_name(with_policies: Callable[..., None]) -> None:
    theirs = stops_at(1)
    with_policies(theirs)
    assert policy_named("odd") is theirs
    assert list(policies())[: len(OURS)] == OURS


def test_plugin_cannot_replace_a_built_in_policy(with_policies: Callable[..., None]) -> None:
    with_policies(StopPolicy("keras", "an impostor", stops_at(1).stop_at))
    assert policy_named("keras").description != "an impostor"


def test_objects_of_a_plugin_that_are_no_policies_are_left_out(
    with_policies: Callable[..., None],
) -> None:
    with_policies("keras", None, 3)
    assert list(policies()) == OURS


def test_misspelt_policy_gets_a_suggestion_and_the_list_of_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        policy_named("tranformers")
    assert caught.value.code == "FT411"
    assert "'tranformers'" in caught.value.message
    assert "Did you mean 'transformers'?" in caught.value.hint
    assert all(name in caught.value.hint for name in OURS)


def test_name_like_no_other_gets_the_list_without_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        policy_named("zzz")
    assert "Did you mean" not in caught.value.hint
    assert "keras" in caught.value.hint


# Specs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "name", "patience", "threshold"),
    [
        ("transformers", "transformers", 3, 0.0),
        ("rises-while-train-falls", "rises-while-train-falls", 2, 0.0),
        ("transformers:patience=5", "transformers", 5, 0.0),
        ("transformers:patience=3,threshold=0.001", "transformers", 3, 0.001),
        ("keras:min_delta=1e-3", "keras", 3, 0.001),
        (" Keras : patience = 2 , threshold = 0.5 ", "keras", 2, 0.5),
    ],
)
def test_spec_names_a_policy_and_its_settings(
    spec: str, name: str, patience: int, threshold: float
) -> None:
    policy, *settings = parse_policy(spec)
    assert policy.name == name
    assert settings == [patience, threshold]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "no stop policy"),
        ("nothing:patience=3", "no stop policy"),
        ("keras:", "not a setting"),
        ("keras:patience", "not a setting"),
        ("keras:patience=", "not a setting"),
        ("keras:patience=3,", "not a setting"),
        ("keras:patience=three", "whole number"),
        ("keras:patience=2.5", "whole number"),
        ("keras:patience=nan", "whole number"),
        ("keras:patience=" + "9" * 5000, "whole number"),
        ("keras:patience=0", "at least 1"),
        ("keras:patience=-3", "at least 1"),
        ("keras:threshold=much", "threshold a number"),
        ("keras:threshold=-0.1", "at least 0"),
        ("keras:threshold=nan", "finite"),
        ("keras:min_delta=inf", "finite"),
        ("keras:patience=3,patience=4", "twice"),
        ("keras:threshold=0.1,min_delta=0.1", "twice"),
        ("keras:warmup=3", "no 'warmup'"),
    ],
)
def test_spec_that_makes_no_sense_is_refused_with_its_reason(spec: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_policy(spec)
    assert says in caught.value.message
    assert caught.value.code == "FT411"


def test_misspelt_setting_gets_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        parse_policy("keras:patiense=3")
    assert "Did you mean 'patience'?" in caught.value.hint


@pytest.mark.parametrize("spec", ["keras:patience=2,threshold=0.1", "lightning:min_delta=1e-07"])
def test_policy_of_a_replay_reads_back_as_the_same_settings(spec: str) -> None:
    assert parse_policy(replay(eval_run(1.0), spec).policy) == parse_policy(spec)


def test_overfitting_policy_refuses_a_threshold() -> None:
    with pytest.raises(UsageError, match="no threshold"):
        replay(eval_run(1.0, 2.0), "rises-while-train-falls:threshold=0.1")


# Replay --------------------------------------------------------------------------------------


def test_replay_tells_where_the_policy_stops_and_what_it_costs() -> None:
    run = eval_run(1.0, 0.8, 0.9, 1.0, 0.4)
    assert replay(run, "transformers:patience=2") == Replay(
        policy="transformers:patience=2,threshold=0",
        series="eval",
        unit="epoch",
        stopped=True,
        stop_epoch=4.0,
        best_epoch=2.0,
        best_loss=0.8,
        evals_spent=4,
        evals_total=5,
        regret=(0.8 - 0.4) / 0.4,
    )


def test_policy_that_never_stops_keeps_the_best_of_the_whole_log() -> None:
    result = replay(eval_run(1.0, 0.8, 0.9), "keras:patience=2")
    assert not result.stopped
    assert (result.stop_epoch, result.best_epoch, result.evals_spent) == (3.0, 2.0, 3)
    assert result.regret == 0.0


def test_stop_at_the_last_evaluation_counts_as_stopped() -> None:
    result = replay(eval_run(1.0, 1.1, 1.2), "transformers:patience=2")
    assert result.stopped
    assert result.evals_spent == result.evals_total == 3


def test_policies_differ_on_a_run_that_drifts() -> None:
    run = eval_run(*(1 - 0.004 * i for i in range(30)))
    assert replay(run, "transformers:patience=3,threshold=0.01").evals_spent == 4
    assert not replay(run, "keras:patience=3,threshold=0.01").stopped
    assert not replay(run, "lightning:patience=3,threshold=0.01").stopped


def test_policy_sees_the_losses_that_are_not_finite() -> None:
    run = eval_run(1.0, NAN, NAN, 0.5)
    assert replay(run, "transformers:patience=2").evals_spent == 3
    assert replay(run, "lightning:patience=2").evals_spent == 2
    assert replay(run, "transformers:patience=2").evals_total == 4


def test_log_without_any_finite_loss_has_no_best() -> None:
    result = replay(eval_run(NAN, NAN, NAN), "transformers:patience=1")
    assert result.stop_epoch == 2.0
    assert all(math.isnan(x) for x in (result.best_epoch, result.best_loss, result.regret))


def test_first_of_equally_good_evaluations_is_kept() -> None:
    assert replay(eval_run(1.0, 0.5, 0.5), "keras").best_epoch == 2.0


@pytest.mark.parametrize(
    ("losses", "regret"),
    [((1.0, 2.0, 0.0), math.inf), ((0.0, 1.0), 0.0), ((-1.0, 2.0, -2.0), 0.5)],
)
def test_regret_is_defined_for_losses_that_are_zero_or_negative(
    losses: tuple[float, ...], regret: float
) -> None:
    assert replay(eval_run(*losses), "transformers:patience=1").regret == regret


def test_log_without_eval_loss_is_judged_by_its_train_loss_and_says_so() -> None:
    run = Run(train=series([1.0, 0.5, 0.6, 0.7], epoch=[0.1, 0.2, 0.3, 0.4]))
    result = replay(run, "transformers:patience=2")
    assert (result.series, result.stop_epoch, result.best_epoch) == ("train", 0.4, 0.2)
    assert not replay(run, "rises-while-train-falls:patience=1").stopped


def test_eval_loss_is_judged_where_there_is_both() -> None:
    run = Run(train=series([9.0, 9.0, 9.0]), eval=series([1.0, 0.9]))
    result = replay(run, "transformers:patience=1")
    assert (result.series, result.stopped) == ("eval", False)


@pytest.mark.parametrize(
    ("step", "epoch", "unit", "stop"),
    [
        ([10, 20, 30], [0.5, 1.0, 1.5], "epoch", 1.0),
        ([10, 20, 30], None, "step", 20.0),
        ([10, 20, 30], [0.5, NAN, 1.5], "step", 20.0),  # never two units in one answer
        (None, None, "evaluation", 2.0),
    ],
)
def test_time_is_told_in_epochs_else_steps_else_evaluations(
    step: list[float] | None, epoch: list[float] | None, unit: str, stop: float
) -> None:
    run = Run(eval=series([1.0, 2.0, 3.0], step=step, epoch=epoch))
    result = replay(run, "transformers:patience=1")
    assert (result.unit, result.stop_epoch) == (unit, stop)


def test_run_without_loss_is_refused() -> None:
    with pytest.raises(LogError) as caught:
        replay(Run(), "transformers")
    assert caught.value.code == "FT405"


# Policies of plugins -------------------------------------------------------------------------


def test_policy_object_is_replayed_with_its_own_settings() -> None:
    asked: list[tuple[int, float]] = []

    def stop_at(run: Run, patience: int, threshold: float) -> int | None:
        asked.append((patience, threshold))
        return int(np.int64(2))

    policy = StopPolicy("theirs", "", stop_at, patience=7, threshold=0.25)
    result = replay(eval_run(1.0, 0.9, 0.8), policy)
    assert asked == [(7, 0.25)]
    assert (result.policy, result.evals_spent) == ("theirs:patience=7,threshold=0.25", 2)


def test_numpy_integer_is_a_good_answer() -> None:
    assert replay(eval_run(1.0, 0.9), stops_at(np.int64(1))).evals_spent == 1


@pytest.mark.parametrize("answer", [0, -1, 4, 2.0, NAN, True, np.True_, "2", [2]])
def test_answer_that_is_no_evaluation_of_the_log_is_blamed_on_the_policy(answer: object) -> None:
    with pytest.raises(PluginError, match="'odd'") as caught:
        replay(eval_run(1.0, 0.9, 0.8), stops_at(answer))
    assert caught.value.code == "FT901"


def test_policy_that_raises_is_named_with_its_error() -> None:
    def stop_at(run: Run, patience: int, threshold: float) -> int | None:
        raise ZeroDivisionError("oh dear")

    with pytest.raises(PluginError, match=r"'broken' failed: ZeroDivisionError: oh dear"):
        replay(eval_run(1.0), StopPolicy("broken", "", stop_at))


# Train loss at each evaluation ---------------------------------------------------------------


def test_train_loss_at_an_evaluation_is_the_mean_since_the_previous_one() -> None:
    run = Run(
        train=series([4.0, 2.0, 1.0, 0.5, 9.0], step=[1, 2, 3, 4, 5]),
        eval=series([1.0, 1.0], step=[2, 4]),
    )
    assert train_loss_at_evals(run).tolist() == [3.0, 0.75]


def test_train_loss_is_nan_where_none_was_logged_since_the_previous_evaluation() -> None:
    run = Run(train=series([4.0, NAN], step=[1, 5]), eval=series([1.0] * 3, step=[2, 4, 6]))
    np.testing.assert_array_equal(train_loss_at_evals(run), [4.0, NAN, NAN])


def test_train_losses_that_are_not_finite_are_left_out_of_the_mean() -> None:
    run = Run(train=series([4.0, NAN, 2.0], step=[1, 2, 3]), eval=series([1.0], step=[3]))
    assert train_loss_at_evals(run).tolist() == [3.0]


def test_steps_join_train_and_eval_before_epochs_do() -> None:
    run = Run(
        train=series([4.0, 2.0], step=[1, 2], epoch=[0.0, 0.0]),
        eval=series([1.0, 1.0], step=[1, 2], epoch=[1.0, 2.0]),
    )
    assert train_loss_at_evals(run).tolist() == [4.0, 2.0]


def test_epochs_join_train_and_eval_where_one_of_them_has_no_step() -> None:
    run = Run(
        train=series([4.0, 2.0], epoch=[0.5, 1.5]),
        eval=series([1.0, 1.0], step=[10, 20], epoch=[1.0, 2.0]),
    )
    assert train_loss_at_evals(run).tolist() == [4.0, 2.0]


def test_train_loss_is_nan_where_train_and_eval_cannot_be_joined() -> None:
    run = Run(train=series([4.0], step=[1]), eval=series([1.0, 2.0], epoch=[1.0, 2.0]))
    assert np.isnan(train_loss_at_evals(run)).all()
    assert not replay(run, "rises-while-train-falls").stopped


def test_overfitting_policy_stops_when_eval_rises_while_the_mean_train_loss_falls() -> None:
    run = Run(
        train=series([4, 3, 2.5, 2.6, 2, 1.9, 1, 0.9], step=range(1, 9)),
        eval=series([1.0, 0.9, 1.0, 1.1], step=[2, 4, 6, 8], epoch=[1, 2, 3, 4]),
    )
    result = replay(run, "rises-while-train-falls")
    assert (result.stopped, result.stop_epoch, result.best_epoch) == (True, 4.0, 2.0)
    assert replay(run, "rises-while-train-falls:patience=1").stop_epoch == 3.0
