"""FT3xx: how the run was stopped and saved."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_cases import case_of, findings, run_of

from ftadvise.run import Settings

NAN = float("nan")
EVAL = [2.0, 1.6, 1.4, 1.3, 1.25]  # one per epoch, best at epoch 5, step 500
BEST_EARLY = [2.0, 1.2, 1.4, 1.5, 1.6]  # best at epoch 2, step 200


def stop(patience: int | None, epochs: float | None, eval_steps: float | None = 100) -> Settings:
    return Settings(
        num_train_epochs=epochs, eval_steps=eval_steps, early_stopping_patience=patience
    )


@pytest.mark.parametrize(
    ("proposed", "best", "fires"),
    [
        (stop(3, 7), 5.0, True),
        (stop(3, 8), 5.0, True),
        (stop(3, 9), 5.0, False),
        (stop(3, 7, eval_steps=25), 5.0, False),
        (stop(3, 7, eval_steps=None), 5.0, True),
        (stop(3, 7, eval_steps=0.1), 5.0, True),
        (stop(3, 7, eval_steps=0.02), 5.0, False),
        (stop(3, 7), 2.0, False),
        (stop(3, 7), NAN, True),
        (stop(None, 7), 5.0, False),
        (stop(3, None), 5.0, False),
        (stop(0, 7), 5.0, False),
    ],
)
def test_a_proposed_patience_that_outlasts_the_run_is_a_safety_net_only(
    proposed: Settings, best: float, fires: bool
) -> None:
    found = findings(case_of(run_of(evals=EVAL), proposed=proposed, best_epoch=best), "FT301")
    assert [f.level for f in found] == (["info"] if fires else [])


def test_the_message_reckons_from_the_evaluation_at_which_the_best_is_found() -> None:
    run = run_of(evals=EVAL)
    (finding,) = findings(case_of(run, proposed=stop(3, 7), best_epoch=4.6), "FT301")
    assert finding.message == (
        "Patience 3 with one evaluation per epoch and a best at epoch 5 cannot fire before epoch "
        "8, so under a cap of 7 it never stops anything: it is only a safety net."
    )


@pytest.mark.parametrize(
    ("losses", "used", "fires"),
    [
        (EVAL, stop(1, 5), True),
        (BEST_EARLY, stop(3, 5), True),
        (BEST_EARLY, stop(2, 5), False),
        (BEST_EARLY, stop(3, 5, eval_steps=50), False),
        (BEST_EARLY, stop(3, 5, eval_steps=None), True),
        (BEST_EARLY, stop(3, None), False),
    ],
)
def test_a_patience_that_could_not_stop_its_run_is_a_warning(
    losses: list[float], used: Settings, fires: bool
) -> None:
    found = findings(case_of(run_of(evals=losses), used=used), "FT301")
    assert [f.level for f in found] == (["warning"] if fires else [])
    for finding in found:
        assert finding.message.startswith("In this run, patience")


@pytest.mark.parametrize(
    ("used", "scale", "gain", "level"),
    [
        (None, 1.0, 0.01, None),
        (None, 1.0, 0.0005, "info"),
        (None, 0.02, 0.01, "info"),
        (0.001, 1.0, 0.01, None),
        (0.02, 1.0, 0.5, "warning"),
        (0.001, 1.0, 0.0005, "warning"),
        (0.001, 1.0, NAN, None),
        (0.001, 1.0, -1.0, None),
        (0.0, 0.001, 0.0, None),
        (NAN, 0.001, 0.0, None),
    ],
)
def test_a_threshold_is_held_against_the_loss_and_the_gain_of_an_evaluation(
    used: float | None, scale: float, gain: float, level: str | None
) -> None:
    run = run_of(evals=[x * scale for x in EVAL])
    case = case_of(run, used=Settings(early_stopping_threshold=used), gain_per_eval=gain)
    found = findings(case, "FT302")
    assert [f.level for f in found] == ([level] if level else [])
    for finding in found:
        large = (used or 0.001) > 0.01 * min(EVAL) * scale
        assert ("of this loss" in finding.message) is large
        assert ("an evaluation gains" in finding.message) is not large


@pytest.mark.parametrize(
    ("eval_steps", "save_steps", "fate"),
    [
        (100, 200, "step 500, was among them"),
        (50, 250, "step 500, was not among them"),
        (50, 75, "among them"),
        (0.1, 0.2, "never saved."),
        (100, 100, None),
        (100, 50, None),
        (None, 200, None),
        (100, None, None),
        (0.1, 200, None),
        (0, 0, None),
        (NAN, 100, None),
    ],
)
def test_evaluations_without_a_checkpoint_are_found(
    eval_steps: float | None, save_steps: float | None, fate: str | None
) -> None:
    used = Settings(eval_steps=eval_steps, save_steps=save_steps)
    found = findings(case_of(run_of(evals=EVAL), used=used), "FT303")
    assert bool(found) is (fate is not None)
    assert fate is None or fate in found[0].message


def test_the_default_of_500_steps_says_nothing_where_evaluations_lie_on_whole_epochs() -> None:
    run = run_of(evals=[2.0, 1.5, 1.4], epochs=12.0)
    for eval_steps, fires in ((400.0, False), (350.0, True)):
        used = Settings(eval_steps=eval_steps, save_steps=500.0)
        assert bool(findings(case_of(run, used=used), "FT303")) is fires


def test_a_best_evaluation_without_a_known_step_is_not_judged() -> None:
    run = run_of(evals=EVAL)
    run = replace(run, eval=replace(run.eval, step=run.eval.step * NAN))
    (finding,) = findings(case_of(run, used=Settings(eval_steps=100, save_steps=200)), "FT303")
    assert finding.message.endswith("some evaluated models were never saved.")


@pytest.mark.parametrize(
    ("limit", "load_best", "save_steps", "words"),
    [
        (2, None, 100, "3 saves old, so its checkpoint is gone unless"),
        (3, False, 100, "3 saves old, so its checkpoint is gone unless"),
        (4, False, 100, "3 saves old, so its checkpoint is still there"),
        (2, False, None, "not the best."),
        (2, True, 100, None),
        (None, False, 100, None),
        (0, False, 100, None),
    ],
)
def test_a_limit_that_keeps_the_newest_is_found_with_the_age_of_the_best(
    limit: int | None, load_best: bool | None, save_steps: float | None, words: str | None
) -> None:
    used = Settings(
        save_total_limit=limit, load_best_model_at_end=load_best, save_steps=save_steps
    )
    found = findings(case_of(run_of(evals=BEST_EARLY), used=used), "FT304")
    assert bool(found) is (words is not None)
    assert words is None or words in found[0].message


@pytest.mark.parametrize(
    ("kind", "planned", "named", "fires"),
    [
        ("linear", 10.0, None, True),
        ("cosine", 8.0, None, True),
        (None, 10.0, "linear", True),
        ("linear", 5.0, None, False),
        ("linear", 5.4, None, False),
        ("linear", None, None, False),
        ("constant", 10.0, None, False),
        (None, 10.0, None, False),
    ],
)
def test_a_log_that_ends_well_before_its_decay_does_is_found(
    kind: str | None, planned: float | None, named: str | None, fires: bool
) -> None:
    run = run_of(evals=EVAL, kind=kind, planned=planned)
    found = findings(case_of(run, used=Settings(lr_scheduler_type=named)), "FT305")
    assert [f.level for f in found] == (["info"] if fires else [])
