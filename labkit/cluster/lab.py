"""A running lab: its containers and the verbs on them."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, TypeVar

from labkit.cluster import busy, damage
from labkit.cluster.asking import LIFE, Asked
from labkit.cluster.clocks import Shift, compare
from labkit.engine import Container, Done, Engine, create
from labkit.errors import BadInput, LabkitError, Unsettled
from labkit.heartbeat import commands
from labkit.heartbeat.authkeys import without_keys
from labkit.render import MONITRC, mark, service_script
from labkit.spec import Spec
from labkit.timing import wait_until

T = TypeVar("T")

STAMPED = "/usr/lib/labkit/stamped"
# What `cl_status rscstatus` says when nothing is moving, and what the peer says then: each one's `local` is the other's
# `foreign`.
SETTLED = {"all": "none", "none": "all", "local": "local", "foreign": "foreign"}
# A daemon that has given up all, and waits two seconds before it ends or restarts itself, says `none` like one at rest;
# the last line about its life tells them apart.
STOPPING = "stopping"
MAC = re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b")
# $1: how often each address is asked at most; then the addresses, with their paths.
GET_EACH = """
tries=$1; shift
for address; do
    left=$tries
    until curl -sf -m 1 -o /dev/null "http://$address"; do
        left=$((left - 1)); [ $left -gt 0 ] || exit 1
        sleep 0.05
    done
done
"""
CORRECTED = (commands.HA_CF, commands.HARESOURCES, commands.AUTHKEYS, MONITRC)
CONFIGURATION = {"corrected": CORRECTED, "as-printed": CORRECTED[:-1]}
PACKAGES = ("heartbeat", "cluster-glue", "resource-agents", "apache2", "monit", "rsyslog", "iproute2")
ASK_AGAIN_S = 20.0  # a hand-over takes 2 s, and on a very busy machine some more
ASK_EVERY_S = 0.25
CALM_S = 60.0  # longest wait for a state that Heartbeat reaches by itself: twice its init script's own longest wait


class Bracket(NamedTuple):
    """An act on the monotonic clock of the engine: it happened between these two instants, in ns."""

    before_ns: int
    after_ns: int


@dataclass(frozen=True)
class NodeStatus:
    """What a node says of itself. resources: as cl_status says, empty without a daemon; peer: active, dead, up, ...

    apache2: whether the service runs, whose name is in `service`: apache2, unless the spec has another.
    """

    running: bool
    heartbeat: bool = False
    resources: str = ""
    peer: str = ""
    vip: bool = False
    apache2: bool = False
    service: str = "apache2"

    @property
    def joined(self) -> bool:
        """Heartbeat runs and hears its peer."""
        return self.heartbeat and self.peer == "active"

    @property
    def settled(self) -> bool:
        """Joined, and no resources are on the move: only then is a hand-over accepted."""
        return self.joined and self.resources in SETTLED

    def __str__(self) -> str:
        if not self.running:
            return "not running"
        daemon = (
            f"heartbeat {self.resources or 'starting'}, peer {self.peer or '?'}" if self.heartbeat else "no heartbeat"
        )
        vip, service = "here" if self.vip else "not here", "runs" if self.apache2 else "stopped"
        return f"{daemon}, VIP {vip}, {self.service} {service}"


@dataclass
class Lab:
    """A lab that is up. network: macvlan or bridge. grant: privileged, granted or least. platform: its name.

    clock: reads the engine's monotonic clock in ns; a running probe lends a quick one.
    random: what faults draw from; a run lends its own, so that its seed repeats them.
    elsewhere: the engines of the nodes that do not run on `engine`, where client and gateway are. shifts: those nodes'
    clocks, for as long as a run has compared them.
    """

    engine: Engine
    spec: Spec
    platform: str
    network: str
    grant: str
    nodes: dict[str, Container]
    client: Container
    gateway: Container
    clock: Callable[[], int] | None = field(default=None, repr=False)
    random: Random = field(default_factory=Random, repr=False)
    _asked: dict[str, Asked] = field(default_factory=dict, repr=False)
    elsewhere: dict[str, Engine] = field(default_factory=dict, repr=False)
    shifts: dict[str, Shift] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def vip(self) -> str:
        return str(self.spec.network.vip)

    @property
    def service(self) -> str:
        """Path in a node of the script that starts and stops the service."""
        return service_script(self.spec)

    @property
    def configuration(self) -> tuple[str, ...]:
        """Paths of the files that make a node what it is in the cluster."""
        own = () if self.spec.service.is_apache else (self.service,)
        return CONFIGURATION[self.spec.profile] + own

    @property
    def url(self) -> str:
        """The VIP's page as this machine gets it, where the engine is on this machine."""
        return f"http://127.0.0.1:{self.gateway.published()[self.spec.ports.vip_http]}{self.spec.service.path}"

    @property
    def whole(self) -> bool:
        """Whether all its parts run."""
        return all(part.state() == "running" for part in (*self.nodes.values(), self.client, self.gateway))

    def node(self, name: str) -> Container:
        """Raises BadInput, with the valid names, for no such node."""
        if name not in self.nodes:
            raise BadInput(f"there is no node {name!r} in the lab {self.name!r}; use one of: {', '.join(self.nodes)}")
        return self.nodes[name]

    def engine_of(self, node: str) -> Engine:
        return self.elsewhere.get(node, self.engine)

    # Time and acts

    def compare_clocks(self) -> None:
        """Brings the stamps of nodes on other hosts to the clock of this one from now on."""
        self.shifts = {node: compare(self.nodes[node], self.now_ns) for node in self.elsewhere}

    def now_ns(self) -> int:
        """The engine's monotonic clock. Without a probe that costs the start of a command in the client."""
        if self.clock is not None:
            return self.clock()
        return int(self.client.ask(STAMPED, "true")["before_ns"])

    def stamped(self, node: str, *command: str) -> tuple[Bracket, Done]:
        """Runs a command on a node; the bracket is taken there, around the command alone."""
        told = self.node(node).ask(STAMPED, *command)
        bracket = Bracket(told["before_ns"], told["after_ns"])
        if shift := self.shifts.get(node):
            before, after = (instant - shift.monotonic_ns for instant in bracket)
            bracket = Bracket(before - shift.error_ns, after + shift.error_ns)
        return bracket, Done(told["exit_code"], told["output"])

    def act(self, node: str, *command: str) -> Bracket:
        """Like stamped(), but anything but exit code 0 is a LabkitError with the command's output."""
        bracket, done = self.stamped(node, *command)
        if done.exit_code != 0:
            raise LabkitError(
                f"`{' '.join(command)}` on {node} ended with exit code {done.exit_code}:\n{done.output.strip()}"
            )
        return bracket

    def kill(self, node: str) -> Bracket:
        """A power cut."""
        container = self.node(node)
        before = self.now_ns()
        container.kill()
        return Bracket(before, self.now_ns())

    def start(self, node: str) -> Bracket:
        """The power comes back, and a frozen node thaws; harmless if it runs."""
        container = self.node(node)
        before = self.now_ns()
        if container.state() == "paused":
            container.unpause()
        else:
            container.start()
        return Bracket(before, self.now_ns())

    def freeze(self, node: str) -> Bracket:
        """Stops all its processes where they are; start() thaws it."""
        container = self.node(node)
        before = self.now_ns()
        container.pause()
        return Bracket(before, self.now_ns())

    def limit_cpus(self, node: str, cpus: float) -> Bracket:
        """Lets the node have so much of the CPU from now on, in CPUs."""
        container = self.node(node)
        before = self.now_ns()
        container.limit_cpus(**create.cpu_limit(self.engine_of(node), cpus))
        return Bracket(before, self.now_ns())

    # States

    def status(self, node: str) -> NodeStatus:
        """What the node says now."""
        container = self.node(node)
        said = self._asked[node].now() if node in self._asked else None
        if said is not None:
            told, life = json.loads(said[0]), said[1]
        else:
            if container.state() != "running":
                return NodeStatus(running=False)
            told = container.ask("/usr/lib/labkit/status", self.vip, self.spec.peer_of(node))
            life = container.run("sh", "-c", LIFE).output if told["resources"] == "none" else ""
        if told["resources"] == "none" and "shutdown" in life:
            told["resources"] = STOPPING
        return NodeStatus(running=True, service=self.spec.service.name, **told)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Meanwhile a node's status costs little: somebody stays in it to be asked. Harmless inside another one."""
        if self._asked:
            yield
            return
        for name, container in self.nodes.items():
            self._asked[name] = Asked(container, self.vip, self.spec.peer_of(name))
        try:
            yield
        finally:
            for asked in self._asked.values():
                asked.close()
            self._asked.clear()

    def statuses(self) -> dict[str, NodeStatus]:
        """What all nodes say, asked at once."""
        return dict(zip(self.nodes, self.each(self.status), strict=True))

    def idle(self, statuses: dict[str, NodeStatus]) -> list[str]:
        """The nodes on which the service does not run and should: apache2 everywhere, another one beside the VIP."""
        everywhere = self.spec.service.is_apache
        return [name for name, now in statuses.items() if (everywhere or now.vip) and not now.apache2]

    def answers(self, *addresses: str, tries: int = 1) -> bool:
        """Whether a page comes from each address, asked by the client until it does, at most so many times.

        All in one command, because starting a command in a container costs far more than a request.
        """
        pages = [f"{address}{self.spec.service.path}" for address in addresses]
        return self.client.run("sh", "-c", GET_EACH, "get", str(tries), *pages).exit_code == 0

    def page(self, address: str) -> str:
        """What the client gets from an address: the answer with its headers, or in one line why there is none."""
        url = f"http://{address}{self.spec.service.path}"
        return self.client.run("curl", "-sSi", "-m", "2", url).output

    def require_telling(self) -> None:
        """Raises BadInput unless the answer at the VIP tells which node gave it: without that nothing is measured."""
        given = self.page(self.vip)
        if not any(mark(self.spec, node) in given for node in self.nodes):
            wanted = mark(self.spec, self.spec.preferred).strip()
            raise BadInput(
                f"service: what {self.spec.service.name} answers to {self.spec.service.path} does not tell which node"
                f" gave it. Let it have {wanted!r} on {self.spec.preferred}, in a header or in the page, or write under"
                f" service.says what it has. It began with: {given[:200]!r}"
            )

    def macs(self) -> dict[str, str]:
        """MAC address -> node, of the nodes that run."""
        network = network_name(self.name)
        found = {container.mac(network): name for name, container in self.nodes.items()}
        found.pop("", None)
        return found

    def owners(self) -> list[str]:
        """The nodes that answer ARP for the VIP, asked by the client; more than one is a dual owner."""
        told = self.client.run("arping", "-r", "-i", self.spec.network.interface, "-c", "3", "-W", "0.1", self.vip)
        return self.answered(told.output)

    def answered(self, arping: str) -> list[str]:
        """The nodes that arping's output names by their MAC address, and any stranger's address as it stands."""
        macs = self.macs()
        return sorted({macs.get(mac, mac) for mac in MAC.findall(arping.lower())})

    def tails(self) -> str:
        """The end of each node's log, for errors."""
        told = {name: "(gone)" if node.state() == "gone" else node.log_tail() for name, node in self.nodes.items()}
        return "\n".join(f"--- {name}\n{tail}" for name, tail in told.items())

    # What a run keeps

    def files(self) -> dict[str, str]:
        """The files that the nodes run with, NODE/path -> text, read from the nodes; secrets are blotted out."""
        found = {}
        for name, container in self.nodes.items():
            for path in self.configuration:
                text = container.get(path).decode("utf-8", "replace")
                found[f"{name}{path}"] = without_keys(text) if path == commands.AUTHKEYS else text
        return found

    def logs(self) -> dict[str, bytes]:
        """Each node's whole log, whether it runs or not."""
        return {name: container.get(commands.SYSLOG) for name, container in self.nodes.items()}

    def images(self) -> dict[str, str]:
        """Role -> digest of the image."""
        node = next(iter(self.nodes.values()))
        return {"node": node.image, "client": self.client.image}

    def throttled_us(self) -> dict[str, int]:
        """Node -> for how long it has been kept from the CPU by its container's limit, since it was started."""
        told = zip(self.nodes, self.each(lambda name: self.nodes[name].usage()), strict=True)
        return {name: usage.throttled_us for name, usage in told if usage is not None}

    def other_hosts_cpu(self) -> dict[str, dict[str, int | None]]:
        """Node on another engine -> how busy its host is, see `busy.reading()`; without those that do not run."""
        told = {name: busy.reading(self.nodes[name]) for name in self.elsewhere}
        return {name: reading for name, reading in told.items() if reading}

    def usage(self) -> tuple[int, float]:
        """What its containers have used of the CPU, in ns, and use of the memory, in MiB."""
        parts = (*self.nodes.values(), self.client, self.gateway)
        used = [usage for part in parts if (usage := part.usage()) is not None]
        return sum(one.cpu_ns for one in used), sum(one.memory_mib for one in used)

    def free_mib(self) -> float:
        """Memory that the engine's host can still give away."""
        told = self.client.must("grep", "MemAvailable", "/proc/meminfo")
        return int(told.split()[1]) / 1024

    def packages(self) -> dict[str, str]:
        """Package -> version, of those that matter for a result."""
        node = self.nodes[self.spec.preferred]
        told = node.must("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES)
        return dict(line.split() for line in told.splitlines())

    # Waiting

    def await_nodes(
        self, done: Callable[[dict[str, NodeStatus]], bool], what: str, timeout_s: float = CALM_S
    ) -> dict[str, NodeStatus]:
        """Waits for a state of the nodes, and returns it. Raises Unsettled on time-out and at once if a node died."""

        def look() -> dict[str, NodeStatus]:
            found = self.statuses()
            if not all(status.running for status in found.values()):
                self._nobody_died(what)
            return found

        with self.asking():
            return wait_until(look, done, timeout_s, what, self.tails, ASK_EVERY_S)

    def await_page(self, address: str, what: str, timeout_s: float = CALM_S) -> None:
        """Waits until the client gets a page from an address. Raises Unsettled on time-out, at once if a node died."""
        self._await_answers([address], what, timeout_s)

    def await_pages(self) -> None:
        """Waits until the VIP gives a page, and where apache2 serves each node's own address, too."""
        own = [str(node.address) for node in self.spec.nodes.values()] if self.spec.service.is_apache else []
        what = "the VIP and both nodes serve their pages" if own else f"{self.spec.service.name} serves at the VIP"
        self._await_answers([self.vip, *own], what, CALM_S)

    def _await_answers(self, addresses: list[str], what: str, timeout_s: float) -> None:
        def look() -> bool:
            answered = self.answers(*addresses, tries=10)
            if not answered:
                self._nobody_died(what)
            return answered

        wait_until(look, bool, timeout_s, what, self.tails)

    def _nobody_died(self, what: str) -> None:
        """A node that was never started is not dead."""
        dead = [name for name, container in self.nodes.items() if container.state() in ("exited", "dead", "gone")]
        if dead:
            raise Unsettled(f"{' and '.join(dead)} stopped while waiting until {what}\n{self.tails()}")

    def each(self, act: Callable[[str], T], *nodes: str) -> list[T]:
        """What an act gives for these nodes, or for all, done at once: most of its time is the engine's."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            return list(pool.map(act, nodes or self.nodes))

    # Back to the starting state

    def restore(self, patience_s: float = CALM_S) -> None:
        """Brings the lab to its starting state, whatever a fault did to it: both nodes run and serve their pages, or
        a service of one's own runs beside the VIP, which the preferred node has. Harmless when it is there already.

        patience_s: how long the nodes may take to settle by themselves, before both are booted again.
        """
        self.each(self._mend)
        now = self._settle(patience_s)
        preferred = self.spec.preferred
        if self.spec.profile == "corrected" and not now[preferred].vip:
            now = self._take_home()
        for name in self.idle(now):  # giving resources back stops it on the node that gave them
            self.act(name, self.service, "start")
        self.await_pages()

    def _mend(self, name: str) -> None:
        """The node runs, unharmed, and so does Heartbeat."""
        container = self.nodes[name]
        container.limit_cpus(**create.cpu_limit(self.engine_of(name), self.spec.limits.cpus))
        if container.state() != "running":
            self.start(name)
        damage.mend(container)
        if not self._await_daemon(name).heartbeat:
            self.act(name, commands.HEARTBEAT_INIT, "start")

    def _take_home(self) -> dict[str, NodeStatus]:
        """The preferred node takes everything. A request that comes too early is ignored, and sometimes one is lost."""
        preferred = self.spec.preferred

        def asked(patience_s: float) -> dict[str, NodeStatus]:
            self.act(preferred, commands.HB_TAKEOVER)
            what = f"the VIP is back on {preferred}"
            return self.await_nodes(lambda now: now[preferred].vip and settled(now), what, patience_s)

        try:
            return asked(ASK_AGAIN_S)
        except Unsettled:
            return asked(CALM_S)

    def _settle(self, patience_s: float) -> dict[str, NodeStatus]:
        """Waits until the nodes are settled, and takes both nodes' power away for a moment if they do not.

        Configured as printed, they can disagree for good about who holds what. And Heartbeat can lose a message of its
        own scripts (`msg2string: Message with zero fields`): it then waits in `transition` for ever, and a stop waits
        with it (`Shutdown delayed until current resource activity finishes`).
        """
        what = "both nodes are settled"
        try:
            return self.await_nodes(settled, what, patience_s)
        except Unsettled:
            self.each(self.kill)
            self.each(self.start)
            return self.await_nodes(settled, f"{what} after both have booted again")

    def _await_daemon(self, node: str) -> NodeStatus:
        """Waits until Heartbeat is at work on a node, or gone. One on its way out may be about to start again by
        itself, and a second one beside it would fight it for the node."""

        def clear(now: NodeStatus) -> bool:
            at_work = now.heartbeat and now.resources != STOPPING
            return at_work or self.node(node).run("pgrep", "-x", commands.HEARTBEAT_PROCESS).exit_code != 0

        what = f"Heartbeat on {node} is at work or gone"
        return wait_until(lambda: self.status(node), clear, CALM_S, what, self.tails)


def joined(statuses: dict[str, NodeStatus]) -> bool:
    """Both nodes hear each other."""
    return all(status.joined for status in statuses.values())


def settled(statuses: dict[str, NodeStatus]) -> bool:
    """Nothing is on the move, and the nodes agree who holds what: after a split brain each says for a while that it
    holds all, before it restarts itself."""
    first, second = statuses.values()
    return first.settled and second.settled and second.resources == SETTLED[first.resources]


def network_name(lab: str) -> str:
    """The lab's network in the engine."""
    return f"labkit-{lab}"


def container_name(lab: str, node: str) -> str:
    return f"labkit-{lab}-{node}"


def helper_name(lab: str, role: str) -> str:
    """Client and gateway; the underscore keeps them apart from any node, whose name cannot have one."""
    return f"labkit-{lab}_{role}"
