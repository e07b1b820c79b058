"""The active node's cable is pulled at the switch: its link stays up, but nothing gets in or out, not even ARP.

For clients this is a power cut, and the predicted outage is that of node-kill: the peer declares the node dead between
deadtime - keepalive and deadtime + 250 ms after the fault, and starts the VIP. The node itself declares its peer dead
as well and keeps the VIP, unseen.

So there is one owner while it lasts, and two as soon as it heals. Then both restart themselves as after a partition
(see partition): two owners for 3 to 4 s, and nobody serves for 6 to 20 s at 200 ms / 1 s, 23 s at 2 s / 5 s.

What goes out ends in a queue that swallows it, frames that no packet filter sees among it: ARP, and send_arp's. No
sender is told. What comes in is dropped by the packet filter; ARP may come in, but no answer gets out.
"""

from labkit.cluster import Bracket, Lab, damage
from labkit.faults import Expectation, _split, _wire, node_kill
from labkit.spec import Spec

name = "partition-full"
describe = "the active node is cut off from everything, as if its cable were pulled at the switch"
describe_es = "el nodo activo queda aislado de todo, como si le quitaran el cable en el switch"


def expect(spec: Spec) -> Expectation:
    if spec.profile != "corrected":
        return node_kill.expect(spec)
    why = (
        "for everybody else the node is dead, so the peer takes over; the node lives and keeps the VIP, so that there"
        " are two owners as soon as the network heals"
    )
    return _split.out_of_service(spec, why)


def inject(lab: Lab, node: str) -> Bracket:
    link = lab.spec.network.interface
    muted = lab.act(node, "tc", "qdisc", "replace", "dev", link, "root", "blackhole")
    return Bracket(muted.before_ns, _wire.ignore(lab, node, name, [f"-i {link}"]).after_ns)


def heal(lab: Lab, node: str) -> Bracket:
    heard = _wire.heed(lab, name)
    return Bracket(heard.before_ns, lab.act(node, "sh", "-c", damage.UNCUT).after_ns)
