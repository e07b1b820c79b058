"""A second path between the nodes: a network card more in each, and what the heartbeats make of the two."""

from collections.abc import Iterator
from contextlib import contextmanager

from labkit.cluster import damage
from labkit.cluster.lab import helper_name
from labkit.engine import create, network
from labkit.errors import LabkitError
from labkit.exercises._pair import Pair
from labkit.heartbeat import commands
from labkit.spec.places import move

# The engine names a node's cards in the order of its networks: of one kind, by their names. So this network is of the
# lab's kind and has a later name, and the lab keeps eth0.
NIC = "eth1"
PATH = "path"
FILTER_MARK = f"{damage.MARK}exercise"


def add(pair: Pair) -> None:
    """Joins both nodes to a network of their own, labelled as the lab's, so that it goes with the lab. Before power.

    Each node's address there has the host part of its first one.
    """
    lab = pair.lab
    pool = lab.spec.network.pool
    name = helper_name(lab.name, PATH)
    parent = None
    if lab.network == network.MACVLAN:
        parent = network.make_links(lab.engine, lab.client.image, lab.name, f"/{PATH}")
    for subnet in network.free_subnets(lab.engine, pool):
        try:
            network.make_network(lab.engine, lab.name, name, subnet, parent)
        except network.SubnetTaken:  # since we looked
            continue
        for node, container in lab.nodes.items():
            create.join(lab.engine, name, container, str(move(lab.spec.nodes[node].address, pool, subnet)))
        return


def require(pair: Pair) -> None:
    """LabkitError if the engine has given the cards other names than the texts have."""
    for node in pair.lab.nodes:
        address = pair.lab.spec.nodes[node].address
        nic = pair.lab.spec.network.interface
        if f" {address}/" not in pair.sh(node, f"ip -4 -o address show {nic}"):
            raise LabkitError(f"{nic} of {node} does not have {address}: `labkit exercise reset` makes the pair anew")


def links(pair: Pair, node: str) -> dict[str, str]:
    """Network card -> up or dead, of those on which a node listens for its peer; none without a daemon."""
    peer = pair.lab.spec.peer_of(node)
    listing = (
        f"for nic in $(timeout 3 cl_status listhblinks {peer}); do"
        f" echo $nic $(timeout 3 cl_status hblinkstatus {peer} $nic); done 2>/dev/null"
    )
    found = (line.split() for line in pair.ask(node, listing).output.splitlines())
    return {words[0]: words[1] for words in found if len(words) == 2}


@contextmanager
def deaf(pair: Pair, nic: str) -> Iterator[None]:
    """Both nodes drop the heartbeats that arrive on this card, and hear them again afterwards."""
    rule = f"iptables -A INPUT -i {nic} -p udp -m comment --comment {FILTER_MARK} -j DROP"
    try:
        for node in pair.lab.nodes:
            pair.sh(node, rule)
        yield
    finally:
        for node in pair.lab.nodes:
            pair.lab.act(node, "sh", "-c", damage.UNFILTER, "unfilter", FILTER_MARK)


def deaths(pair: Pair) -> int:
    """How often either node has logged that it takes the other for dead."""
    told = (
        pair.ask(node, f"grep -c 'node {pair.lab.spec.peer_of(node)}: is dead' {commands.SYSLOG}").output
        for node in pair.lab.nodes
    )
    return sum(int(line) for line in told)


def add_medium(pair: Pair) -> None:
    """What a student types on both nodes for a second path."""
    for node in pair.lab.nodes:
        pair.sh(node, f"sed -i 's/^bcast.*/&\\nbcast {NIC}/' {commands.HA_CF}")
