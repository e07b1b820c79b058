"""A lab's parts: networks and containers created, configured and started."""

import gzip
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from labkit.cluster import access, service
from labkit.cluster.lab import Lab, container_name, helper_name, joined, network_name
from labkit.engine import Container, Engine, Placed, create, grants, images, network
from labkit.errors import LabkitError, NotAvailable, Unsettled
from labkit.heartbeat import commands
from labkit.progress import Progress
from labkit.render import STATUS, File, Samples, node_files
from labkit.spec import Spec
from labkit.timing import MS, now_ns

SPEC, PLATFORM, NETWORK, GRANT, BARE, SERVICE, AUTO = (
    f"labkit.{key}" for key in ("spec", "platform", "network", "grant", "bare", "service", "auto")
)
NO_FORWARDING = {"net.ipv4.ip_forward": "0"}  # it would hide a stale ARP entry: the old owner sends on to the new one
LOW_PORTS = {"net.ipv4.ip_unprivileged_port_start": "0"}  # engines do that of their own accord, but not all of them
MEASURING_SHARES = 16 * 1024  # of the CPU, beside 1024 for each other container: the schedule of the probe goes first
DESCRIPTORS = 1024  # Heartbeat closes every descriptor up to the limit when it starts


@dataclass(frozen=True)
class Options:
    """How to bring a lab up, beyond what it is.

    staged: the preferred node first, its peer once the VIP answers; otherwise both at once. bare: Heartbeat is
    installed and not configured. before_power: called with the nodes made and not yet running, so that it can put files
    there; with bare it may configure Heartbeat its own way, and nobody waits for what comes of that. auto_ports,
    auto_subnet: free ones in place of the spec's, which the lab keeps in mind; None: as it was with the lab that is up.
    labels: more of them for the client, which has those that tell of the lab. watched: the engine looks after the
    containers' health, which costs 2 % of a CPU a lab. mirror, rebuild: see engine.images.
    """

    staged: bool = True
    bare: bool = False
    before_power: Callable[[Lab], None] | None = None
    auto_ports: bool = False
    auto_subnet: bool | None = None
    watched: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    mirror: str = ""
    rebuild: bool = False


@dataclass
class Start:
    """How a lab came up. milestones_ms: after the first node's start; empty if it was up already."""

    lab: Lab
    milestones_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """One of a lab's engines, and what its parts are made from there."""

    engine: Engine
    images: images.Images


def make(host: Host, others: Mapping[str, Host], spec: Spec, options: Options, progress: Progress) -> Lab:
    """Creates everything; nothing runs yet. Raises NotAvailable naming who has a port or the subnet.

    others: Docker context -> host, of the nodes that name one; all else is made on the first.
    """
    engine, found, lab_name = host.engine, host.images, spec.name
    outside = list(spec.ports.model_dump().values())
    if not options.auto_ports:
        create.require_free_ports(engine, outside)
    with ThreadPoolExecutor(2) as pool:
        granting = pool.submit(_grants, [(None, host), *others.items()], spec)
        linking = pool.submit(_parent, engine, spec, found.client, progress)
        granted = granting.result()
        parent = linking.result()
    grant = granted[None]
    for remark in dict.fromkeys(one.remark for one in granted.values() if one.remark):
        progress.step(remark)
    kind = network.BRIDGE if parent is None else network.MACVLAN

    net, access_net = network_name(lab_name), helper_name(lab_name, "access")
    network.make_network(engine, lab_name, net, spec.network.pool, parent)
    network.make_access_network(engine, lab_name, access_net)
    for context, other in others.items():
        there = next(node.parent for node in spec.nodes.values() if node.engine == context) or parent
        network.make_network(other.engine, lab_name, net, spec.network.pool, there, engine.identity)
    about = {
        SPEC: spec.model_dump_json(),
        PLATFORM: found.platform.name,
        NETWORK: kind,
        GRANT: grant.name,
        BARE: "yes" if options.bare else "no",
        SERVICE: service.digest(spec),
    }
    client = create.container(
        engine,
        found.client,
        helper_name(lab_name, "client"),
        net,
        str(spec.network.client),
        {**engine.labels(lab_name, "client"), **about, **options.labels},
        "client",
        cpu_shares=MEASURING_SHARES,
        watched=options.watched,
        **grants.only("client"),
    )
    hosts = {name: others[node.engine] if node.engine else host for name, node in spec.nodes.items()}
    nodes = {
        name: create.container(
            hosts[name].engine,
            hosts[name].images.node,
            container_name(lab_name, name),
            net,
            str(node.address),
            engine.labels(lab_name, "node", engine.identity if node.engine else ""),
            name,
            sysctls=NO_FORWARDING | LOW_PORTS,
            ulimits=[create.descriptors(DESCRIPTORS)],
            **create.limits(hosts[name].engine, spec.limits.cpus, spec.limits.memory_mib),
            **granted[node.engine].options,
            watched=options.watched,
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
        ["/usr/lib/labkit/forward", *(f"{port}={target}" for port, target in spec.forwards.items())],
        sysctls=NO_FORWARDING,
        ports=create.loopback({port: None if options.auto_ports else port for port in outside}),
        watched=options.watched,
        **grants.only("gateway"),
    )
    create.join(engine, net, gateway, str(spec.network.gateway))
    elsewhere = {name: hosts[name].engine for name, node in spec.nodes.items() if node.engine}
    return Lab(engine, spec, found.platform.name, kind, grant.name, nodes, client, gateway, elsewhere=elsewhere)


def _grants(hosts: Sequence[tuple[str | None, Host]], spec: Spec) -> dict[str | None, grants.Grant]:
    """What the nodes may do, on each engine."""
    return {
        context: grants.most(one.engine, one.images.client, spec.name) if spec.privileged else grants.least()
        for context, one in hosts
    }


def start(lab: Lab, options: Options, progress: Progress) -> Start:
    """Configures and starts what make() created, and waits until it serves."""
    came = Start(lab)
    with ThreadPoolExecutor(3) as pool:
        opening = pool.submit(lab.gateway.start)
        lab.client.start()
        if not options.bare:
            configure(lab)
        if options.before_power:
            options.before_power(lab)
        access.make_key(lab.client, lab.nodes)
        begun = now_ns()
        first, second = lab.nodes.values()
        progress.step(f"starting {first.host_name}" + ("" if options.staged else f" and {second.host_name}"))
        starting = [pool.submit(first.start)]
        if options.staged and not options.bare:
            starting[0].result()
            lab.await_page(lab.vip, "the VIP answers from the first node")
            _milestone(came, "vip", begun)
            progress.step(
                f"the VIP answers after {came.milestones_ms['vip'] / 1000:.1f} s; starting {second.host_name}"
            )
        starting.append(pool.submit(second.start))
        for one in (*starting, opening):
            one.result()
    await_ready(lab, options, progress)
    came.milestones_ms.setdefault("vip", (now_ns() - begun) / MS)
    open_doors(lab)
    _milestone(came, "ready", begun)
    return came


def open_doors(lab: Lab) -> Path:
    """Writes the configuration by which this user reaches the nodes, on the ports that they have now; returns it."""
    ports = dict(zip(lab.nodes, (lab.spec.ports.first_ssh, lab.spec.ports.second_ssh), strict=True))
    return access.write_config(lab.engine, lab.name, lab.client, lab.gateway, lab.nodes, ports)


def await_ready(lab: Lab, options: Options, progress: Progress) -> None:
    """Waits until the nodes hear each other and all pages are served; in a bare lab, the nodes' own pages alone.

    Where both start at once on a busy machine, one may be first and take all for a while; when it gives the resources
    back its apache2 is stopped, and nobody starts it. So such a pair is brought to its starting state. A pair in which
    Heartbeat has lost a message of its own scripts (see Lab._settle) would wait for ever, and is booted again.
    """
    if options.bare:
        for name, node in lab.spec.nodes.items():
            lab.await_page(str(node.address), f"{name} serves its own page")
        return
    lab.await_nodes(joined, "both nodes hear each other")
    if options.staged:
        lab.await_pages()
    else:
        try:
            lab.await_page(lab.vip, "the VIP answers")
            lab.restore()
        except Unsettled:
            if not lab.whole:
                raise
            progress.step("the nodes do not settle: they are booted again")
            lab.restore(patience_s=0)
    if lab.spec.service.given:
        lab.require_telling()


def _milestone(came: Start, name: str, begun: int) -> None:
    came.milestones_ms[name] = (now_ns() - begun) / MS


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


def configure(lab: Lab) -> None:
    """Renders each node's files from its own samples and puts them there. The nodes need not run."""
    key = secrets.token_hex(20)
    for name, container in lab.nodes.items():
        files = node_files(lab.spec, samples(container), key, name)
        container.put([*(_placed(file) for file in files), *service.files(lab.spec)])


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
    return Samples(ha_cf, haresources, authkeys, *(text(path) for path in (commands.INDEX_HTML, STATUS)))


def image_samples(engine: Engine, image: str, lab: str) -> Samples:
    """The samples of an image that no container of the lab is made from yet."""
    container = create.container(
        engine, image, helper_name(lab, "samples"), "none", None, engine.labels(lab, "helper"), "samples"
    )
    try:
        return samples(container)
    finally:
        container.remove()
