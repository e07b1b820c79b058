"""The lab's network: a macvlan over a bridge of labkit's own, without any uplink.

Links on the engine's host are made and removed by a short-lived helper container in the host's network namespace, so
that the user needs nothing but the engine. Each carries the alias `labkit=<lab>`, by which gc finds it again.
"""

import hashlib
import ipaddress
import json
from collections.abc import Iterable, Iterator

import docker
import docker.errors
from docker.models.networks import Network as SdkNetwork

from labkit.engine import grants
from labkit.engine.client import LABEL, Engine, Leftover, translated
from labkit.errors import NotAvailable

PREFIX = "lk"
ALIAS = "labkit="
MACVLAN = "macvlan"
BRIDGE = "bridge"
OVERLAPS = "Pool overlaps"  # in what the engine says of a subnet that another of its networks has


class SubnetTaken(NotAvailable):
    """Another network of the engine has the subnet, or part of it."""


def link_name(lab: str, which: str = "") -> str:
    """The bridge of a lab on the engine's host: at most 15 characters, the same for the same lab.

    which: tells a lab's other bridges from its first."""
    return PREFIX + hashlib.sha256(f"{lab}{which}".encode()).hexdigest()[:10]


def _on_host(engine: Engine, image: str, lab: str, script: str) -> str:
    """Runs a shell script in the network namespace of the engine's host. image: any of labkit's client images."""
    return engine.run_helper(image, lab, ["sh", "-euc", script], network_mode="host", **grants.only("helper"))


def make_links(engine: Engine, image: str, lab: str, which: str = "") -> str:
    """The bridge, and a spare port that keeps its carrier when the last other port goes. Returns the bridge's name.

    which: see link_name.
    Raises NotAvailable where the engine's host has no macvlan or does not let us make links: tried, not guessed.
    """
    bridge = link_name(lab, which)
    _lay(engine, image, lab, bridge)
    return bridge


def restore(engine: Engine, image: str, lab: str) -> None:
    """Makes a lab's bridges and the networks over them again, with every container at its address. None may run.

    The bridges do not outlive a reboot of the engine's host, and an engine that starts without them forgets its half of
    the networks: it lists them, and can join nobody to them.
    """
    with translated("making the networks again"):
        networks = engine.client.networks.list(filters=engine.filters(lab))
        containers = engine.client.containers.list(all=True, filters=engine.filters(lab))
        for one in networks:
            parent = (one.attrs["Options"] or {}).get("parent", "")
            if not parent.startswith(PREFIX):
                continue
            joined = {each: each.attrs["NetworkSettings"]["Networks"].get(one.name) for each in containers}
            addresses = {each: there["IPAMConfig"]["IPv4Address"] for each, there in joined.items() if there}
            for each in addresses:
                one.disconnect(each, force=True)
            one.remove()
            _lay(engine, image, lab, parent)
            subnet = ipaddress.IPv4Network(one.attrs["IPAM"]["Config"][0]["Subnet"])
            again = make_network(engine, lab, str(one.name), subnet, parent)
            for each, address in addresses.items():
                again.connect(each, ipv4_address=address)


def _lay(engine: Engine, image: str, lab: str, bridge: str) -> None:
    spare, end = bridge + "s", bridge + "t"
    script = f"""
        if ip link show {bridge} >/dev/null 2>&1; then exit 0; fi
        ip link add {bridge} type bridge
        trap '[ $? = 0 ] || ip link del {bridge}' EXIT
        ip link set {bridge} addrgenmode none alias {ALIAS}{lab}
        ip link add {spare} type veth peer name {end}
        for link in {spare} {end}; do ip link set $link addrgenmode none alias {ALIAS}{lab}; done
        ip link set {spare} master {bridge}
        for link in {spare} {end} {bridge}; do ip link set $link up; done
        ip link add {bridge}m link {bridge} type macvlan mode bridge
        ip link del {bridge}m
    """
    _on_host(engine, image, lab, script)


def host_links(engine: Engine, image: str, lab: str | None) -> list[Leftover]:
    """Links on the engine's host that labkit made, of one lab or of all."""
    links = json.loads(_on_host(engine, image, lab or "gc", "ip -j link show"))
    found = [(link["ifname"], link.get("ifalias", "")) for link in links if link["ifname"].startswith(PREFIX)]
    ours = [Leftover("host link", name, alias.removeprefix(ALIAS)) for name, alias in found if alias.startswith(ALIAS)]
    return [link for link in ours if lab in (None, link.lab)]


def remove_links(engine: Engine, image: str, names: Iterable[str]) -> None:
    """Removes them; one that went with its peer is no error."""
    listed = " ".join(names)
    if listed:
        _on_host(engine, image, "gc", f"for link in {listed}; do ip link del $link 2>/dev/null || true; done")


def taken_subnets(engine: Engine) -> dict[ipaddress.IPv4Network, str]:
    """IPv4 subnets of the engine's networks, with the network that has each."""
    with translated("listing the engine's networks"):
        networks = engine.client.networks.list()
    taken: dict[ipaddress.IPv4Network, str] = {}
    for network in networks:
        for pool in (network.attrs.get("IPAM") or {}).get("Config") or []:
            subnet = ipaddress.ip_network(pool.get("Subnet", "0.0.0.0/32"), strict=False)
            if isinstance(subnet, ipaddress.IPv4Network) and pool.get("Subnet"):
                taken[subnet] = str(network.name)
    return taken


def free_subnet(engine: Engine, wanted: ipaddress.IPv4Network) -> ipaddress.IPv4Network:
    """The wanted subnet if it is free, otherwise the next free one of its size in 172.23.0.0/16."""
    return next(free_subnets(engine, wanted))


def free_subnets(engine: Engine, wanted: ipaddress.IPv4Network) -> Iterator[ipaddress.IPv4Network]:
    """The subnets that are free now, the wanted one first. Raises NotAvailable after the last one."""
    taken = taken_subnets(engine)
    pool = ipaddress.ip_network("172.23.0.0/16")
    for subnet in dict.fromkeys((wanted, *pool.subnets(new_prefix=wanted.prefixlen))):
        if isinstance(subnet, ipaddress.IPv4Network) and not any(subnet.overlaps(other) for other in taken):
            yield subnet
    raise NotAvailable(f"no free /{wanted.prefixlen} is left in {pool}; remove networks that nobody needs")


def make_network(engine: Engine, lab: str, name: str, subnet: ipaddress.IPv4Network, parent: str | None) -> SdkNetwork:
    """A macvlan in bridge mode over the parent link, or with parent None a bridge network. Neither leads anywhere.

    Raises SubnetTaken naming the network that has the subnet.
    """
    for other, owner in taken_subnets(engine).items():
        if subnet.overlaps(other):
            raise SubnetTaken(
                f"network.subnet: {subnet} is taken by the engine's network {owner!r} ({other}); choose another one,"
                f" or use `--subnet auto`"
            )
    pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=str(subnet))])
    try:
        with translated(f"making the network {name}"):
            return engine.client.networks.create(
                name,
                driver=BRIDGE if parent is None else MACVLAN,
                options={} if parent is None else {"parent": parent, "macvlan_mode": "bridge"},
                internal=True,  # no default route; and the gateway's ports are published on its other network
                ipam=pool,
                labels=engine.labels(lab, "network"),
            )
    except NotAvailable as error:
        if OVERLAPS in str(error):  # somebody took it since we looked
            raise SubnetTaken(str(error)) from error
        raise


def make_access_network(engine: Engine, lab: str, name: str) -> None:
    """The network on which the gateway's ports are published on the host's loopback; nothing gets out through it."""
    with translated(f"making the network {name}"):
        engine.client.networks.create(
            name,
            driver=BRIDGE,
            options={"com.docker.network.bridge.enable_ip_masquerade": "false"},
            labels=engine.labels(lab, "network"),
        )


def find_networks(engine: Engine, lab: str | None) -> list[Leftover]:
    """The networks of one lab or of all."""
    with translated("listing the engine's networks"):
        found = engine.client.networks.list(filters=engine.filters(lab))
    return [Leftover("network", str(one.name), one.attrs["Labels"][LABEL]) for one in found]


def remove_network(engine: Engine, name: str) -> None:
    """Removes it; it may be gone already."""
    with translated(f"removing the network {name}"):
        try:
            engine.client.networks.get(name).remove()
        except docker.errors.NotFound:
            return
