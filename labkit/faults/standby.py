"""A planned switch, asked for on the node that is active: hb_standby all.

The command only leaves word with the daemon and returns; the daemons agree on the move, and the peer does not begin
before it is told that all was given up: no time with two owners, and no wait for deadtime. Nothing comes back by
itself afterwards, whatever auto_failback says.

Predicted outage: apache2's stop and the scripts on both nodes (see `_switch`). Neither keepalive nor deadtime is in it.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _switch
from labkit.heartbeat import commands
from labkit.spec import Spec

name = "standby"
describe = "the active node is told to hand everything over (hb_standby): a planned switch"
describe_es = "al nodo activo se le ordena entregarlo todo (hb_standby): un cambio planeado"


def expect(spec: Spec) -> Expectation:
    return _switch.expect(spec, "the active node gives everything up, then the peer takes it")


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(node, commands.HB_STANDBY, "all")


def heal(lab: Lab, node: str) -> Bracket:
    return _switch.over(lab)
