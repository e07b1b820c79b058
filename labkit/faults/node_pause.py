"""The active node is frozen as a whole, like a virtual machine that its host has no time for, and thaws when healed.

1. Its processes stand still, so that nobody serves; the peer hears nothing. The predicted outage is that of node-kill:
   the peer declares it dead between deadtime - keepalive and deadtime + 250 ms after the fault, and starts the VIP.
2. A frozen container is no frozen machine: its kernel is the host's, and goes on answering ARP and opening TCP
   connections that no process will ever serve. So requests time out where they are refused after node-kill, and there
   are two owners as soon as the peer has the VIP. A client that did not hear the gratuitous ARP stays there.
3. Thawed, both serve. The peer logs `returning after partition` and restarts itself 2 s later, and the VIP stays where
   it was frozen: in 5 trials of 5 the node did not restart. Two owners for 5 s in all; then the clients, who never
   heard that the VIP is back, are without service for 31 to 43 s (see _split).
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _split
from labkit.spec import Spec

name = "node-pause"
describe = "the active node is frozen as a whole, and thaws when healed"
describe_es = "el nodo activo se congela por completo, y se descongela al curarlo"


def expect(spec: Spec) -> Expectation:
    if spec.profile != "corrected":
        why = "both nodes have the VIP, so nobody announces it; the frozen node's kernel keeps the clients it had"
        return Expectation(moves=False, why=why)
    why = "the peer hears nothing for deadtime and takes over; when the node thaws it still has the VIP: two owners"
    return _split.out_of_service(spec, why)


def inject(lab: Lab, node: str) -> Bracket:
    return lab.freeze(node)


def heal(lab: Lab, node: str) -> Bracket:
    return lab.start(node)
