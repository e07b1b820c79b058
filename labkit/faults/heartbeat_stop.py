"""Heartbeat stopped in good order: it says good-bye, so nobody has to wait for deadtime.

Predicted outage: the stopping node first stops apache2, whose init script sleeps for one second, then takes the VIP
away; the peer begins when it is told that this is done.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation
from labkit.heartbeat import commands
from labkit.spec import Spec

name = "heartbeat-stop"
describe = "Heartbeat stopped by its init script on the active node: a graceful move"

APACHE_STOP_MS = 1000.0
MOVE_MS = 1800.0


def expect(spec: Spec) -> Expectation:
    if spec.profile != "corrected":
        return Expectation(moves=True, dual_owner=None, why="the peer has the VIP already, and keeps it")
    band = (APACHE_STOP_MS, APACHE_STOP_MS + MOVE_MS)
    return Expectation(moves=True, outage_ms=band, why="the leaving node gives its resources up before it goes")


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(node, commands.HEARTBEAT_INIT, "stop")


def heal(lab: Lab, node: str) -> Bracket:
    return lab.act(node, commands.HEARTBEAT_INIT, "start")
