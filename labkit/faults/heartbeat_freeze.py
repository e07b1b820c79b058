"""Heartbeat is stopped where it is on the active node (SIGSTOP), and goes on when healed (SIGCONT).

1. As with heartbeat-kill the VIP and apache2 stay, the peer takes the node for dead and starts the VIP, too, and the
   clients go over to it by its gratuitous ARP. The predicted outage is that change. Two owners.
2. Thawed, the daemon believes that no time has passed. In one turn it finds its own heartbeat late and its peer dead,
   takes over what it has already, and reads its peer's heartbeats: `Both machines own our resources!`. The peer logs
   `returning after partition` and restarts itself; the node itself did so in 3 of 6 trials (see _split). Two owners for
   4 to 5 s in all, then no service for 23 to 52 s if only the peer restarts, 6 to 16 s if both do.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _split
from labkit.heartbeat import commands
from labkit.spec import Spec

name = "heartbeat-freeze"
describe = "every process of Heartbeat on the active node is stopped (SIGSTOP), and goes on when healed (SIGCONT)"
describe_es = "todos los procesos de Heartbeat del nodo activo se detienen (SIGSTOP) y siguen al curarlo (SIGCONT)"


def expect(spec: Spec) -> Expectation:
    why = "for the peer a silent daemon is a dead node; it takes the VIP, and the silent one has it, too"
    return _split.still_served(spec, why)


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(node, "pkill", "-STOP", "-x", commands.HEARTBEAT_PROCESS)


def heal(lab: Lab, node: str) -> Bracket:
    lab.start(node)
    thawed, _ = lab.stamped(node, "pkill", "-CONT", "-x", commands.HEARTBEAT_PROCESS)  # fails where there is none
    return thawed
