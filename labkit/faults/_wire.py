"""What the faults of the network share: packets that never arrive, and an end of that.

Packets are dropped where they arrive, as a network loses them. Dropped on their way out they would be no secret: the
kernel tells the sender `Operation not permitted`, and Heartbeat logs two errors for each. A rule carries its fault's
name, so that healing one fault leaves another's rules alone.
"""

from collections.abc import Iterable

from labkit.cluster import Bracket, Lab, damage

LOAD = 'printf "%s\\n" "$@" | iptables-restore --noflush'


def ignore(lab: Lab, node: str, fault: str, matches: Iterable[str]) -> Bracket:
    """Has a node drop what arrives and matches, by all rules from one instant on. matches: as iptables takes them."""
    comment = f"-m comment --comment {damage.MARK}{fault}"
    rules = [f"-A INPUT {match} {comment} -j DROP" for match in matches]
    return lab.act(node, "sh", "-c", LOAD, "load", "*filter", *rules, "COMMIT")


def heartbeats(lab: Lab) -> str:
    """What matches heartbeats, however they are sent: broadcast, multicast and unicast."""
    return f"-p udp --dport {lab.spec.timing.udpport}"


def heed(lab: Lab, fault: str) -> Bracket:
    """Takes the fault's rules away on both nodes, if there are any."""
    brackets = []
    for node in lab.nodes:
        lab.start(node)
        brackets.append(lab.act(node, "sh", "-c", damage.UNFILTER, "unfilter", f"{damage.MARK}{fault}"))
    return Bracket(brackets[0].before_ns, brackets[-1].after_ns)
