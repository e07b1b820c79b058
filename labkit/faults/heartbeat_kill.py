"""Heartbeat is killed on the active node, and nothing else: no good-bye, and nobody who gives the resources up.

1. The VIP and apache2 stay. The peer declares the node dead by the death rule, deadtime - keepalive to deadtime +
   250 ms after the fault, and starts the VIP, too. Two owners from now on.
2. The peer's gratuitous ARP takes the clients over, from one serving node to another: the predicted outage is that
   change. Left alone it would stay so for ever, with a wrong answer for one client or the other.
3. Healing starts Heartbeat again. It joins as a node that was dead, so nobody speaks of a partition, and the peer gives
   the VIP back (auto_failback), 1 to 2 s for apache2's init script among it. IPaddr2 finds the VIP up and sends no
   gratuitous ARP: clients are without service for another 23 to 52 s (see _split). Two owners for 3 to 5 s after
   healing was begun at once.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _split
from labkit.heartbeat import commands
from labkit.spec import Spec

name = "heartbeat-kill"
describe = "every process of Heartbeat on the active node is killed; the VIP and apache2 stay up there"
describe_es = "se matan todos los procesos de Heartbeat del nodo activo; la IP virtual y apache2 siguen allí"


def expect(spec: Spec) -> Expectation:
    why = "the dead daemon cannot give the VIP up, and the peer cannot know that it is still there: two owners"
    return _split.still_served(spec, why)


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(node, "pkill", "-KILL", "-x", commands.HEARTBEAT_PROCESS)


def heal(lab: Lab, node: str) -> Bracket:
    lab.start(node)
    return lab.act(node, commands.HEARTBEAT_INIT, "start")
