"""What the moves in good order share, in which one living node gives all to the other: their band and their end.

Seen each time: the node that gives agrees with its peer within 30 to 200 ms, begins to give up 100 to 250 ms later, and
stops apache2 first: the outage begins. The init script looks once a second whether apache2 is gone, so that takes 1 s,
or 2 s if apache2 was slow. Then the VIP is taken away (100 ms); the other node begins 60 to 150 ms later and has it
up in another 220 ms; its apache2 was running, or is started in 100 ms. That is 1.6 s on a quiet machine.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation
from labkit.spec import Spec

APACHE_STOP_MS = 1000.0  # `sleep 1` in apache_wait_stop of /etc/init.d/apache2, before it looks again
SECOND_LOOK_MS = 1000.0  # the same once more
MOVE_MS = 800.0  # the scripts on both nodes, with room for a machine that is busy


def expect(spec: Spec, why: str) -> Expectation:
    """A move from one living node to the other.

    As printed, the node that gives up lets the VIP go, and the other one, which has it already, announces nothing: the
    client goes on asking the first one until its ARP entry has aged, 28 s in a run. Nothing is predicted there.
    """
    if spec.profile != "corrected":
        why = "both nodes have the VIP: a client follows the one that announces it, or waits until its ARP entry is old"
        return Expectation(moves=True, why=why)
    return Expectation(moves=True, outage_ms=(APACHE_STOP_MS, APACHE_STOP_MS + SECOND_LOOK_MS + MOVE_MS), why=why)


def over(lab: Lab) -> Bracket:
    """Nothing to cure: `Lab.restore()` gives the resources back, as it does after every fault."""
    now_ns = lab.now_ns()
    return Bracket(now_ns, now_ns)
