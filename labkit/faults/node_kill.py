"""A power cut of one node: its container is killed.

Predicted outage, from Heartbeat's death rule: the peer's last heartbeat is up to keepalive old when the node dies, and
the peer is declared dead when nothing was heard for deadtime, which is looked at every 250 ms. So it is declared dead
between deadtime - keepalive and deadtime + 250 ms after the fault; then the survivor starts the VIP.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation
from labkit.heartbeat import commands
from labkit.spec import Spec

name = "node-kill"
describe = "the active node loses its power: its container is killed"
describe_es = "el nodo activo se queda sin corriente: su contenedor muere"

TAKEOVER_MS = 600.0  # 250 to 500 ms were seen on a quiet machine


def expect(spec: Spec) -> Expectation:
    if spec.profile != "corrected":
        return Expectation(moves=True, why="the peer has the VIP already, and keeps it")
    timing = spec.timing
    earliest = timing.deadtime_ms - timing.keepalive_ms
    latest = timing.deadtime_ms + commands.DEATH_POLL_MS + TAKEOVER_MS
    return Expectation(
        moves=True, outage_ms=(earliest, latest), why="the peer hears nothing for deadtime and takes over"
    )


def inject(lab: Lab, node: str) -> Bracket:
    return lab.kill(node)


def heal(lab: Lab, node: str) -> Bracket:
    return lab.start(node)
