"""The active node's heartbeats are lost on the way, while it hears its peer's: half a partition.

1. The peer declares the active node dead by the death rule, deadtime - keepalive to deadtime + 250 ms after the fault,
   and starts the VIP.
2. The active node hears the peer say that it holds all, logs `Both machines own our resources!`, and does nothing: only
   a node that takes its peer for dead acts. Two owners; the clients follow the peer's gratuitous ARP.

Predicted outage: none but that change, as with the whole partition. What hurts comes with healing, and is the failback
outage of the trial. The active node never missed anybody, so that the peer alone logs `returning after partition`,
restarts itself 2 s later and gives the VIP up. Its clients are refused for about 1.1 s, the `sleep 1` of apache2's init
script, and then get no answer at all: the VIP has one owner again, but that one had it all along, starts nothing, and
so sends no gratuitous ARP. Clients go on asking the peer, until their kernel no longer trusts its ARP entry, looks
again, and finds the owner: after 26 s in one lab and 32 s in another. Linux draws 15 to 45 s, and asks in vain for some
8 s more.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _split, _wire
from labkit.spec import Spec

name = "partition-oneway"
describe = "the active node's heartbeats no longer reach its peer, while it still hears the peer's"
describe_es = "los latidos del nodo activo ya no llegan a su par, mientras él sí oye los de su par"


def expect(spec: Spec) -> Expectation:
    why = "the peer hears nothing and takes over, while the active node hears its peer well and keeps what it has"
    return _split.still_served(spec, why)


def inject(lab: Lab, node: str) -> Bracket:
    return _wire.ignore(lab, lab.spec.peer_of(node), name, [_wire.heartbeats(lab)])


def heal(lab: Lab, node: str) -> Bracket:
    return _wire.heed(lab, name)
