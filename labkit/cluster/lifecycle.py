"""Making a lab, finding it again by its labels, and leaving nothing behind."""

import gzip
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from labkit.cluster import access
from labkit.cluster.lab import Lab, container_name, helper_name, joined, network_name
from labkit.engine import LABEL, Container, Engine, Leftover, Placed, create, grants, images, network
from labkit.errors import LabkitError, NotAvailable
from labkit.heartbeat import commands
from labkit.progress import Progress, Silent
from labkit.render import File, Samples, node_files
from labkit.spec import Spec
from labkit.timing import MS, now_ns

SPEC, PLATFORM, NETWORK, GRANT, BARE = (f"labkit.{key}" for key in ("spec", "platform", "network", "grant", "bare"))
NO_FORWARDING = {"net.ipv4.ip_forward": "0"}  # it would hide a stale ARP entry: the old owner sends on to the new one
MEASURING_SHARES = 16 * 1024  # of the CPU, beside 1024 for each other container: the schedule of the probe goes first
DESCRIPTORS = 1024  # Heartbeat closes every descriptor up to the limit when it starts


@dataclass(frozen=True)
class Options:
    """How to bring a lab up, beyond what it is.

    staged: the preferred node first, its peer once the VIP answers; otherwise both at once. bare: Heartbeat is
    installed and not configured. auto_ports, auto_subnet: free ones in place of the spec's. mirror, rebuild: see
    engine.images.
    """

    staged: bool = True
    bare: bool = False
    auto_ports: bool = False
    auto_subnet: bool = False
    mirror: str = ""
    rebuild: bool = False


@dataclass
class Start:
    """How a lab came up. milestones_ms: after the first node's start; empty if it was up already."""

    lab: Lab
    milestones_ms: dict[str, float] = field(default_factory=dict)


def up(engine: Engine, spec: Spec, options: Options, progress: Progress) -> Start:
    """Brings a lab up, or finds that it is. Returns when the nodes hear each other and all pages are served.

    Whatever goes wrong, Ctrl-C included, nothing is left behind. Raises Unsettled with the nodes' logs on time-out.
    """
    found = images.ensure(engine, spec.platform, progress, options.mirror, options.rebuild)
    present = find(engine, spec.name)
    if present is not None and _is(present, spec, found, options):
        progress.step(f"the lab {spec.name!r} is up already")
        _await_ready(present, options, Start(present), now_ns())
        return Start(present)
    remove(engine, spec.name, progress)
    if options.auto_subnet or spec.network.subnet == "auto":
        spec = spec.on_subnet(network.free_subnet(engine, spec.network.pool))
    try:
        return _make(engine, spec, found, options, progress)
    except BaseException:
        progress.step("removing what was made so far")
        remove(engine, spec.name, Silent())
        raise


def _is(lab: Lab, spec: Spec, found: images.Images, options: Options) -> bool:
    """Whether the lab that is up is the one asked for, and all of it runs."""
    asked = spec.on_subnet(lab.spec.network.pool) if options.auto_subnet or spec.network.subnet == "auto" else spec
    parts = [*lab.nodes.values(), lab.client, lab.gateway]
    return (
        lab.spec == asked
        and lab.platform == found.platform.name
        and (lab.client.labels[BARE] == "yes") == options.bare
        and all(part.state() == "running" for part in parts)
    )


def _make(engine: Engine, spec: Spec, found: images.Images, options: Options, progress: Progress) -> Start:
    lab_name = spec.name
    outside = _ports(spec)
    if not options.auto_ports:
        create.require_free_ports(engine, list(outside.values()))
    with ThreadPoolExecutor(2) as pool:
        granting = pool.submit(grants.most, engine, found.client, lab_name) if spec.privileged else None
        linking = pool.submit(_parent, engine, spec, found.client, progress)
        grant = granting.result() if granting else grants.least()
        parent = linking.result()
    if grant.remark:
        progress.step(grant.remark)
    kind = network.BRIDGE if parent is None else network.MACVLAN

    net, access_net = network_name(lab_name), helper_name(lab_name, "access")
    network.make_network(engine, lab_name, net, spec.network.pool, parent)
    network.make_access_network(engine, lab_name, access_net)
    about = {
        SPEC: spec.model_dump_json(),
        PLATFORM: found.platform.name,
        NETWORK: kind,
        GRANT: grant.name,
        BARE: "yes" if options.bare else "no",
    }
    client = create.container(
        engine,
        found.client,
        helper_name(lab_name, "client"),
        net,
        str(spec.network.client),
        {**engine.labels(lab_name, "client"), **about},
        "client",
        cap_add=["NET_ADMIN", "NET_RAW", "SYS_NICE"],
        cpu_shares=MEASURING_SHARES,
    )
    nodes = {
        name: create.container(
            engine,
            found.node,
            container_name(lab_name, name),
            net,
            str(node.address),
            engine.labels(lab_name, "node"),
            name,
            sysctls=NO_FORWARDING,
            ulimits=[create.descriptors(DESCRIPTORS)],
            **create.limits(engine, spec.limits.cpus, spec.limits.memory_mib),
            **grant.options,
        )
        for name, node in spec.nodes.items()
    }
    gateway = create.container(
        engine,
        found.client,
        helper_name(lab_name, "gateway"),
        access_net,
        None,
        engine.labels(lab_name, "gateway"),
        "gateway",
        ["/usr/lib/labkit/forward", *(f"{port}={target}" for port, target in _targets(spec).items())],
        sysctls=NO_FORWARDING,
        ports=create.loopback({port: None if options.auto_ports else port for port in outside.values()}),
    )
    create.join(engine, net, gateway, str(spec.network.gateway))
    lab = Lab(engine, spec, found.platform.name, kind, grant.name, nodes, client, gateway)
    return _start(lab, options, progress)


def _start(lab: Lab, options: Options, progress: Progress) -> Start:
    start = Start(lab)
    with ThreadPoolExecutor(3) as pool:
        opening = pool.submit(lab.gateway.start)
        lab.client.start()
        if not options.bare:
            _configure(lab)
        access.make_key(lab.client, lab.nodes)
        begun = now_ns()
        first, second = lab.nodes.values()
        progress.step(f"starting {first.host_name}" + ("" if options.staged else f" and {second.host_name}"))
        starting = [pool.submit(first.start)]
        if options.staged and not options.bare:
            starting[0].result()
            lab.await_page(lab.vip, "the VIP answers from the first node")
            _milestone(start, "vip", begun)
            progress.step(
                f"the VIP answers after {start.milestones_ms['vip'] / 1000:.1f} s; starting {second.host_name}"
            )
        starting.append(pool.submit(second.start))
        for one in (*starting, opening):
            one.result()
    _await_ready(lab, options, start, begun)
    inside = lab.gateway.published()
    ssh_ports = (lab.spec.ports.first_ssh, lab.spec.ports.second_ssh)
    ssh = {node: inside[port] for node, port in zip(lab.nodes, ssh_ports, strict=True)}
    access.write_config(lab.name, lab.client, lab.nodes, ssh)
    return start


def _await_ready(lab: Lab, options: Options, start: Start, begun: int) -> None:
    if options.bare:
        for node in lab.spec.nodes.values():
            lab.await_page(str(node.address), f"{node.address} serves its page")
    else:
        lab.await_nodes(joined, "both nodes hear each other")
        lab.await_page(lab.vip, "the VIP answers")
        start.milestones_ms.setdefault("vip", (now_ns() - begun) / MS)
        lab.await_pages()
    _milestone(start, "ready", begun)


def _milestone(start: Start, name: str, begun: int) -> None:
    start.milestones_ms[name] = (now_ns() - begun) / MS


def _parent(engine: Engine, spec: Spec, image: str, progress: Progress) -> str | None:
    """The link that the lab's macvlan hangs on, or None where macvlan cannot be had."""
    if spec.network.parent is not None:
        progress.step(
            f"WARNING: the lab is joined to {spec.network.parent}, and everybody there sees its traffic and its VIP"
        )
        return spec.network.parent
    try:
        return network.make_links(engine, image, spec.name)
    except NotAvailable as error:
        progress.step(f"macvlan cannot be had on the engine's host, a bridge network takes its place ({error})")
        return None


def _configure(lab: Lab) -> None:
    """Renders each node's files from its own samples and puts them there."""
    key = secrets.token_hex(20)
    for name, container in lab.nodes.items():
        files = node_files(lab.spec, samples(container), key, name)
        container.put([_placed(file) for file in files])


def _placed(file: File) -> Placed:
    return Placed(file.path, file.text.encode(), file.mode)


def samples(container: Container) -> Samples:
    """The sample files of the image that a container was made from, compressed or not."""

    def text(path: str) -> str:
        for name, decode in ((f"{path}.gz", gzip.decompress), (path, bytes)):
            try:
                return decode(container.get(name)).decode("utf-8")
            except LabkitError:
                continue
        raise LabkitError(f"the image has no sample {path}; rebuild it with `labkit build --rebuild`")

    ha_cf, haresources, authkeys = (text(f"{commands.SAMPLES}/{name}") for name in ("ha.cf", "haresources", "authkeys"))
    return Samples(ha_cf, haresources, authkeys, text(commands.INDEX_HTML))


def _ports(spec: Spec) -> dict[str, int]:
    """Ports on the host as the spec has them, by name."""
    return dict(spec.ports.model_dump())


def _targets(spec: Spec) -> dict[int, str]:
    """Port of the gateway -> where in the lab it leads. It listens on the ports that the spec wants outside."""
    first, second = (str(node.address) for node in spec.nodes.values())
    ports = spec.ports
    return {
        ports.first_http: f"{first}:80",
        ports.second_http: f"{second}:80",
        ports.vip_http: f"{spec.network.vip}:80",
        ports.first_ssh: f"{first}:22",
        ports.second_ssh: f"{second}:22",
    }


def find(engine: Engine, name: str) -> Lab | None:
    """The lab of that name, from the labels alone; None if there is none, or if parts of it are missing."""
    parts: dict[str, list[Container]] = {}
    for container in create.find_containers(engine, name):
        parts.setdefault(container.role, []).append(container)
    clients, gateways, found = (parts.get(role, []) for role in ("client", "gateway", "node"))
    if len(clients) != 1 or len(gateways) != 1:
        return None
    about = clients[0].labels
    try:
        spec = Spec.model_validate(json.loads(about[SPEC]))
    except ValueError:
        return None  # made by another version; up and gc replace it
    by_name = {container.host_name: container for container in found}
    if set(by_name) != set(spec.nodes):
        return None
    nodes = {node: by_name[node] for node in spec.nodes}
    return Lab(engine, spec, about[PLATFORM], about[NETWORK], about[GRANT], nodes, clients[0], gateways[0])


def require(engine: Engine, name: str) -> Lab:
    """Like find(), but raises NotAvailable where there is none."""
    lab = find(engine, name)
    if lab is None:
        raise NotAvailable(f"no lab {name!r} is up; start it with `labkit up`")
    return lab


def remove(engine: Engine, name: str | None, progress: Progress) -> list[Leftover]:
    """Removes everything with the lab's label, and with None with any lab's. Returns what was removed.

    Nothing but labels is needed: no file, no earlier success.
    """
    found = leftovers(engine, name)
    of_kind = {
        kind: [one for one in found if one.kind == kind] for kind in ("container", "network", "host link", "folder")
    }
    if found:
        progress.step(f"removing {', '.join(one.name for one in found)}")
    containers = create.find_containers(engine, name)
    with ThreadPoolExecutor(len(containers) or 1) as pool:
        list(pool.map(Container.remove, containers))
    for one in of_kind["network"]:
        network.remove_network(engine, one.name)
    network.remove_links(engine, helper_image(engine), of_kind["host link"])
    for one in of_kind["folder"]:
        access.forget(one)
    return found


def leftovers(engine: Engine, name: str | None) -> list[Leftover]:
    """Everything with the lab's label, or with None with any lab's: what remove() would remove."""
    containers = create.find_containers(engine, name)
    found = [Leftover("container", one.name, one.labels[LABEL]) for one in containers]
    image = helper_image(engine)  # without any of labkit's images no link was ever made
    links = network.host_links(engine, image, name) if image else []
    return found + network.find_networks(engine, name) + links + access.folders(name)


def helper_image(engine: Engine) -> str:
    """Any of labkit's client images, for short-lived helpers; empty where none is built."""
    return next(iter(images.built(engine, "client")), "")
