"""Heartbeat stopped in good order: it says good-bye, so nobody has to wait for deadtime.

Predicted outage: apache2's stop and the scripts on both nodes (see `_switch`); the peer begins when it is told that all
was given up.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _switch
from labkit.heartbeat import commands
from labkit.spec import Spec

name = "heartbeat-stop"
describe = "Heartbeat stopped by its init script on the active node: a graceful move"
describe_es = "Heartbeat se detiene con su script de inicio en el nodo activo: un traspaso ordenado"


def expect(spec: Spec) -> Expectation:
    return _switch.expect(spec, "the leaving node gives its resources up before it goes")


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(node, commands.HEARTBEAT_INIT, "stop")


def heal(lab: Lab, node: str) -> Bracket:
    lab.start(node)
    return lab.act(node, commands.HEARTBEAT_INIT, "start")
