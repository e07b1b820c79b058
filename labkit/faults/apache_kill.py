"""The web server dies at once: every apache2 process is killed, and no socket listens any more.

The client is refused from the first moment on. Heartbeat does not notice: it starts and stops its resources, and never
looks at them in between. The monitor does, at its next look: the process in the pid file is gone, and that is enough,
without a second look. So it gives apache2 up between 0 and one cycle after the fault; then comes the hand-over.

Predicted outage: one cycle of the monitor at most, and the hand-over (see `_apache`).
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _apache
from labkit.render import MONITOR_CYCLE_MS
from labkit.spec import Spec

name = "apache-kill"
describe = "every apache2 process on the active node is killed (SIGKILL)"
describe_es = "se matan todos los procesos de apache2 del nodo activo (SIGKILL)"


def expect(spec: Spec) -> Expectation:
    return _apache.expect(
        spec, (0.0, MONITOR_CYCLE_MS), "the monitor finds no apache2 at its next look and hands over to the peer"
    )


def inject(lab: Lab, node: str) -> Bracket:
    return _apache.signal(lab, node, "KILL")


def heal(lab: Lab, node: str) -> Bracket:
    return _apache.cure(lab, node)
