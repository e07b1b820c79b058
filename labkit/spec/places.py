"""Who sits at which address of the lab's subnet: defaults in any subnet, and the rules between addresses.

Works on the raw values of a spec, so that wrong addresses are reported together with wrong fields. What is not an
address at all is left to the field's own check.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pydantic_core import PydanticCustomError

from labkit.spec.fields import AUTO, as_address, as_subnet

DEFAULT_SUBNET = IPv4Network("172.23.19.0/24")
_HOSTS = {"vip": 48, "client": 43, "gateway": 44}
_NODE_HOSTS = (46, 47)

Place = tuple[str, ...]


def move(address: IPv4Address, old: IPv4Network, new: IPv4Network) -> IPv4Address:
    """Give the address with the same host part in another subnet of the same prefix length."""
    return new.network_address + (int(address) - int(old.network_address))


def with_places(data: Mapping[str, Any]) -> dict[str, Any]:
    """Give a copy of a raw spec whose missing addresses are the default host parts in its subnet."""
    subnet = _subnet_of(data) or DEFAULT_SUBNET
    filled = dict(data)
    network = data.get("network", {})
    if isinstance(network, Mapping):
        filled["network"] = {name: subnet.network_address + host for name, host in _HOSTS.items()} | dict(network)
    nodes = data.get("nodes", {"master-cluster": None, "slave-cluster": None})
    if isinstance(nodes, Mapping):
        filled["nodes"] = dict(nodes)
        for (name, node), host in zip(nodes.items(), _NODE_HOSTS, strict=False):
            if node is None or isinstance(node, Mapping):
                filled["nodes"][name] = {"address": subnet.network_address + host} | dict(node or {})
    return filled


def address_problems(data: Mapping[str, Any], given: Mapping[str, Any]) -> dict[Place, str]:
    """Find addresses that cannot be used in the spec's subnet, or that are used twice: place -> what and remedy.

    `data` has all addresses, `given` those that the user wrote: of two that are equal, a written one is the problem.
    """
    subnet = _subnet_of(data)
    users: dict[IPv4Address, Place] = {}
    problems: dict[Place, str] = {}
    written = {place for place, _ in _addresses(given)}
    for place, value in sorted(_addresses(data), key=lambda entry: entry[0] in written):
        try:
            address = as_address(value)
        except PydanticCustomError:
            continue
        other = users.setdefault(address, place)
        if other != place:
            problems[place] = f"{address} is already {'.'.join(other)}. Give each its own address."
        elif subnet is not None and (why := _unusable(address, subnet)):
            problems[place] = f"{address} {why}. Use one from {subnet[2]} to {subnet[-2]}."
    return problems


def _unusable(address: IPv4Address, subnet: IPv4Network) -> str | None:
    if address not in subnet:
        return f"is outside the subnet {subnet}"
    if address == subnet.network_address:
        return f"is the network address of {subnet}"
    if address == subnet.broadcast_address:
        return f"is the broadcast address of {subnet}"
    if address == subnet[1]:
        return f"is the engine's own address in {subnet}"
    return None


def _addresses(data: Mapping[str, Any]) -> Iterator[tuple[Place, object]]:
    network, nodes = data.get("network"), data.get("nodes")
    if isinstance(nodes, Mapping):
        for name, node in nodes.items():
            if isinstance(node, Mapping) and "address" in node:
                yield ("nodes", str(name), "address"), node["address"]
    if isinstance(network, Mapping):
        for name in _HOSTS:
            if name in network:
                yield ("network", name), network[name]


def _subnet_of(data: Mapping[str, Any]) -> IPv4Network | None:
    """The subnet that the raw spec's addresses belong to; None if what stands there is none."""
    network = data.get("network", {})
    value = network.get("subnet", DEFAULT_SUBNET) if isinstance(network, Mapping) else None
    try:
        subnet = as_subnet(value)
    except PydanticCustomError:
        return None
    return DEFAULT_SUBNET if subnet == AUTO else subnet
