"""The active node gets next to no CPU: a false failover, for the node is neither dead nor cut off.

The engine allows its container a hundredth of a CPU, and busy loops on it want all of that. Heartbeat, apache2 and the
monitor get a slice of 1 ms now and then; the kernel's share of the work, ARP and opening connections, is not limited.

1. Pages come too late or not at all: the outage begins at once.
2. The peer takes the node for dead when no heartbeat came for deadtime, and starts the VIP. It need not be soon: each
   heartbeat that the node does bring out starts the time anew. Seen: declared dead after 1.0 to 1.9 s at 200 ms / 1 s
   in 6 trials; at 2 s / 5 s after 4.2 to 4.9 s in 3 trials of 4, and after 14.9 s in one. A long deadtime does not
   help against it, it only makes it rarer: with 4 loops in place of 16 it took 4 to 18 s at 2 s / 5 s.
   Therefore no band is predicted.
3. The node has the VIP all the time and answers ARP for it: two owners. When it can breathe again, or even before, the
   nodes hear each other, and the one that logs `returning after partition` restarts itself. Mostly that is the peer.
   The node keeps the VIP then without saying so, and the clients are without service for 23 to 52 s (see _split).
   Sometimes it is the node, which was too slow to hear its peer, and took it for dead as well: then the peer goes on.
   The monitor could do no better: it starves as well.
"""

from labkit.cluster import Bracket, Lab, damage
from labkit.faults import Expectation, Parameter
from labkit.spec import Spec

name = "cpu-starve"
describe = "the active node gets next to no CPU, and busy loops on it want all of that"
describe_es = "el nodo activo recibe casi nada de CPU, y unos bucles la quieren toda"
PARAMETERS = {
    "cpus": Parameter(0.01, 0.01, 64.0, "that the node gets; a hundredth is the least that the engine allows"),
    "loops": Parameter(16, 0, 1000, "busy loops: the more, the more seldom Heartbeat's turn comes"),
}
CPUS, LOOPS = (parameter.default for parameter in PARAMETERS.values())


def expect(spec: Spec, *, cpus: float = CPUS, loops: float = LOOPS) -> Expectation:
    if spec.profile != "corrected":
        why = "both nodes have the VIP, so nobody announces it; the starved node's kernel keeps the clients it had"
        return Expectation(moves=False, both_alive=True, takes_cpu=True, why=why)
    why = "the node is too slow to say in time that it lives: a false failover, and two owners, for it keeps the VIP"
    return Expectation(moves=True, dual_owner=True, both_alive=True, takes_cpu=True, why=why)


def inject(lab: Lab, node: str, *, cpus: float = CPUS, loops: float = LOOPS) -> Bracket:
    lab.act(node, "sh", "-c", damage.BUSY, "busy", f"{loops:.0f}")
    return lab.limit_cpus(node, cpus)


def heal(lab: Lab, node: str) -> Bracket:
    bracket = lab.limit_cpus(node, lab.spec.limits.cpus)  # first: the engine, too, has to wait for a starved node
    lab.start(node)
    lab.stamped(node, "sh", "-c", damage.CALM)
    return bracket
