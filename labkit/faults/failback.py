"""The preferred node comes back after an absence. Does the service follow it?

Injecting first makes the preferred node leave in good order: Heartbeat is stopped there and takes apache2 with it,
which is started again, as a booting node does. When the peer has all resources and takes the other for dead, the
preparation is over; the bracket is around the fault proper, the start of Heartbeat on the preferred node.

With auto_failback on, the peer waits until the node that came back is stable (0.3 to 1.8 s at keepalive 200 ms, 3.6 s
at 2 s), then goes standby for the resources that are foreign to it: the same move as by hb_standby, with apache2's stop
in it. So a return costs an outage although nothing is broken. With auto_failback off, the preferred node joins without
resources, and the client sees nothing.

Predicted outage: that of a move in good order (see `_switch`) with auto_failback, none without.
"""

from labkit.cluster import Bracket, Lab
from labkit.cluster.lab import CALM_S
from labkit.faults import Expectation, _switch
from labkit.heartbeat import commands
from labkit.spec import Spec

name = "failback"
describe = "the preferred node returns after an absence; the service follows it if auto_failback is on"
describe_es = "el nodo preferido vuelve tras una ausencia; el servicio lo sigue si auto_failback está en on"


def expect(spec: Spec) -> Expectation:
    if spec.timing.auto_failback:
        return _switch.expect(spec, "auto_failback is on: the peer gives back what belongs to the preferred node")
    why = "auto_failback is off: the preferred node joins without resources"
    return Expectation(moves=False, outage_ms=(0.0, 0.0), why=why)


def inject(lab: Lab, node: str) -> Bracket:
    preferred = lab.spec.preferred
    peer = lab.spec.peer_of(preferred)
    lab.act(preferred, commands.HEARTBEAT_INIT, "stop")
    if lab.spec.service.is_apache:
        lab.act(preferred, commands.APACHE_INIT, "start")
    lab.await_nodes(
        lambda now: now[peer].vip and now[peer].resources == "all" and now[peer].peer == "dead",
        f"{peer} has all resources and takes {preferred} for dead",
        CALM_S + lab.spec.timing.deadtime_ms / 1000,
    )
    lab.await_page(lab.vip, f"{peer} serves")
    return lab.act(preferred, commands.HEARTBEAT_INIT, "start")


def heal(lab: Lab, node: str) -> Bracket:
    lab.start(lab.spec.preferred)
    return lab.act(lab.spec.preferred, commands.HEARTBEAT_INIT, "start")
