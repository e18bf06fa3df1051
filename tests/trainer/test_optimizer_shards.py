"""AdamW rounds the weights of a model that FSDP2 spreads as it rounds those of a whole one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from made_ranks import module_of, run_ranks

SCRIPT = Path(__file__).with_name("two_sharded_processes.py")


@pytest.mark.long
def test_two_sharded_processes_end_with_the_bits_of_one_and_one_goes_on_from_two(
    tmp_path: Path,
) -> None:
    script = module_of(SCRIPT)
    run_ranks(SCRIPT, tmp_path)
    for updates in script.UPDATES:
        found = torch.load(tmp_path / f"{updates}.pt", weights_only=True)

        alone = script.model()
        script.go(alone, script.optimizer(alone, updates), 0, script.END)
        wanted = alone.state_dict()
        assert all(torch.equal(wanted[name], found["end"][name]) for name in wanted)

        one = script.model()
        one.load_state_dict(found["model"])
        taken = script.optimizer(one, updates)
        names = list(wanted)
        state = found["optimizer"]
        groups = [dict(g) | {"params": list(range(len(names)))} for g in state["param_groups"]]
        numbered = {i: state["state"][name] for i, name in enumerate(names)}
        taken.load_state_dict({"state": numbered, "param_groups": groups})
        script.go(one, taken, script.HALF, script.END)
        assert all(torch.equal(wanted[name], tensor) for name, tensor in one.state_dict().items())
