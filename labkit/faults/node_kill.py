"""A power cut of one node: its container is killed.

Predicted outage, from Heartbeat's death rule: the peer's last heartbeat is up to keepalive old when the node dies, and
the peer is declared dead when nothing was heard for deadtime, which is looked at every 250 ms. So it is declared dead
between deadtime - keepalive and deadtime + 250 ms after the fault; then the survivor starts the VIP.
"""

from labkit.cluster import Bracket, Lab
from labkit.heartbeat import commands
from labkit.spec import Spec

name = "node-kill"
describe = "the active node loses its power: its container is killed"

TAKEOVER_MS = 600.0


def expects_move(spec: Spec) -> bool:
    return spec.profile == "corrected"


def predict(spec: Spec) -> tuple[float, float] | None:
    if spec.profile != "corrected":
        return None
    timing = spec.timing
    earliest = timing.deadtime_ms - timing.keepalive_ms
    return earliest, timing.deadtime_ms + commands.DEATH_POLL_MS + TAKEOVER_MS


def inject(lab: Lab, node: str) -> Bracket:
    return lab.kill(node)


def heal(lab: Lab, node: str) -> Bracket:
    return lab.start(node)
