"""The guide's own scene, S13 to S15: the web server is stopped on the node in charge.

Heartbeat with haresources does not notice; the corrected profile's monitor does. Predicted outage: up to one cycle of
the monitor until it looks (it is woken when apache2 ends, and misses that if it is looking just then), then the
hand-over (see `_apache`).
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _apache
from labkit.heartbeat import commands
from labkit.render import MONITOR_CYCLE_MS
from labkit.spec import Spec

name = "apache-stop"
describe = "apache2 stopped by its init script on the active node (the guide's S14), and S15 to return control"
describe_es = "apache2 se detiene con su script de inicio en el nodo activo (S14 de la guía), y S15 devuelve el control"


def expect(spec: Spec) -> Expectation:
    return _apache.expect(spec, (0.0, MONITOR_CYCLE_MS), "the monitor misses apache2 and hands over to the peer")


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(node, lab.service, "stop")


def heal(lab: Lab, node: str) -> Bracket:
    """As the guide types it: apache2 started again, then Heartbeat restarted, whose script waits deadtime + 10 s. A
    service of one's own is Heartbeat's to start."""
    lab.start(node)
    started = lab.act(node, *((commands.APACHE_INIT, "start") if lab.spec.service.is_apache else ("true",)))
    restarted = lab.act(node, commands.HEARTBEAT_INIT, "restart")
    return Bracket(started.before_ns, restarted.after_ns)
