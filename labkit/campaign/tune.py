"""The largest deadtime that keeps an outage under a target in measured trials, and what it costs under load.

keepalive goes with deadtime, a fifth of it: five heartbeats in a row must be lost or late before a node counts as dead.
The search starts where the prediction's upper end meets the target. Each step measures the same trials, struck at the
same phases of the heartbeat, and the longest outage counts. `next_deadtime` is the search itself, and pure.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from labkit import faults, history
from labkit.campaign.grid import timing_of
from labkit.campaign.load import Load
from labkit.campaign.pairs import Pairs
from labkit.errors import BadInput, LabkitError
from labkit.faults import Fault
from labkit.heartbeat.times import show_ms
from labkit.history import Event
from labkit.judging import judge
from labkit.measure import false_failovers
from labkit.plot import duration
from labkit.progress import Progress
from labkit.runner import STAY_MARGIN_S, Scenario
from labkit.spec import Spec
from labkit.store import RunFolder

TUNE = "tune.json"
RATIO = 5
STEP_MS = 50.0
LEAST_MS = 250.0  # of a deadtime; shorter ones broke down on machines that were merely busy
AIM = 0.75  # of what is left below the target is taken in one step up: measured outages scatter
CLOSE = 0.03  # of the target: nearer to it is not searched


@dataclass(frozen=True)
class Tried:
    """A deadtime and the longest outage with it, in ms; None where one did not end or was not measured.

    error: why the trials could not all be run, as where a pair does not come to rest with such a deadtime.
    """

    deadtime_ms: float
    longest_ms: float | None
    run: str = ""
    error: str | None = None

    def holds(self, target_ms: float) -> bool:
        return self.longest_ms is not None and self.longest_ms <= target_ms


def with_deadtime(spec: Spec, deadtime_ms: float) -> Spec:
    return spec.with_options(keepalive=f"{deadtime_ms / RATIO:g}ms", deadtime=f"{deadtime_ms:g}ms")


def best(tried: Sequence[Tried], target_ms: float) -> Tried | None:
    """The largest deadtime that holds, and below which none was found that does not. None if there is none."""
    broken_ms = min((one.deadtime_ms for one in tried if not one.holds(target_ms)), default=math.inf)
    holding = [one for one in tried if one.holds(target_ms) and one.deadtime_ms < broken_ms]
    return max(holding, key=lambda one: one.deadtime_ms, default=None)


def next_deadtime(tried: Sequence[Tried], target_ms: float) -> float | None:
    """What to try next, in ms, after at least one try; None if nothing better is in sight.

    An outage grows as its deadtime does, so what is missing to the target, or too much, is added or taken away.
    """
    found = best(tried, target_ms)
    broken = min((one for one in tried if not one.holds(target_ms)), key=lambda one: one.deadtime_ms, default=None)
    if found is None:
        assert broken is not None
        too_much_ms = broken.deadtime_ms / 2 if broken.longest_ms is None else broken.longest_ms - target_ms
        lower_ms = max(_step_down(min(broken.deadtime_ms - too_much_ms, broken.deadtime_ms - STEP_MS)), LEAST_MS)
        return lower_ms if lower_ms < broken.deadtime_ms else None
    assert found.longest_ms is not None
    left_ms = target_ms - found.longest_ms
    higher_ms = _step_down(found.deadtime_ms + AIM * left_ms)
    if broken is not None and higher_ms >= broken.deadtime_ms:
        higher_ms = _step_down((found.deadtime_ms + broken.deadtime_ms) / 2)
    if higher_ms <= found.deadtime_ms or higher_ms - found.deadtime_ms < CLOSE * target_ms:
        return None
    return higher_ms


def first_deadtime(target_ms: float, predicted: Callable[[float], float | None]) -> float:
    """The largest deadtime whose predicted longest outage keeps the target, or the smallest that is tried.

    predicted: from deadtime to that outage, in ms. Half the target where nothing is predicted.
    """
    if predicted(LEAST_MS) is None:
        return max(_step_down(target_ms / 2), LEAST_MS)
    steps = range(int(LEAST_MS / STEP_MS), max(int(target_ms / STEP_MS), int(LEAST_MS / STEP_MS)) + 1)
    fitting = [step * STEP_MS for step in steps if (predicted(step * STEP_MS) or math.inf) <= target_ms]
    return max(fitting, default=LEAST_MS)


@dataclass(frozen=True)
class Search:
    """What is sought. most_steps: so many deadtimes are tried at most. watch_s: to look for false failovers, at
    least."""

    target_ms: float
    most_steps: int
    watch_s: float


def tune(
    pairs: Pairs, spec: Spec, scenario: Scenario, search: Search, root: RunFolder, progress: Progress
) -> dict[str, Any]:
    """What `labkit tune --json` answers. Each try is a run folder inside root, and so is the watch under load."""
    target_ms = search.target_ms
    tried: list[Tried] = []
    deadtime_ms: float | None = first_deadtime(
        target_ms, lambda ms: _predicted(scenario.fault, with_deadtime(spec, ms))
    )
    summaries: dict[float, dict[str, Any]] = {}
    while deadtime_ms is not None and len(tried) < search.most_steps:
        progress.step(f"deadtime {show_ms(deadtime_ms)}, {scenario.trials} trials of {scenario.fault.name}")
        folder, error = _run(pairs, with_deadtime(spec, deadtime_ms), scenario, root, progress)
        longest_ms = None
        if error is None:
            summaries[deadtime_ms] = outage = (folder.result() or judge(folder))["summary"]["outage_ms"]
            longest_ms = None if outage["missed"] else outage["max"]
        tried.append(Tried(deadtime_ms, longest_ms, str(folder.path), error))
        progress.step(f"  longest outage {duration(longest_ms)}, target {duration(target_ms)}")
        deadtime_ms = next_deadtime(tried, target_ms)
    found = best(tried, target_ms)
    answer: dict[str, Any] = {
        "tune": str(root.path),
        "fault": scenario.fault.name,
        "target_ms": target_ms,
        "timing": None,
        "outage_ms": None,
        "predicted": None,
        "false_failovers": None,
        "tried": [asdict(one) for one in tried],
    }
    if found is not None:
        chosen = with_deadtime(spec, found.deadtime_ms)
        band = faults.expect(scenario.fault, chosen).outage_ms
        answer |= {
            "timing": timing_of(chosen),
            "outage_ms": summaries[found.deadtime_ms],
            "predicted": {"outage_ms": band and list(band)},
            "false_failovers": _under_load(pairs, chosen, scenario, search.watch_s, root, progress),
        }
    answer["sentences"] = sentences(answer)
    root.write_json(TUNE, answer)
    return answer


def sentences(answer: dict[str, Any]) -> list[str]:
    """The answer in words: what to set, or why nothing will do; and what that costs under load."""
    fault, target = answer["fault"], duration(answer["target_ms"])
    if answer["timing"] is None:
        last = min(answer["tried"], key=lambda one: float(one["deadtime_ms"]))
        unmeasured = "did not end" if last["error"] is None else "could not be measured"
        reached = unmeasured if last["longest_ms"] is None else f"was {duration(last['longest_ms'])}"
        return [
            f"The outage of {fault} could not be kept under {target}: with a deadtime of"
            f" {show_ms(last['deadtime_ms'])}, the smallest that was tried, the longest one {reached}."
        ]
    timing, outage, band = answer["timing"], answer["outage_ms"], answer["predicted"]["outage_ms"]
    predicted = f" (predicted: up to {duration(band[1])})" if band else ""
    setting = (
        f"A deadtime of {show_ms(timing['deadtime_ms'])} with a keepalive of {show_ms(timing['keepalive_ms'])} kept the"
        f" outage of {fault} under {target}: the longest of {outage['n']} was {duration(outage['max'])}{predicted}."
    )
    rate = answer["false_failovers"]
    if rate["per_hour"] is None:
        return [setting, "How it behaves under load was not measured."]
    seen = f"{rate['seen']} false failovers were" if rate["seen"] != 1 else "1 false failover was"
    return [
        setting,
        f"Under load {seen} seen in {rate['watched_s']:.0f} s, so at 95 % there are at most"
        f" {rate['per_hour_at_most']:.0f} an hour.",
    ]


def _under_load(
    pairs: Pairs, spec: Spec, scenario: Scenario, watch_s: float, root: RunFolder, progress: Progress
) -> dict[str, Any]:
    trials = math.ceil(watch_s / (spec.timing.deadtime_ms / 1000 + STAY_MARGIN_S))
    progress.step(f"watching for false failovers under load, {trials} trials")
    folder, error = _run(pairs, spec, replace(scenario, fault=Load(), trials=trials), root, progress)
    events = history.read(folder.history) if folder.history.is_file() else []
    return {**false_failovers(events), "run": str(folder.path), "error": error}


def _run(
    pairs: Pairs, spec: Spec, scenario: Scenario, root: RunFolder, progress: Progress
) -> tuple[RunFolder, str | None]:
    """The run's folder, and why it did not get to its end."""
    folder = RunFolder.create(root.path, f"{spec.timing.deadtime}-{scenario.fault.name}")

    def watch(event: Event) -> None:
        if event["event"] == "trial-end":
            progress.detail(f"trial {event['trial']} of {scenario.trials} is done")

    try:
        pairs.run(spec, scenario, folder, watch)
        return folder, None
    except LabkitError as error:
        progress.step(f"  {str(error).splitlines()[0]}")
        return folder, str(error)
    finally:
        with suppress(LabkitError):  # a run that did not begin has no history
            judge(folder)


def _step_down(ms: float) -> float:
    return ms // STEP_MS * STEP_MS


def _predicted(fault: Fault, spec: Spec) -> float | None:
    band = faults.expect(fault, spec).outage_ms
    return None if band is None else band[1]


def require_dependence(spec: Spec, fault: Fault) -> None:
    """Raises BadInput where the prediction says that the deadtime does not matter."""
    short, long = (_predicted(fault, with_deadtime(spec, ms)) for ms in (LEAST_MS, 8 * LEAST_MS))
    if short is not None and short == long:
        raise BadInput(
            f"the outage of {fault.name} does not depend on the deadtime: up to {duration(short)} is predicted with any"
            " one; use a fault like node-kill"
        )
