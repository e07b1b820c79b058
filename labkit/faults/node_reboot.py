"""The active node loses its power and gets it back by itself: its container is killed, and started again later.

Later, because a container is back much sooner than a machine. Started at once it speaks again within a second: its peer
logs `Heartbeat restart on node`, does not take over even at 200 ms / 1 s, and the node takes its own resources
again: 2.1, 2.2 and 2.6 s of outage without any failover. So here the power stays away for 2 s beyond deadtime, in
which the peer takes over. A machine takes longer still, and to clients it makes no difference.

1. As with node-kill: the peer declares the node dead between deadtime - keepalive and deadtime + 250 ms after the
   fault, and starts the VIP. That is the predicted outage.
2. The node boots and joins, and with auto_failback the peer gives the VIP back, whether anybody heals or not: the
   outage of a move in good order, 1 to 3 s for apache2's init script and the start of the VIP (see failback).
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, Parameter, node_kill
from labkit.spec import Spec
from labkit.timing import MS, SECOND, now_ns, pause_until

name = "node-reboot"
describe = "the active node loses its power and boots again after deadtime: failover, and failback by itself"
describe_es = "el nodo activo se queda sin corriente y arranca de nuevo tras deadtime: failover, y failback por sí solo"

PARAMETERS = {
    "beyond_s": Parameter(2.0, 0.0, 600.0, "that the power stays away beyond deadtime; 2 is enough for a takeover")
}
BEYOND_S = PARAMETERS["beyond_s"].default


def expect(spec: Spec, *, beyond_s: float = BEYOND_S) -> Expectation:
    if spec.profile != "corrected":
        why = "both nodes have the VIP and nobody announces it: clients wait for the node they know, and it comes back"
        return Expectation(moves=False, why=why)
    why = "the node is away for longer than deadtime, so the peer takes over; when it is back it gets its resources"
    return Expectation(moves=True, outage_ms=node_kill.expect(spec).outage_ms, why=why)


def inject(lab: Lab, node: str, *, beyond_s: float = BEYOND_S) -> Bracket:
    """The bracket is around the loss of power: what follows happens by itself."""
    bracket = lab.kill(node)
    pause_until(now_ns() + int(lab.spec.timing.deadtime_ms * MS + beyond_s * SECOND))
    lab.start(node)
    return bracket


def heal(lab: Lab, node: str) -> Bracket:
    """The node may be up long since."""
    return lab.start(node)
