"""The web server hangs: every apache2 process is stopped (SIGSTOP), and so it exists, listens, and never answers.

The kernel goes on accepting connections until the backlog is full, so the client sees time-outs, not refusals. The
monitor's request runs into its own time-out; after one cycle it asks again, and only when that fails as well does it
give apache2 up. The hand-over kills the stopped processes first, or Heartbeat's call of the init script would wait for
a minute; from that kill until the VIP moves, the client is reset and refused.

Predicted outage: up to one cycle until the monitor asks, then two time-outs with a cycle between them, and the
hand-over (see `_apache`).
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation, _apache
from labkit.render import MONITOR_CYCLE_MS, MONITOR_LOOKS, MONITOR_TIMEOUT_MS
from labkit.spec import Spec

name = "apache-hang"
describe = "every apache2 process on the active node is frozen (SIGSTOP): it listens and never answers"
describe_es = "todos los procesos de apache2 del nodo activo quedan congelados (SIGSTOP): escucha y nunca responde"


def expect(spec: Spec) -> Expectation:
    waits_ms = MONITOR_LOOKS * MONITOR_TIMEOUT_MS + (MONITOR_LOOKS - 1) * MONITOR_CYCLE_MS
    return _apache.expect(
        spec,
        (waits_ms, waits_ms + MONITOR_CYCLE_MS),
        f"the monitor's request times out {MONITOR_LOOKS} times; it kills apache2 and hands over to the peer",
    )


def inject(lab: Lab, node: str) -> Bracket:
    return _apache.signal(lab, node, "STOP")


def heal(lab: Lab, node: str) -> Bracket:
    return _apache.cure(lab, node)
