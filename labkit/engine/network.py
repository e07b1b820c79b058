"""The lab's network: a macvlan over a bridge of labkit's own, without any uplink.

Links on the engine's host are made and removed by a short-lived helper container in the host's network namespace, so
that the user needs nothing but the engine. Each carries the alias `labkit=<lab> <user>`, by which gc finds it again.
"""

import hashlib
import ipaddress
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import docker
import docker.errors
from docker.models.networks import Network as SdkNetwork

from labkit.engine import grants
from labkit.engine.client import GUEST, LABEL, USER, Engine, Leftover, this_user, translated
from labkit.errors import NotAvailable

PREFIX = "lk"
ALIAS = "labkit="
MACVLAN = "macvlan"
BRIDGE = "bridge"
UNMARKED = re.compile(rf"{PREFIX}[0-9a-f]{{10}}[stm]?")  # what _lay() calls its links
OVERLAPS = "Pool overlaps"  # in what the engine says of a subnet that another of its networks has
HAS_ONE = "already using parent interface"  # in what it says of a link on which another of its networks hangs
NO_POOL = "address pool"  # in what it says when it has no subnet left to choose: of 20.10, and of 25 and later
# Where labs go whose own subnet is taken. The engine may give all of the first to one of its own networks.
POOLS = (ipaddress.IPv4Network("172.23.0.0/16"), ipaddress.IPv4Network("10.128.0.0/16"))
ACCESS = ipaddress.IPv4Network("10.129.0.0/16")  # where the gateways' go


class SubnetTaken(NotAvailable):
    """Another network of the engine has the subnet, or part of it."""


def link_name(lab: str, which: str = "") -> str:
    """The bridge of a lab on the engine's host: at most 15 characters, the same for the same lab.

    which: tells a lab's other bridges from its first."""
    return PREFIX + hashlib.sha256(f"{lab}{which}".encode()).hexdigest()[:10]


# A list that a link came into or left meanwhile begins with `Dump was interrupted and may be inconsistent.`
LIST_LINKS = """
for try in $(seq 20); do
    listed=$(ip -j link show 2>&1)
    case $listed in "["*) break ;; esac
    sleep 0.1
done
echo "$listed"
"""


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
    alias = shlex.quote(f"{ALIAS}{lab} {this_user()}")
    script = f"""
        if ip link show {bridge} >/dev/null 2>&1; then exit 0; fi
        ip link add {bridge} type bridge
        trap '[ $? = 0 ] || ip link del {bridge}' EXIT
        ip link set {bridge} addrgenmode none alias {alias}
        ip link add {spare} type veth peer name {end}
        for link in {spare} {end}; do ip link set $link addrgenmode none alias {alias}; done
        ip link set {spare} master {bridge}
        for link in {spare} {end} {bridge}; do ip link set $link up; done
        ip link add {bridge}m link {bridge} type macvlan mode bridge
        ip link del {bridge}m
    """
    _on_host(engine, image, lab, script)


def host_links(engine: Engine, image: str, lab: str | None) -> list[Leftover]:
    """Links on the engine's host that labkit made, of one lab or of all.

    One that has our kind of name and no alias was just being made when the engine was killed. Its lab is the one that
    is asked for, if the name is that lab's, or else empty.
    """
    links = json.loads(_on_host(engine, image, lab or "gc", LIST_LINKS))
    found = [(link["ifname"], link.get("ifalias", "")) for link in links if link["ifname"].startswith(PREFIX)]
    made = [(name, *alias.removeprefix(ALIAS).split(" ", 1)) for name, alias in found if alias.startswith(ALIAS)]
    for name in (name for name, alias in found if not alias and UNMARKED.fullmatch(name)):
        made.append((name, lab if lab and name.startswith(link_name(lab)) else ""))
    return [one for one in (Leftover("host link", *each) for each in made) if lab in (None, one.lab)]


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


def free_subnet(engine: Engine, wanted: ipaddress.IPv4Network, others: Iterable[Engine] = ()) -> ipaddress.IPv4Network:
    """The wanted subnet if it is free, otherwise the next free one of its size in POOLS. others: see free_subnets."""
    return next(free_subnets(engine, wanted, others=others))


def free_subnets(
    engine: Engine,
    wanted: ipaddress.IPv4Network,
    pools: Sequence[ipaddress.IPv4Network] = POOLS,
    others: Iterable[Engine] = (),
) -> Iterator[ipaddress.IPv4Network]:
    """The subnets of that size that are free now, the wanted one first. Raises NotAvailable after the last one.

    others: engines on which they must be free as well.
    """
    taken = {subnet for one in (engine, *others) for subnet in taken_subnets(one)}
    large = (pool for pool in pools if pool.prefixlen <= wanted.prefixlen)
    same_size = (subnet for pool in large for subnet in pool.subnets(new_prefix=wanted.prefixlen))
    for subnet in (wanted, *(one for one in same_size if one != wanted)):
        if not any(subnet.overlaps(other) for other in taken):
            yield subnet
    where = " and ".join(map(str, pools))
    raise NotAvailable(f"no free /{wanted.prefixlen} is left in {where}; remove networks that nobody needs")


def require_free_subnet(engine: Engine, subnet: ipaddress.IPv4Network, but_for: str = "") -> None:
    """Raises SubnetTaken naming the network that has the subnet. but_for: a network that does not count."""
    for other, owner in taken_subnets(engine).items():
        if subnet.overlaps(other) and owner != but_for:
            raise SubnetTaken(
                f"network.subnet: {subnet} is taken by the engine's network {owner!r} ({other}); choose another one,"
                f" or use `--subnet auto`"
            )


def make_network(
    engine: Engine, lab: str, name: str, subnet: ipaddress.IPv4Network, parent: str | None, guest_of: str = ""
) -> SdkNetwork:
    """A macvlan in bridge mode over the parent link, or with parent None a bridge network. Neither leads anywhere.

    guest_of: see Leftover. Raises SubnetTaken naming the network that has the subnet.
    """
    require_free_subnet(engine, subnet)
    driver, options = (BRIDGE, {}) if parent is None else (MACVLAN, {"parent": parent, "macvlan_mode": "bridge"})
    # internal: no default route; and the gateway's ports are published on its other network
    return _make(engine, lab, name, subnet, guest_of, driver=driver, options=options, internal=True)


def make_access_network(engine: Engine, lab: str, name: str) -> None:
    """The network on which the gateway's ports are published on the host's loopback; nothing gets out through it.

    The engine chooses its subnet, none that its host has a route to. By default it knows about thirty, so for more labs
    than that small ones of our own are taken.
    """
    options = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    try:
        _make(engine, lab, name, None, driver=BRIDGE, options=options)
    except NotAvailable as error:
        if NO_POOL not in str(error):
            raise
        for subnet in free_subnets(engine, next(ACCESS.subnets(new_prefix=28)), (ACCESS,)):
            with suppress(SubnetTaken):  # by somebody else at the same moment
                _make(engine, lab, name, subnet, driver=BRIDGE, options=options)
                return


def _make(
    engine: Engine, lab: str, name: str, subnet: ipaddress.IPv4Network | None, guest_of: str = "", **options: Any
) -> SdkNetwork:
    pools = [docker.types.IPAMPool(subnet=str(subnet))] if subnet else []
    try:
        with translated(f"making the network {name}"):
            return engine.client.networks.create(
                name,
                ipam=docker.types.IPAMConfig(pool_configs=pools),
                labels=engine.labels(lab, "network", guest_of),
                **options,
            )
    except NotAvailable as error:
        if OVERLAPS in str(error):  # somebody took it since we looked
            raise SubnetTaken(str(error)) from error
        if HAS_ONE in str(error):
            raise NotAvailable(
                f"network.parent: one macvlan network at a time can hang on an interface, and another one does; take"
                f" another interface, or remove the lab that has it\n({error})"
            ) from error
        raise


def find_networks(engine: Engine, lab: str | None) -> list[Leftover]:
    """The networks of one lab or of all."""
    with translated("listing the engine's networks"):
        found = engine.client.networks.list(filters=engine.filters(lab))
    told = ((one.name, one.attrs["Labels"]) for one in found)
    return [Leftover("network", str(name), has[LABEL], has.get(USER, ""), has.get(GUEST, "")) for name, has in told]


def remove_network(engine: Engine, name: str) -> None:
    """Removes it; it may be gone already."""
    with translated(f"removing the network {name}"):
        try:
            engine.client.networks.get(name).remove()
        except docker.errors.NotFound:
            return
