"""Which of several hosts ran what, and whether their outages are of one kind: asked before they are pooled.

A history that was put together from several hosts has `workers` in its header: for each its name, the numbers of its
trials, the engine's facts, and what else differs from the first one's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.history import Event
from labkit.measure.statistics import Difference, Shift, Summary, difference, summarize
from labkit.measure.trial import TrialMeasures

MOST_OTHERS = 500  # values of other hosts that one is compared with: the work grows with the product of both


@dataclass(frozen=True)
class Host:
    """One host's share of a run.

    difference_ms: how much longer its outages are than those of all other hosts, median and 95 % interval, which holds
    for all hosts together. finding: what that says of it. differs: facts in which it is unlike the first host.
    """

    worker: str
    trials: tuple[int, ...]
    outage_ms: Summary
    difference_ms: Difference
    finding: Shift
    differs: tuple[str, ...]


def hosts(run: Event, trials: Sequence[TrialMeasures]) -> list[Host]:
    """All hosts that share a run, in the header's order; none where one host ran it all."""
    workers = run.get("workers") or []
    if len(workers) < 2:
        return []
    outages_ms = {trial.number: trial.outage_ms for trial in trials}
    return [_host(worker, outages_ms, 1 if len(workers) == 2 else len(workers)) for worker in workers]


def _host(worker: Event, outages_ms: dict[int, float | None], questions: int) -> Host:
    own = set(worker["trials"])
    its = [ms for number, ms in outages_ms.items() if number in own]
    others = [ms for number, ms in outages_ms.items() if number not in own]
    shift = difference(others[:: len(others) // MOST_OTHERS + 1], its, questions)
    differs = tuple(worker.get("differs") or ())
    return Host(worker["worker"], tuple(sorted(own)), summarize(its), shift, shift.finding, differs)
