"""How many pairs a machine bears: `--parallel auto` brings one up, looks at it while it is probed, and decides."""

from dataclasses import dataclass

from labkit.campaign.turns import MEASURED_PER_CPU
from labkit.cluster import Lab
from labkit.history import Event, of_kind
from labkit.measure.pressure import BUSY_MOST, ON_TIME_LEAST
from labkit.measure.trial import ON_TIME_US
from labkit.probe import Agent, Settings
from labkit.timing import SECOND

LOOK_S = 5.0
ROOM = 0.7  # share of all CPUs that pairs at rest may take; the rest is for those that fail over, and boot
MEMORY_ROOM = 0.8  # share of the memory that is free
# A pair measures for about a third of its time. In the rest it mends, and waits until its daemons are old enough.
PAIRS_A_PLACE = 3
MOST = 32  # the most that `--parallel` takes


@dataclass(frozen=True)
class Look:
    """What was seen of a machine on which one pair is probed. CPU in CPUs, memory in MiB, on_time as a share."""

    cpus: int
    others_cpus: float
    pair_cpus: float
    pair_mib: float
    free_mib: float
    on_time: float

    def __str__(self) -> str:
        return (
            f"a pair takes {self.pair_cpus:.0%} of a CPU and {self.pair_mib:.0f} MiB, everything else"
            f" {self.others_cpus:.1f} of {self.cpus} CPUs, {self.free_mib:.0f} MiB are free, and {self.on_time:.1%} of"
            " the requests were on time"
        )


@dataclass(frozen=True)
class Admission:
    """So many pairs, and what keeps it from being more."""

    pairs: int
    why: str


def admit(look: Look, trials: int) -> Admission:
    """How many pairs may share the trials so that they measure what one alone would. Pure; never fewer than one."""
    if look.on_time < ON_TIME_LEAST:
        return Admission(1, "even one pair's probe cannot keep its schedule")
    if look.others_cpus + look.pair_cpus > BUSY_MOST * look.cpus:
        return Admission(1, "the machine is busy with something else")
    bounds = {
        "there are no more trials": trials,
        "more would only wait for their turn": PAIRS_A_PLACE * MEASURED_PER_CPU * look.cpus,
        "the CPUs have no room for more": int((ROOM * look.cpus - look.others_cpus) / max(look.pair_cpus, 0.01)),
        "the memory has no room for more": 1 + int(MEMORY_ROOM * look.free_mib / max(look.pair_mib, 1.0)),
        "there is no need to run more": MOST,
    }
    why = min(bounds, key=lambda name: bounds[name])
    return Admission(max(1, bounds[why]), why)


def look_at(lab: Lab) -> Look:
    """Probes a lab that is up for some seconds. Everything is seen from inside it, because its engine may be far away.

    Raises Unsettled if the agent says nothing.
    """
    events: list[Event] = []
    agent = Agent(lab, Settings(), events.extend)
    try:
        begun_ns = agent.now_ns() + SECOND  # its start is not the probe's cost
        agent.wait(lambda seen: seen.latest_ns >= begun_ns, 30, "the probe is at work")
        before_ns, (used_ns, _) = agent.now_ns(), lab.usage()
        until_ns = before_ns + int(LOOK_S * SECOND)
        agent.wait(lambda seen: seen.latest_ns >= until_ns, 60, "the look at the machine is over")
        now_used_ns, pair_mib = lab.usage()
        took_ns = agent.now_ns() - before_ns
    finally:
        agent.close()
    cpu = [event for event in of_kind(events, "cpu") if event["t_ns"] >= before_ns]
    requests = [event for event in of_kind(events, "request") if event["t_ns"] >= before_ns]
    all_ms, idle_ms = (cpu[-1][name] - cpu[0][name] for name in ("all_ms", "idle_ms"))
    busy_cpus = (1 - idle_ms / max(all_ms, 1)) * lab.engine.facts.cpus
    pair_cpus = (now_used_ns - used_ns) / took_ns
    return Look(
        cpus=lab.engine.facts.cpus,
        others_cpus=max(0.0, busy_cpus - pair_cpus),
        pair_cpus=pair_cpus,
        pair_mib=pair_mib,
        free_mib=lab.free_mib(),
        on_time=sum(one["late_us"] <= ON_TIME_US for one in requests) / max(1, len(requests)),
    )
