"""Who had the VIP, by the answers to the ARP watcher's questions."""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

from labkit.history import Trial
from labkit.measure.service import NS_PER_MS


@dataclass(frozen=True)
class Holding:
    """One round of the watcher, from one question to the next, and the MAC addresses that answered in it."""

    start_ns: int
    end_ns: int
    macs: frozenset[str]


def holdings(trial: Trial) -> list[Holding]:
    """All rounds of a trial in order. A round lasts as long as it really did, which `arp_ms` only plans.

    Only replies count: a gratuitous ARP says that a node wants the VIP, not that it answers for it.
    """
    replies = sorted((event["t_ns"], event["mac"]) for event in trial.of("arp") if event["kind"] == "reply")
    asked = sorted(event["t_ns"] for event in trial.of("arp-probe"))
    first = [bisect_left(replies, (start_ns,)) for start_ns in asked]
    rounds = zip(pairwise(asked), pairwise(first), strict=True)
    return [Holding(start, end, frozenset(mac for _, mac in replies[i:j])) for (start, end), (i, j) in rounds]


def dual_owner_ms(trial: Trial) -> float | None:
    """How long two or more MAC addresses answered for the VIP, over the whole trial.

    None if the watcher did not run, or never heard any answer: then it would not have heard two either.
    """
    rounds = holdings(trial)
    if not any(holding.macs for holding in rounds):
        return None
    return sum(holding.end_ns - holding.start_ns for holding in rounds if len(holding.macs) > 1) / NS_PER_MS
