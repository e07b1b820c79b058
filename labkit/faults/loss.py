"""A share of the packets with heartbeats is lost on the way, in both directions.

Nothing happens, and that is what this fault is for: a false failover takes a deadtime without one heartbeat. Each goes
out three times (broadcast, multicast, unicast), so a heartbeat is lost with the third power of the share, and a peer is
taken for dead when deadtime // keepalive of them are lost in a row. `false_failovers_per_hour` puts that together. Seen
at 200 ms / 1 s: none in 45 s each at a share of 0.5 and 0.7 (at most 1 and 112 an hour are due), one after 6 s at 0.8
(618 an hour). The log shows `lost packet(s)`, which are asked for again, and now and then `Late heartbeat`.

How it is seeded: the kernel's own random drops cannot be. The packets to lose, so many of each CYCLE, are drawn here
from the run's seed and told to the packet filter one by one, by their numbers. The kernel counts from the rule's first
packet, so that the same seed loses the same packets; which heartbeats these belong to still depends on the nodes'
timing. The share is exact over each cycle, not just on average.
"""

from collections.abc import Iterable

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, Parameter, _wire
from labkit.spec import Spec

name = "loss"
describe = "a share of the packets with heartbeats is lost on the way between the nodes, at random but seeded"
describe_es = "parte de los paquetes con latidos se pierde entre los nodos, al azar pero con semilla"
PARAMETERS = {"share": Parameter(0.2, 0.0, 1.0, "of the packets")}
SHARE = PARAMETERS["share"].default

CYCLE = 100  # packets after which the same ones are lost again
MEDIA = 3  # on which ha.cf sends each heartbeat


def expect(spec: Spec, *, share: float = SHARE) -> Expectation:
    rate = false_failovers_per_hour(spec.timing.keepalive_ms, spec.timing.deadtime_ms, share)
    return Expectation(
        moves=False,
        outage_ms=(0.0, 0.0),
        both_alive=True,
        why=f"it takes a whole deadtime without a heartbeat, each of which is sent {MEDIA} times: {rate:.1g} false"
        " failovers an hour are due",
    )


def false_failovers_per_hour(keepalive_ms: float, deadtime_ms: float, share: float) -> float:
    """How often, at most, either node takes the other for dead though both are well, if losses are independent.

    The death rule: nothing heard for more than deadtime, and deadtime // keepalive heartbeats in a row can do that.
    """
    lost = share**MEDIA
    in_a_row = int(deadtime_ms // keepalive_ms)
    return 2 * (1 - lost) * lost**in_a_row * 3_600_000 / keepalive_ms


def pattern(lost: Iterable[int], cycle: int) -> list[str]:
    """Matches that together pick exactly these packets of each cycle, counted from 0.

    A packet that one rule drops is not seen, and so not counted, by the rules after it.
    """
    return [
        f"-m statistic --mode nth --every {cycle - before} --packet {packet - before}"
        for before, packet in enumerate(sorted(lost))
    ]


def inject(lab: Lab, node: str, *, share: float = SHARE) -> Bracket:
    brackets = []
    for there in (lab.spec.peer_of(node), node):
        lost = lab.random.sample(range(CYCLE), round(share * CYCLE))
        matches = [f"{_wire.heartbeats(lab)} {one}" for one in pattern(lost, CYCLE)]
        brackets.append(_wire.ignore(lab, there, name, matches))
    return Bracket(brackets[0].before_ns, brackets[-1].after_ns)


def heal(lab: Lab, node: str) -> Bracket:
    return _wire.heed(lab, name)
