"""The web server runs and answers, but every page is an error: a mistake in its configuration, and a graceful reload.

A monitor that looks for the process or the port sees nothing wrong; this one asks for the page, and takes a status of
400 and above for a failure. It looks a second time one cycle later before it gives apache2 up. The hand-over kills
apache2, and from then until the VIP moves the client is refused; before, it was answered 500. The peer's configuration
is sound, so the move helps.

Predicted outage: the second failed look comes between one and two cycles after the fault, then the hand-over (see
`_apache`).
"""

from labkit.cluster import Bracket, Lab
from labkit.engine import Placed
from labkit.faults import Expectation, _apache
from labkit.heartbeat import commands
from labkit.render import MONITOR_CYCLE_MS, MONITOR_LOOKS
from labkit.spec import Spec

name = "apache-error"
describe = "every page of the active node answers 500 (Internal Server Error)"
describe_es = "toda página del nodo activo responde 500 (Internal Server Error)"

NEEDS_APACHE = True
ERROR_CONF = "/etc/apache2/conf-enabled/labkit-error.conf"


def expect(spec: Spec) -> Expectation:
    latest_ms = MONITOR_LOOKS * MONITOR_CYCLE_MS
    return _apache.expect(
        spec,
        (latest_ms - MONITOR_CYCLE_MS, latest_ms),
        f"the monitor sees an error {MONITOR_LOOKS} times in a row and hands over to the peer",
    )


def inject(lab: Lab, node: str) -> Bracket:
    lab.node(node).put([Placed(ERROR_CONF, b"Redirect 500 /\n")])
    return lab.act(node, commands.APACHE_INIT, "reload")


def heal(lab: Lab, node: str) -> Bracket:
    lab.start(node)
    removed = lab.act(node, "rm", "-f", ERROR_CONF)
    lab.stamped(node, commands.APACHE_INIT, "reload")  # fails where apache2 does not run; the cure starts it then
    return Bracket(removed.before_ns, _apache.cure(lab, node).after_ns)
