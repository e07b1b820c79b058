"""What the faults of the web server share: its processes, its cure, and the hand-over by the monitor.

The monitor of the corrected profile looks at apache2 once in a cycle. When it gives apache2 up, the hand-over script
kills what is left of it and calls hb_standby. Seen then: both daemons have the request after 25 to 100 ms; the node
begins to give up 100 ms later and has taken the VIP away after another 130 ms, for nothing of apache2 is left that the
init script would wait for; the peer begins 60 to 150 ms after that, and has the VIP up in 220 ms more. That is 0.6 s in
all. It is the work of some dozens of short processes: on two cores with a load of 15 it took up to 2.6 s, and an outage
outside the band says so.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation
from labkit.heartbeat import commands
from labkit.render import PORT_HOLDERS
from labkit.spec import Spec

PROCESSES = "^/usr/sbin/apache2"  # not `apache2`, which would hit /etc/init.d/apache2 at its work, too
HAND_OVER_MS = (300.0, 1700.0)  # half of the least that was seen; the usual plus a second for a busy machine


def expect(spec: Spec, detection_ms: tuple[float, float], why: str) -> Expectation:
    """What is expected where the monitor gives apache2 up so long after the fault."""
    if spec.profile != "corrected":
        return Expectation(moves=False, why="nothing watches apache2, and both nodes have the VIP anyway")
    band = (detection_ms[0] + HAND_OVER_MS[0], detection_ms[1] + HAND_OVER_MS[1])
    return Expectation(moves=True, outage_ms=band, why=why)


def signal(lab: Lab, node: str, which: str) -> Bracket:
    """Sends a signal to every apache2 process, or to those that have the port of a service of one's own.

    Raises LabkitError if there is none.
    """
    if lab.spec.service.is_apache:
        return lab.act(node, "pkill", f"-{which}", "-f", PROCESSES)
    return lab.act(node, "sh", "-c", f"kill -{which} {PORT_HOLDERS}")


def cure(lab: Lab, node: str) -> Bracket:
    """Has apache2 run again, whatever became of it: thawed if it was frozen, started if it was dead. A service of one's
    own is thawed; where it has to run, `Lab.restore()` starts it."""
    lab.start(node)
    if not lab.spec.service.is_apache:
        return lab.stamped(node, "sh", "-c", f"kill -CONT {PORT_HOLDERS}")[0]
    thawed, _ = lab.stamped(node, "pkill", "-CONT", "-f", PROCESSES)  # fails where there is none
    return Bracket(thawed.before_ns, lab.act(node, commands.APACHE_INIT, "start").after_ns)
