"""What the client saw of the service over a stretch of time: who answered, and the longest time without an answer."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from labkit.history import Event

NS_PER_MS = 1_000_000


@dataclass(frozen=True)
class Service:
    """The service between two instants.

    `outage_ms` is the longest interval between the instants at which two consecutive good answers were in hand, if a
    failed request was due, or failed, in between; 0.0 if no such interval exists. None if it was not measured: the
    service was not there at the beginning, it did not come back before the end, or the probe fell silent.
    `last_good` and `first_good` are the requests on either side of an outage, None where there is none. `server_before`
    is who answered last before the beginning, `server_after` who answered last before the end, None if nobody did.
    """

    outage_ms: float | None
    last_good: Event | None
    first_good: Event | None
    server_before: str | None
    server_after: str | None


def in_hand_ns(request: Event) -> int:
    """The instant at which the outcome of a request was known."""
    return int(request["t_ns"] + request["took_us"] * 1000)


def observe(requests: Sequence[Event], start_ns: int, end_ns: int, silence_ms: float) -> Service:
    """What the client saw from `start_ns` (something is done to the service) to `end_ns`.

    The last good answer in hand before `start_ns` opens the window, whenever that was: it is one cadence earlier on a
    quiet machine, and more on a noisy one. Answers are taken in the order in which they were complete, not in which
    they were asked for. A request that fails counts at two instants, when it was due and when it failed, because a
    time-out is known only much later, and a reset strikes requests that were due earlier. A probe that says nothing at
    all for longer than `silence_ms` is not there any more: its time limit plus its cadence.
    """
    good = sorted((r for r in requests if r["outcome"] == "good" and in_hand_ns(r) <= end_ns), key=in_hand_ns)
    failed = [r for r in requests if r["outcome"] != "good"]
    ends_ns = [in_hand_ns(r) for r in good]
    opening = bisect_right(ends_ns, start_ns) - 1
    server_before = good[opening].get("server") if opening >= 0 else None
    last = len(good) - 1
    if opening < 0 or any(ends_ns[opening] < r["t_ns"] and in_hand_ns(r) <= start_ns for r in failed):
        return Service(None, None, None, None, good[last].get("server") if last > opening else None)

    # Interval i lies between answers i - 1 and i.
    hurt = {bisect_left(ends_ns, instant) for r in failed for instant in (r["t_ns"], in_hand_ns(r))}
    longest = max((i for i in hurt if opening < i <= last), key=lambda i: ends_ns[i] - ends_ns[i - 1], default=None)
    outage_ns = 0 if longest is None else ends_ns[longest] - ends_ns[longest - 1]
    open_ns = end_ns - ends_ns[last]
    unanswered = any(ends_ns[last] < r["t_ns"] < end_ns for r in failed)
    if last == opening or (open_ns > outage_ns and (unanswered or open_ns > silence_ms * NS_PER_MS)):
        return Service(None, good[last], None, server_before, None)
    return Service(
        outage_ns / NS_PER_MS,
        None if longest is None else good[longest - 1],
        None if longest is None else good[longest],
        server_before,
        good[last].get("server"),
    )


def failures_in(requests: Sequence[Event], service: Service) -> list[Event]:
    """The requests that failed in a service's outage: due in it, or known to have failed in it."""
    if service.last_good is None or service.first_good is None:
        return []
    start_ns, end_ns = in_hand_ns(service.last_good), in_hand_ns(service.first_good)
    failed = (r for r in requests if r["outcome"] != "good")
    return [r for r in failed if start_ns < r["t_ns"] < end_ns or start_ns < in_hand_ns(r) < end_ns]
