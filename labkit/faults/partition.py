"""The heartbeats of both nodes are lost, while everything else gets through: split brain.

1. Each node declares the other dead by the death rule, deadtime - keepalive to deadtime + 250 ms after the fault. The
   active node has all resources and starts nothing; its peer starts the VIP, too.
2. The peer's gratuitous ARP takes the clients over. Both serve, so that only connections on their way are reset. Two
   owners from now on: a client that has to ask for the VIP anew gets two answers, and takes one of them.

Predicted outage: none but that change. What hurts comes when the network heals, and is the failback outage of the
trial:

3. Each logs `returning after partition` at the next heartbeat and restarts itself 2 s later: it gives all its resources
   up, the peer being none the wiser, ends 2 s after that, and sleeps for deadtime + 1 s before it starts again. From
   the second one's giving up nobody has the VIP.
4. If the first one back still hears the other's last heartbeats, or hears it start within initdead, both wait for the
   10 s of a fresh pair (commands.REQUEST_DELAY_MS): nobody serves for 16 s at 200 ms / 1 s and 22 s at 2 s / 5 s. If
   it hears nothing for initdead, it takes all at once: 6 to 9 s at 200 ms / 1 s, whose initdead is 1 s.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _split, _wire
from labkit.spec import Spec

name = "partition"
describe = "the nodes no longer hear each other's heartbeats, while both still serve: split brain"
describe_es = "los nodos ya no oyen los latidos del otro, y ambos siguen sirviendo: cerebro dividido"


def expect(spec: Spec) -> Expectation:
    why = (
        "each node takes the other for dead, so both own the VIP; when they hear each other again, both restart and for"
        " a while nobody serves"
    )
    return _split.still_served(spec, why)


def inject(lab: Lab, node: str) -> Bracket:
    """The peer goes deaf first, then the node: the bracket is around both."""
    first, second = (_wire.ignore(lab, deaf, name, [_wire.heartbeats(lab)]) for deaf in (lab.spec.peer_of(node), node))
    return Bracket(first.before_ns, second.after_ns)


def heal(lab: Lab, node: str) -> Bracket:
    return _wire.heed(lab, name)
