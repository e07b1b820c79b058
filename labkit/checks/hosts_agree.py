"""The hosts that share a run measure the same, so that their trials may be pooled."""

from collections.abc import Sequence

from labkit.checks import Finding
from labkit.history import Event, header
from labkit.measure import TrialMeasures, hosts

name = "hosts-agree"
describe = "Where several hosts share the trials, no host's outages are longer or shorter than those of the others."


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding | None:
    found = hosts(header(events), trials)
    if not found:
        return None
    apart = [
        f"{one.worker} is {one.finding} than the others, by {abs(one.difference_ms.median or 0.0):.0f} ms"
        for one in found
        if one.finding in ("slower", "faster")
    ]
    if apart:
        return Finding("unknown", f"{'; '.join(apart)}: the pooled figures are of no one host")
    few = [f"{one.worker} ({one.outage_ms.n})" for one in found if one.finding == "unknown"]
    if few:
        return Finding("unknown", f"too few outages to compare the hosts: {', '.join(few)}")
    return Finding("pass", f"the outages of {', '.join(one.worker for one in found)} are no different")
