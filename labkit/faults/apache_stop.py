"""The guide's own scene, S13 to S15: the web server is stopped on the node in charge.

Heartbeat with haresources does not notice; the corrected profile's monitor does. Predicted outage: up to one cycle of
the monitor until it looks (it is woken when apache2 ends, and misses that if it is looking just then), then the
hand-over: the peer answers a standby request when it next polls, within about half a second, and starting the VIP takes
it a few tenths more.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation
from labkit.heartbeat import commands
from labkit.render import MONITOR_CYCLE_MS
from labkit.spec import Spec

name = "apache-stop"
describe = "apache2 stopped by its init script on the active node (the guide's S14), and S15 to return control"

HAND_OVER_MS = (300.0, 1700.0)


def expect(spec: Spec) -> Expectation:
    if spec.profile != "corrected":
        return Expectation(
            moves=False, dual_owner=None, why="nothing watches apache2, and both nodes have the VIP anyway"
        )
    band = (HAND_OVER_MS[0], MONITOR_CYCLE_MS + HAND_OVER_MS[1])
    return Expectation(moves=True, outage_ms=band, why="the monitor misses apache2 and hands over to the peer")


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(node, commands.APACHE_INIT, "stop")


def heal(lab: Lab, node: str) -> Bracket:
    """As the guide types it: apache2 started again, then Heartbeat restarted, whose script waits deadtime + 10 s."""
    started = lab.act(node, commands.APACHE_INIT, "start")
    restarted = lab.act(node, commands.HEARTBEAT_INIT, "restart")
    return Bracket(started.before_ns, restarted.after_ns)
