"""Several labs at once, each with a subnet, a bridge and ports of its own, which share the trials of a run."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Self

from labkit import history, runner
from labkit.campaign import admission
from labkit.campaign.turns import Turns
from labkit.cluster import Lab, lifecycle
from labkit.engine import Engine, images, network
from labkit.errors import BadInput
from labkit.history import Event, History
from labkit.progress import Progress, Silent
from labkit.runner import Alone, Scenario, Watch
from labkit.spec import Spec
from labkit.store import CAPTURE, HISTORY, PARTS, RunFolder
from labkit.wire import wire_events

T = TypeVar("T")

START = "trial-start"
STARTS = START.encode()
REMOVE_EVERY_S = 1.0
STARTED_PER_CPU = 2  # pairs that come up at the same time


class Pairs:
    """Labs called NAME-p1, NAME-p2 and so on; a context manager that leaves none of them, whatever happens.

    They come up when the first run needs them, and stay for the next one if that has the same settings.
    """

    def __init__(
        self,
        engine: Engine,
        spec: Spec,
        count: int,
        progress: Progress,
        mirror: str = "",
        turns: runner.Turns | None = None,
    ) -> None:
        """turns: where other pairs of this engine measure beside these. Raises BadInput if a lab cannot have such a
        name."""
        self._turns = turns
        self._engine = engine
        self._options = lifecycle.Options(staged=False, watched=False, auto_ports=True, auto_subnet=True, mirror=mirror)
        self._progress = progress
        self._held = ExitStack()
        self.names = [spec.with_options(name=f"{spec.name}-p{number}").name for number in range(1, count + 1)]
        images.ensure(engine, spec.platform, progress, mirror)  # once, before all of them want it at the same time

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name in self.names:
                stack.enter_context(lifecycle.changing(self._engine, name, self._progress))
            self._held = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._held:
            self.remove()

    def remove(self) -> None:
        """Removes every pair that can be removed, and then raises what went wrong with one that cannot."""
        with ExitStack() as each:
            for name in self.names:
                each.callback(lifecycle.remove, self._engine, name, Silent())

    def run(self, spec: Spec, scenario: Scenario, folder: RunFolder, watch: Watch) -> None:
        """Runs a scenario's trials, dealt out to the pairs, and fills the run's folder.

        watch: told the events of all pairs, from several threads. Raises what the first pair that failed raised, when
        all have ended, and leaves no pair then; what was measured is kept.
        """
        pairs = min(len(self.names), len(scenario.numbers))
        specs = on_own_subnets(self._engine, spec, self.names[:pairs])
        parts = [folder] if pairs == 1 else [folder.part(f"{PARTS}/{number}") for number in range(1, pairs + 1)]
        turns = self._turns or (Turns(self._engine.facts.cpus) if pairs > 1 else Alone())
        shares = replace(scenario, pairs=max(pairs, scenario.pairs)).dealt(pairs)
        try:
            # all before the first trial, which starting others would disturb
            labs = together(self.remove, self._up_in_turn, specs, at_once=starting_at_once(self._engine))
            together(self.remove, partial(runner.run, watch=watch, disposable=True, turns=turns), labs, shares, parts)
        except BaseException:
            self.remove()
            raise
        finally:
            if pairs > 1:
                merge(folder, parts, len(scenario.numbers))

    def up(self, spec: Spec) -> Lab:
        """The first pair alone, with these settings."""
        return self._up(*on_own_subnets(self._engine, spec, self.names[:1]))

    def _up_in_turn(self, spec: Spec) -> Lab:
        """What starts disturbs other pairs' outages as one that is mended does."""
        if self._turns is None:
            return self._up(spec)
        self._turns.take("mend")
        try:
            return self._up(spec)
        finally:
            self._turns.give("mend")

    def _up(self, spec: Spec) -> Lab:
        return lifecycle.up(self._engine, spec, self._options, Named(self._progress, spec.name)).lab


def together(
    stop: Callable[[], None], work: Callable[..., T], *arguments: Sequence[Any], at_once: int | None = None
) -> list[T]:
    """What the work returns for each pair's arguments, done in threads, so many at once. Raises what the first that
    failed raised, when all have ended.

    stop: takes away what the work needs; called again and again after Ctrl-C, until all have ended, and once more then,
    because one may have made something anew at its end.
    """
    with ThreadPoolExecutor(at_once or len(arguments[0])) as pool:
        running = [pool.submit(work, *one) for one in zip(*arguments, strict=True)]
        try:
            wait(running)
        except BaseException:  # Ctrl-C comes to this thread alone; without their labs the others end soon
            for one in running:
                one.cancel()
            ended = False
            while not ended:
                ended = not wait(running, REMOVE_EVERY_S).not_done
                with suppress(Exception):  # it is tried again, and what is left in the end `gc` finds
                    stop()
            raise
    return [one.result() for one in running]


def starting_at_once(engine: Engine) -> int:
    """So many pairs come up at the same time: a node that boots keeps a CPU busy."""
    return STARTED_PER_CPU * engine.facts.cpus


def on_own_subnets(engine: Engine, spec: Spec, names: Sequence[str]) -> list[Spec]:
    """The spec under each name, on a free subnet each."""
    subnets = itertools.islice(network.free_subnets(engine, spec.network.pool), len(names))
    return [spec.with_options(name=name).on_subnet(subnet) for name, subnet in zip(names, subnets, strict=True)]


def admitted(engine: Engine, spec: Spec, trials: int, progress: Progress, mirror: str = "") -> int:
    """How many pairs may share so many trials: decided by a look at the first one, which is removed again."""
    with Pairs(engine, spec, 1, progress, mirror) as first:
        progress.step(f"looking at {first.names[0]} to see how many pairs this machine bears")
        look = admission.look_at(first.up(spec))
    decision = admission.admit(look, trials)
    progress.step(f"{look}: {decision.pairs} at once, {decision.why}")
    return decision.pairs


def merge(folder: RunFolder, parts: Sequence[RunFolder], trials: int, **facts: Any) -> None:
    """One history out of those of several pairs, as if one pair had run all trials.

    All pairs of an engine share its clock; those of other hosts need not, because nothing is measured across trials. A
    pair's MAC addresses are its own, so the first pair's stand for them. Each pair's history, capture and logs stay in
    its part. facts: what else the header is to say.
    """
    begun = [(part, head, numbers) for part in parts for head, numbers in [outline(part)] if head is not None]
    if not begun:
        return
    first, head, _ = begun[0]
    folder.write("spec.yaml", (first.path / "spec.yaml").read_bytes())
    for name, text in first.rendered().items():
        folder.write(f"rendered/{name}", text)
    unfinished = folder.path / f".{HISTORY}.part"  # a killed merging can be begun anew
    unfinished.unlink(missing_ok=True)
    with History.create(unfinished) as merged:
        merged.append({**head, "trials": trials, **facts})
        read: dict[RunFolder, dict[int, history.Trial]] = {}  # what is needed now: all of them may not fit into memory
        for number, at in sorted((number, at) for at, (_, _, numbers) in enumerate(begun) for number in numbers):
            part = begun[at][0]
            if part not in read:
                told = history.trials(_as_first(_events(part), head["macs"]))
                read[part] = {trial.number: trial for trial in told}
            for event in read[part].pop(number).events:
                merged.append(event)
            if not read[part]:
                del read[part]
    unfinished.replace(folder.history)


def outline(part: RunFolder) -> tuple[Event | None, list[int]]:
    """A history's header and the numbers of its trials, most of it unread; None and none where nothing was begun."""
    if not part.history.is_file():
        return None, []
    with part.history.open("rb") as lines:
        head = history.parse(next(lines, b""), str(part.history))
        begun = [line for line in lines if STARTS in line and line.endswith(b"\n")]
    try:
        starts = history.parse(b"".join(begun), str(part.history))
    except BadInput:
        starts = history.read(part.history)  # which names the line
    numbers = [event["trial"] for event in starts if event["event"] == START]
    return (history.header(head), sorted({*numbers})) if head else (None, [])


def opened(path: Path) -> RunFolder:
    """Like RunFolder.open(), but the histories of a run that was killed before they became one are merged first."""
    folder = RunFolder(path)
    parts = [RunFolder(part.parent) for part in sorted(path.glob(f"{PARTS}/*/{HISTORY}"))]
    if parts and not folder.history.is_file():
        merge(folder, parts, sum(head["trials"] for head, _ in map(outline, parts) if head is not None))
    return RunFolder.open(path)


def _events(part: RunFolder) -> list[Event]:
    """A pair's history, with what its capture tells, because captures cannot be merged."""
    events = history.read(part.history)
    return events + wire_events(part.path / CAPTURE, events)


def _as_first(events: Sequence[Event], first_macs: dict[str, str]) -> list[Event]:
    macs = {mac: first_macs.get(node, mac) for node, mac in history.header(events)["macs"].items()}
    return [{**one, "mac": macs.get(one["mac"], one["mac"])} if "mac" in one else one for one in events[1:]]


class Named:
    """Progress of one pair of several: everything is a detail, with the pair's name."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._name = name

    def step(self, text: str) -> None:
        self._progress.detail(f"{self._name}: {text}")

    detail = step
