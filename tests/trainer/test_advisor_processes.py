"""Of two processes the first decides, and both stop or decay at the same step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_ranks import run_ranks

pytest.importorskip("torch")
pytest.importorskip("transformers")

SCRIPT = Path(__file__).with_name("two_advised_processes.py")
LAST = 16  # steps


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes did."""
    folder = tmp_path_factory.mktemp("ranks")
    run_ranks(SCRIPT, folder)
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize(
    ("case", "step"),
    [("first wants", 5), ("second wants", LAST), ("second fails", 7), ("first fails", LAST)],
)
def test_both_stop_where_the_first_wants_to(
    case: str, step: int, ranks: list[dict[str, Any]]
) -> None:
    expected = {"step": step, "stopped": step < LAST}
    assert [rank[case] for rank in ranks] == [expected, expected]


@pytest.mark.parametrize(("case", "start"), [("first anneals", 6), ("second anneals", None)])
def test_both_begin_the_decay_where_the_first_wants_to(
    case: str, start: int | None, ranks: list[dict[str, Any]]
) -> None:
    # Two epochs of decay, of two steps each.
    expected = {"step": LAST if start is None else start + 4, "start": start}
    assert [rank[case] for rank in ranks] == [expected, expected]
