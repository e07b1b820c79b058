"""A planned switch, asked for on the node that is to become active: hb_takeover.

It is the peer that asks the active node to go standby; from then on the log is that of `standby`, line for line.

Predicted outage: apache2's stop and the scripts on both nodes (see `_switch`). Neither keepalive nor deadtime is in it.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _switch
from labkit.heartbeat import commands
from labkit.spec import Spec

name = "takeover"
describe = "the peer is told to take everything (hb_takeover): a planned switch"
describe_es = "al par se le ordena tomarlo todo (hb_takeover): un cambio planeado"


def expect(spec: Spec) -> Expectation:
    return _switch.expect(spec, "the peer asks, the active node gives everything up, then the peer takes it")


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(lab.spec.peer_of(node), commands.HB_TAKEOVER)


def heal(lab: Lab, node: str) -> Bracket:
    return _switch.over(lab)
