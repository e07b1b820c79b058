"""Pairs that are started, used and removed together, as far as that needs no engine."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from labkit import faults
from labkit.campaign.pairs import Pairs, outline, together
from labkit.campaign.turns import Turns as TurnsOfAll
from labkit.engine import Engine
from labkit.errors import BadInput, NotAvailable
from labkit.history import History
from labkit.progress import Silent
from labkit.runner import Scenario, Turns
from labkit.spec import Spec
from labkit.store import RunFolder
from labkit.timing import wait_until
from tests.unit.histories import failover, run_event

LONG_S = 30.0
ENGINE = cast(Engine, SimpleNamespace(facts=SimpleNamespace(cpus=2)))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pairs]:
    """Makes pairs for which no image is needed."""
    monkeypatch.setattr("labkit.campaign.pairs.images.ensure", lambda *_: None)

    def make(count: int, turns: Turns | None = None) -> Pairs:
        return Pairs(ENGINE, Spec().with_options(name="x"), count, Silent(), turns=turns)

    return make


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody presses Ctrl-C when all are at work."""

    def waiting(running: Any, timeout: float | None = None) -> Any:
        if timeout is None:
            raise KeyboardInterrupt
        return wait(running, timeout)

    monkeypatch.setattr("labkit.campaign.pairs.wait", waiting)


def test_one_that_cannot_be_removed_keeps_no_other_up(
    pretended: Callable[..., Pairs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever it is, all others are removed, and then its trouble is told."""
    gone: list[str] = []

    def remove(engine: Engine, name: str, progress: object) -> None:
        if name == "x-p2":
            raise NotAvailable("the engine is busy")
        gone.append(name)

    monkeypatch.setattr("labkit.campaign.pairs.lifecycle.remove", remove)
    with pytest.raises(NotAvailable, match="the engine is busy"):
        pretended(3).remove()
    assert sorted(gone) == ["x-p1", "x-p3"]


@pytest.mark.usefixtures("interrupted")
def test_what_is_made_in_the_last_moment_is_removed_too() -> None:
    """After Ctrl-C, whatever had come up by itself before there was anything to be ended."""
    there = set[int]()
    with pytest.raises(KeyboardInterrupt):
        together(there.clear, there.add, [1, 2, 3])
    assert there == set()


@pytest.mark.usefixtures("interrupted")
def test_ctrl_c_is_stronger_than_trouble_with_removing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that refuses once is asked again, until all work has ended and nothing is left."""
    monkeypatch.setattr("labkit.campaign.pairs.REMOVE_EVERY_S", 0.01)
    there, refusals = {1}, iter([NotAvailable("the engine is busy"), OSError("broken pipe")])
    ended = threading.Event()

    def stop() -> None:
        for error in refusals:
            raise error
        there.clear()
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        together(stop, lambda _: ended.wait(LONG_S), [1])
    assert there == set()


def test_no_pair_starts_while_the_outage_of_another_is_measured(
    pretended: Callable[..., Pairs], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on a worker, whose pairs share turns and begin at any time: the second one comes up when the trial of the
    first is over."""
    turns = TurnsOfAll(2)
    measuring, told, up = threading.Event(), threading.Event(), list[tuple[str, bool]]()

    def start(engine: Engine, spec: Spec, *_: object) -> SimpleNamespace:
        up.append((spec.name, measuring.is_set()))
        return SimpleNamespace(lab=spec.name)

    def run(lab: str, scenario: Scenario, *_: object, **more: object) -> None:
        if lab == "first":
            turns.take("measure")
            measuring.set()
            told.set()
            wait_until(lambda: turns.hurt + len(up) - 1, bool, LONG_S, "the second one waits, or is up")
            measuring.clear()
            turns.give("measure")

    def named(engine: Engine, spec: Spec, names: Sequence[str]) -> list[Spec]:
        return [spec]

    monkeypatch.setattr("labkit.campaign.pairs.lifecycle.up", start)
    monkeypatch.setattr("labkit.campaign.pairs.runner.run", run)
    monkeypatch.setattr("labkit.campaign.pairs.on_own_subnets", named)
    scenario, spec = Scenario(faults.fault("none")), Spec()

    def trial(name: str) -> None:
        folder = RunFolder(tmp_path)
        pretended(1, turns).run(spec.with_options(name=name), scenario, folder, lambda event: None)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(trial, "first")
        assert told.wait(LONG_S)
        second = pool.submit(trial, "second")
        for one in (first, second):
            one.result(LONG_S)
    assert up == [("first", False), ("second", False)]


def test_an_outline_names_the_damaged_line(tmp_path: Path) -> None:
    """A history's trials are told without reading all of it; what is damaged is told as when it is read."""
    folder = RunFolder(tmp_path)
    with History.create(folder.history) as written:
        for event in (run_event(2), *failover(3), *failover(1)):
            written.append(event)
    head, numbers = outline(folder)
    assert (head, numbers) == (run_event(2), [1, 3])
    whole = folder.history.read_bytes()
    folder.history.write_bytes(whole + b'{"event":"trial-start","trial":4')
    assert outline(folder)[1] == [1, 3]
    folder.history.write_bytes(whole + b'{"event":"trial-start","trial":}\n')
    lines = len(whole.splitlines())
    with pytest.raises(BadInput, match=f"line {lines + 1}:"):
        outline(folder)
