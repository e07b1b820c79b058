"""What the faults share after which two nodes own the VIP: how long it takes the clients to go over, and how it ends.

Three rules were seen to decide what the clients notice.

1. Clients follow the last gratuitous ARP. The peer's IPaddr2 sends one when it starts the VIP, so clients go over to
   the peer, though both answer for the VIP. Whoever asks anew gets two answers.
2. When the nodes hear each other again, the node that logs `returning after partition` restarts itself 2 s later, and
   it gives the VIP up. That is the peer for certain. The node that had the fault may do so, too: it does if it had
   declared its peer dead before it reads the first heartbeat, and a node that was stopped does either first.
3. If only the peer restarts, the node that had the fault has had the VIP all along. IPaddr2 says `Running OK` and sends
   no gratuitous ARP, so the clients go on asking the peer, which drops what they send. It lasts until their kernels
   doubt the entry (15 to 45 s in Linux, drawn anew now and then), wait for 5 s and ask in vain for 3 s: 23 to 52 s
   without service, at any timing. If both restart, nobody has the VIP for 7 to 23 s (see partition), and the one that
   takes it then says so on the wire.
"""

from labkit.faults import Expectation, node_kill
from labkit.spec import Spec

# Longest hiccup while the client's requests go over to another owner of the VIP, with both serving: those on their way
# are reset. Measured 0 to 45 ms at rest, 100 ms on a machine that was busy five times over.
SWITCH_MS = 300.0


def still_served(spec: Spec, why: str) -> Expectation:
    """The node goes on answering for the VIP, and its apache2 serves: clients hardly notice that the peer takes over.

    As printed, the peer has the VIP already and announces nothing, so clients stay where they are.
    """
    if spec.profile != "corrected":
        return Expectation(moves=False, why="both nodes have the VIP and serve, with Heartbeat or without")
    return Expectation(moves=True, dual_owner=True, outage_ms=(0.0, SWITCH_MS), why=why)


def out_of_service(spec: Spec, why: str) -> Expectation:
    """Nobody serves until the peer takes over, and two nodes own the VIP before the lab is whole again."""
    return Expectation(moves=True, dual_owner=True, outage_ms=node_kill.expect(spec).outage_ms, why=why)
