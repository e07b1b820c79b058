"""Heartbeat stopped in good order: it says good-bye, so nobody has to wait for deadtime.

Predicted outage: the stopping node first stops apache2, whose init script sleeps for one second, then takes the VIP
away; the peer begins when it is told that this is done.
"""

from labkit.cluster import Bracket, Lab
from labkit.heartbeat import commands
from labkit.spec import Spec

name = "heartbeat-stop"
describe = "Heartbeat stopped by its init script on the active node: a graceful move"

APACHE_STOP_MS = 1000.0
MOVE_MS = 1800.0


def expects_move(spec: Spec) -> bool:
    return spec.profile == "corrected"


def predict(spec: Spec) -> tuple[float, float] | None:
    return (APACHE_STOP_MS, APACHE_STOP_MS + MOVE_MS) if spec.profile == "corrected" else None


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(node, commands.HEARTBEAT_INIT, "stop")


def heal(lab: Lab, node: str) -> Bracket:
    return lab.act(node, commands.HEARTBEAT_INIT, "start")
