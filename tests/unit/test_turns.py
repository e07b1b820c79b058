"""Pairs that take turns on one machine: none keeps a turn that it cannot use any more."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from labkit import faults
from labkit.campaign.turns import Turns
from labkit.cluster import Lab
from labkit.errors import LabkitError
from labkit.history import History
from labkit.probe import Agent, Settings
from labkit.runner import Scenario, _Run
from labkit.spec import Spec
from labkit.store import RunFolder

LONG_S = 30.0


class DiesAsleep:
    """The agent's process, which ends while it rests."""

    alive = False
    errors = "killed"

    def send(self, line: str) -> None:
        if line == "work":
            raise LabkitError("the agent is gone")


def ignored(*_: Any) -> str:
    return ""


def lab() -> Lab:
    client = SimpleNamespace(must=ignored, put=ignored, talk=lambda *_, heard: DiesAsleep())
    spec = Spec()
    return cast(Lab, SimpleNamespace(client=client, spec=spec, vip=str(spec.network.vip), nodes={}))


def test_a_pair_that_dies_while_it_waits_keeps_no_turn(tmp_path: Path) -> None:
    """Its agent is gone when its turn comes: it raises that, and the pairs that wait to be mended are mended."""
    turns, one = Turns(1), lab()
    scenario = Scenario(faults.fault("none"), pairs=2)
    agent = Agent(one, Settings(), lambda event: None)
    with History.create(tmp_path / "history.jsonl") as history:
        run = _Run(one, scenario, RunFolder(tmp_path), history, lambda event: None, True, turns)
        with pytest.raises(LabkitError, match="the agent is gone"):
            run.one_trial(1, agent, [])
    other = threading.Thread(target=turns.take, args=("mend",), daemon=True)
    other.start()
    other.join(LONG_S)
    assert not other.is_alive()
