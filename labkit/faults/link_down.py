"""The active node's network interface goes down inside the node: it sees for itself that it has no link.

1. Nothing gets in or out. Both nodes declare each other dead by the death rule, deadtime - keepalive to deadtime +
   250 ms after the fault. The peer starts the VIP: the predicted outage is that of node-kill. The node keeps the VIP on
   an interface that nobody can reach. Heartbeat looks at heartbeats alone, not at links; that would be ipfail's job,
   and with one interface it could not tell anybody.
2. When the link is back, so are both addresses: two owners for 3.5 to 4.5 s. Both log `returning after partition` and
   restart themselves 2 s later, and nobody has the VIP for 7 or 17 s at 200 ms / 1 s, 23 s at 2 s / 5 s: see
   partition.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _split, node_kill
from labkit.spec import Spec

name = "link-down"
describe = "the active node's network interface goes down inside the node, and up again when healed"
describe_es = "la interfaz de red del nodo activo se apaga dentro del nodo, y se enciende al curarlo"


def expect(spec: Spec) -> Expectation:
    if spec.profile != "corrected":
        return node_kill.expect(spec)
    why = "nobody hears the node, so the peer takes over; the node keeps the VIP, and has it when its link is back"
    return _split.out_of_service(spec, why)


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(node, "ip", "link", "set", lab.spec.network.interface, "down")


def heal(lab: Lab, node: str) -> Bracket:
    lab.start(node)
    return lab.act(node, "ip", "link", "set", lab.spec.network.interface, "up")
