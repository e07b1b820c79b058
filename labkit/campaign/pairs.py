"""Several labs at once, each with a subnet, a bridge and ports of its own, which share the trials of a run."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Self

from labkit import history, runner
from labkit.cluster import Lab, lifecycle, lock
from labkit.engine import Engine, images, network
from labkit.history import Event, History
from labkit.progress import Progress, Silent
from labkit.runner import Scenario, Watch
from labkit.spec import Spec
from labkit.store import CAPTURE, RunFolder
from labkit.wire import wire_events

T = TypeVar("T")

PARTS = "pairs"
REMOVE_EVERY_S = 1.0


class Pairs:
    """Labs called NAME-p1, NAME-p2 and so on; a context manager that leaves none of them, whatever happens.

    They come up when the first run needs them, and stay for the next one if that has the same settings.
    """

    def __init__(self, engine: Engine, spec: Spec, count: int, progress: Progress, mirror: str = "") -> None:
        """Raises BadInput if a lab cannot have such a name."""
        self._engine = engine
        self._options = lifecycle.Options(staged=False, auto_ports=True, auto_subnet=True, mirror=mirror)
        self._progress = progress
        self._held = ExitStack()
        self.names = [spec.with_options(name=f"{spec.name}-p{number}").name for number in range(1, count + 1)]
        images.ensure(engine, spec.platform, progress, mirror)  # once, before all of them want it at the same time

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name in self.names:
                stack.enter_context(lock.held(name, self._progress))
            self._held = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._held:
            self.remove()

    def remove(self) -> None:
        for name in self.names:
            lifecycle.remove(self._engine, name, Silent())

    def run(self, spec: Spec, scenario: Scenario, folder: RunFolder, watch: Watch) -> None:
        """Runs a scenario's trials, dealt out to the pairs, and fills the run's folder.

        watch: told the events of all pairs, from several threads. Raises what the first pair that failed raised, when
        all have ended, and leaves no pair then; what was measured is kept.
        """
        pairs = min(len(self.names), len(scenario.numbers))
        subnets = itertools.islice(network.free_subnets(self._engine, spec.network.pool), pairs)
        specs = [
            spec.with_options(name=name).on_subnet(subnet) for name, subnet in zip(self.names, subnets, strict=False)
        ]
        parts = [folder] if pairs == 1 else [folder.part(f"{PARTS}/{number}") for number in range(1, pairs + 1)]
        shares = replace(scenario, pairs=max(pairs, scenario.pairs)).dealt(pairs)
        try:
            labs = self._together(self._up, specs)  # all before the first trial, which starting others would disturb
            self._together(partial(runner.run, watch=watch, disposable=True), labs, shares, parts)
        except BaseException:
            self.remove()
            raise
        finally:
            if pairs > 1:
                merge(folder, parts, len(scenario.numbers))

    def _up(self, spec: Spec) -> Lab:
        return lifecycle.up(self._engine, spec, self._options, _Passing(self._progress, spec.name)).lab

    def _together(self, work: Callable[..., T], *arguments: Sequence[Any]) -> list[T]:
        """What the work returns for each pair's arguments, done in threads. Raises what the first that failed raised,
        when all have ended."""
        with ThreadPoolExecutor(len(arguments[0])) as pool:
            running = [pool.submit(work, *one) for one in zip(*arguments, strict=True)]
            try:
                wait(running)
            except BaseException:  # Ctrl-C comes to this thread alone; without their labs the others end soon
                while wait(running, REMOVE_EVERY_S).not_done:
                    self.remove()
                raise
        return [one.result() for one in running]


def merge(folder: RunFolder, parts: Sequence[RunFolder], trials: int, **facts: Any) -> None:
    """One history out of those of several pairs, as if one pair had run all trials.

    All pairs of an engine share its clock; those of other hosts need not, because nothing is measured across trials. A
    pair's MAC addresses are its own, so the first pair's stand for them. Each pair's history, capture and logs stay in
    its part. facts: what else the header is to say.
    """
    begun = {part: events for part in parts if part.history.is_file() and (events := _events(part))}
    if not begun:
        return
    first, head = next((part, history.header(events)) for part, events in begun.items())
    folder.write("spec.yaml", (first.path / "spec.yaml").read_bytes())
    for name, text in first.rendered().items():
        folder.write(f"rendered/{name}", text)
    with History.create(folder.history) as merged:
        merged.append({**head, "trials": trials, **facts})
        told = [event for events in begun.values() for event in _as_first(events, head["macs"])]
        for trial in history.trials(told):
            for event in trial.events:
                merged.append(event)


def _events(part: RunFolder) -> list[Event]:
    """A pair's history, with what its capture tells, because captures cannot be merged."""
    events = history.read(part.history)
    return events + wire_events(part.path / CAPTURE, events) if events else []


def _as_first(events: Sequence[Event], first_macs: dict[str, str]) -> list[Event]:
    macs = {mac: first_macs.get(node, mac) for node, mac in history.header(events)["macs"].items()}
    return [{**one, "mac": macs.get(one["mac"], one["mac"])} if "mac" in one else one for one in events[1:]]


class _Passing:
    """Progress of one pair of several: everything is a detail, with the pair's name."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._name = name

    def step(self, text: str) -> None:
        self._progress.detail(f"{self._name}: {text}")

    detail = step
