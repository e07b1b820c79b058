"""What a lab has to bear while it is watched for false failovers: busy loops beside Heartbeat, at its own priority.

On each node one loop for each CPU of the engine's host, as a service that computes would do it. The kernel shares the
CPUs out evenly, so Heartbeat, which needs little, still gets its turns, but later. Nothing is to happen. Not one of the
catalogue's faults: nothing is broken.
"""

from labkit.cluster import Bracket, Lab, damage
from labkit.faults import Expectation
from labkit.spec import Spec


class Load:
    """As a fault, so that a runner can run it."""

    name = "load"
    describe = "busy loops on both nodes, one for each CPU"

    def expect(self, spec: Spec) -> Expectation:
        why = "both nodes are well, only busy"
        return Expectation(moves=False, outage_ms=(0.0, 0.0), both_alive=True, takes_cpu=True, why=why)

    def inject(self, lab: Lab, node: str) -> Bracket:
        loops = str(lab.engine.facts.cpus)
        first, second = (lab.act(name, "sh", "-c", damage.BUSY, "busy", loops) for name in lab.nodes)
        return Bracket(first.before_ns, second.after_ns)

    def heal(self, lab: Lab, node: str) -> Bracket:
        first, second = (lab.stamped(name, "sh", "-c", damage.CALM)[0] for name in lab.nodes)
        return Bracket(first.before_ns, second.after_ns)
