"""The guide's steps, done on a pair that is installed and not configured, and what was seen on the way.

What a student would type is typed, on the nodes and on the client, and kept with what came out. S13 to S15 are one
trial of the runner, and so are the two further faults, so that times come from the probe as everywhere. Nothing is
judged here.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from threading import Lock

from labkit import faults, render, runner
from labkit.cluster import Bracket, Lab
from labkit.cluster.lab import STAMPED, settled
from labkit.cluster.lifecycle import samples
from labkit.errors import BadInput, LabkitError, NotAvailable, Unsettled
from labkit.faults import Expectation, apache_stop
from labkit.guide import shell
from labkit.guide.claims import NIC_OF_THE_GUIDE, SIZES, FileSeen, Seen
from labkit.guide.steps import BY_ID, Step
from labkit.heartbeat import hacf
from labkit.heartbeat.commands import SEND_ARP
from labkit.history import Event
from labkit.judging import judge
from labkit.language import Text
from labkit.spec import Network, Spec
from labkit.store import RunFolder
from labkit.timing import MS, wait_until

CLIENT = "client"
CALM_S = 60.0
ANNOUNCED_S = 15.0  # an address that has come up is announced for 5 s
COUNT_S = 10.0  # longest wait for the number of processes: a child between fork and exec counts for a moment
FURTHER = ("node-kill", "standby")  # after the guide's own scene; standby last, for as printed it leaves one owner
_drawing = Lock()  # reports have pictures, and matplotlib draws one at a time


@dataclass(frozen=True)
class Typed:
    """A command and what came of it. step: S1 to S15; claim: C1 to C9 if it is evidence for one, else empty."""

    step: str
    node: str
    command: str
    exit_code: int
    output: str
    took_ms: float
    claim: str = ""


@dataclass(frozen=True)
class Walked:
    """A walk that is over: everything typed, in order; what was seen; fault -> folder of its run."""

    typed: tuple[Typed, ...]
    seen: Seen
    runs: dict[str, str]

    def transcript(self) -> str:
        """All that was typed and came out, as text."""
        lines = []
        for one in self.typed:
            lines.append(f"# {one.step}\nroot@{one.node}:~# {one.command}\n{one.output.rstrip()}".rstrip() + "\n")
        return "\n".join(lines)


AfterStep = Callable[[Step, Sequence[Typed]], None]


def walk(lab: Lab, folder: RunFolder, after: AfterStep, heard: Callable[[Text], None]) -> Walked:
    """Does all steps on a bare lab, then the further faults. after: told each step when it is done, may wait.

    heard: told what is going on. What goes wrong in the lab is kept as a trouble, and the rest is tried. BadInput and
    NotAvailable are raised.
    """
    walker = _Walk(lab, folder, after, heard)
    walker.all_steps()
    return Walked(tuple(walker.typed), walker.seen, walker.runs)


def guides_own(spec: Spec) -> Spec:
    """The guide's spec, by which the sizes of its figure 9 come out: its addresses, its network card."""
    return Spec(name=spec.name, profile="as-printed", network=Network(interface=NIC_OF_THE_GUIDE))


class _Walk:
    """The state of a walk."""

    def __init__(self, lab: Lab, folder: RunFolder, after: AfterStep, heard: Callable[[Text], None]) -> None:
        self.lab = lab
        self.folder = folder
        self.after = after
        self.heard = heard
        self.key = secrets.token_hex(20)
        self.typed: list[Typed] = []
        self.runs: dict[str, str] = {}
        self.seen = Seen(lab.spec)

    # Typing

    def type(self, step: str, where: str, command: str, claim: str = "") -> tuple[Typed, Bracket]:
        """Types a command on a node or the client. One that fails is kept like any other."""
        container = self.lab.client if where == CLIENT else self.lab.node(where)
        told = container.ask(STAMPED, "sh", "-c", command)
        took_ms = (told["after_ns"] - told["before_ns"]) / MS
        hidden, output = (text.replace(self.key, "[secret]") for text in (command, told["output"]))
        typed = Typed(step, where, hidden, told["exit_code"], output, took_ms, claim)
        return typed, Bracket(told["before_ns"], told["after_ns"])

    def keep(self, step: str, where: str, command: str, claim: str = "") -> str:
        """The same, kept; gives what came out, without blanks around it."""
        typed, _ = self.type(step, where, command, claim)
        self.typed.append(typed)
        return typed.output.strip()

    def on_both(self, step: str) -> None:
        """A step on both nodes at once, as in two terminals."""

        def one(node: str) -> list[Typed]:
            return [self.type(step, node, line)[0] for line in shell.on_node(step, self.lab.spec, node, self.key)]

        with ThreadPoolExecutor(2) as pool:
            for typed in pool.map(one, self.lab.nodes):
                self.typed += typed

    def end(self, step: str) -> None:
        self.after(BY_ID[step], [one for one in self.typed if one.step == step])

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part of the walk: what goes wrong in it leaves what it should have shown unseen."""
        try:
            yield
        except (BadInput, NotAvailable):
            raise
        except LabkitError as error:
            self.seen = replace(self.seen, troubles=(*self.seen.troubles, str(error)))
            self.heard(Text("this went wrong: {what}", "algo falló: {what}").filled(what=str(error).splitlines()[0]))

    # The steps

    def all_steps(self) -> None:
        with self.part():
            for step in ("S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8"):
                self.on_both(step)
                if step == "S8":
                    self.seen = replace(self.seen, files=self.files())
                self.end(step)
            self.on_both("S9")
            self.count()
            self.end("S9")
            for step in ("S10", "S11", "S12"):
                self.on_both(step)
                self.end(step)
            self.look()
            self.end("S13")
        for fault in (_Scene(self), *(faults.fault(name) for name in FURTHER)):
            with self.part():
                self.heard(Text("measuring {fault}", "midiendo {fault}").filled(fault=fault.name))
                self.measure(fault)

    def files(self) -> tuple[FileSeen, ...]:
        """The files of /etc/ha.d as they are, against what the edits should have made of the samples."""
        lab, found = self.lab, []
        guide = guides_own(lab.spec)
        for number, (node, container) in enumerate(lab.nodes.items()):
            shipped = samples(container)
            right, printed = (
                {file.path: file.text.encode() for file in render.node_files(spec, shipped, key, name)}
                for spec, key, name in ((lab.spec, self.key, node), (guide, "", list(guide.nodes)[number]))
            )
            for name in SIZES:
                path = f"{shell.FOLDER}/{name}"
                there = container.get(path)
                of_the_guide = printed.get(path, there)
                found.append(FileSeen(node, name, len(there), len(of_the_guide), there == right.get(path, there)))
            self.keep("S8", node, f"stat -c '%s %a %n' {shell.FOLDER}/*", "C1")
        return tuple(found)

    def count(self) -> None:
        """Heartbeat's processes on both nodes, when there are as many as its media need, or after a while."""
        media = {
            node: len(hacf.parse(container.get(f"{shell.FOLDER}/ha.cf").decode(), node=node).media)
            for node, container in self.lab.nodes.items()
        }
        for node in self.lab.nodes:
            self.await_processes(node, str(2 + 2 * media[node]))
        tasks = {node: int(self.keep("S9", node, shell.processes(), "C2") or 0) for node in self.lab.nodes}
        self.seen = replace(self.seen, tasks=tasks, media=media)

    def await_processes(self, node: str, wanted: str) -> None:
        """A time-out is an outcome, too."""

        def count() -> str:
            return self.lab.node(node).run("sh", "-c", shell.processes()).output.strip()

        with suppress(Unsettled):
            wait_until(count, wanted.__eq__, COUNT_S, f"Heartbeat has {wanted} processes on {node}")

    def look(self) -> None:
        """S13, when the pair is at rest. As printed each node takes the VIP for its own, and needs its time to."""
        lab = self.lab
        lab.await_nodes(settled, "both nodes are settled", CALM_S)
        owners = list(lab.nodes) if lab.spec.profile == "as-printed" else [lab.spec.preferred]
        with suppress(Unsettled):
            lab.await_nodes(
                lambda now: [node for node in now if now[node].vip] == owners, "the VIP is where it belongs", CALM_S / 3
            )
        lab.await_page(lab.vip, "the VIP answers")
        self.seen = replace(
            self.seen,
            own_pages={
                node: self.keep("S13", CLIENT, shell.page(str(one.address)), "C3")
                for node, one in lab.spec.nodes.items()
            },
            vip_page=self.keep("S13", CLIENT, shell.page(lab.vip), "C4"),
            owners=self.owners("S13", "C4"),
        )
        self.begin_at_home()

    def begin_at_home(self) -> None:
        """Where two nodes have the VIP, chance decides which one the client heard last, and the guide's scene begins
        with the master. Asking by ARP has just taught the client again, and so do announcements as long as they last.
        """
        lab, owners = self.lab, self.seen.owners or ()
        if len(owners) > 1:
            with suppress(Unsettled):
                wait_until(self.announcing, lambda nodes: not nodes, ANNOUNCED_S, "nobody announces the VIP any more")
            mac = next((mac for mac, node in lab.macs().items() if node == lab.spec.preferred), "")
            self.keep("S13", CLIENT, shell.hear(lab.spec, mac))
            self.keep("S13", CLIENT, shell.page(lab.vip))

    def announcing(self) -> list[str]:
        """The nodes that tell the link that the VIP is theirs."""
        return [name for name, node in self.lab.nodes.items() if not node.run("pgrep", "-f", SEND_ARP).exit_code]

    def owners(self, step: str, claim: str) -> tuple[str, ...]:
        """Who answers by ARP for the VIP."""
        return tuple(self.lab.answered(self.keep(step, CLIENT, shell.owners(self.lab.spec), claim)))

    def measure(self, fault: faults.Fault) -> None:
        """One trial of a fault; its folder lies in the walk's own."""
        folder = RunFolder.create(self.folder.path / self.lab.spec.profile, fault.name)
        self.runs[fault.name] = str(folder.path)

        def watch(_: Event) -> None:
            pass

        scenario = runner.Scenario(fault, seed=secrets.randbelow(2**31))
        runner.run(self.lab, scenario, folder, watch, disposable=True)
        with _drawing:
            trial = judge(folder)["trials"][0]
        self.seen = replace(self.seen, trials={**self.seen.trials, fault.name: trial})


class _Scene:
    """S14 and S15 as a fault: what `apache-stop` does, typed, with a look around before it is healed."""

    def __init__(self, walk: _Walk) -> None:
        self.name = apache_stop.name  # so that `labkit heal` can heal what a killed walk left
        self.describe = apache_stop.describe
        self._walk = walk

    def expect(self, spec: Spec) -> Expectation:
        return apache_stop.expect(spec)

    def inject(self, lab: Lab, node: str) -> Bracket:
        """S14, on the node that serves: the preferred one, if Heartbeat had a say in it."""
        return self._type("S14", node)

    def heal(self, lab: Lab, node: str) -> Bracket:
        walk = self._walk
        refused = walk.keep("S14", CLIENT, shell.page(str(lab.spec.nodes[node].address)), "C6")
        moved_page = walk.keep("S14", CLIENT, shell.page(lab.vip), "C5")
        moved_owners = tuple(one for one in lab.nodes if walk.keep("S14", one, shell.has_vip(lab.spec), "C5"))
        walk.seen = replace(walk.seen, struck=node, refused=refused, moved_page=moved_page, moved_owners=moved_owners)
        walk.end("S14")
        bracket = self._type("S15", node)
        with suppress(Unsettled):
            lab.await_nodes(lambda now: settled(now) and now[node].vip, f"{node} has the VIP again", CALM_S)
            lab.await_page(lab.vip, "the VIP answers")
        page = walk.keep("S15", CLIENT, shell.page(lab.vip), "C7")
        walk.seen = replace(walk.seen, returned_page=page, returned_owners=walk.owners("S15", "C7"))
        walk.end("S15")
        return bracket

    def _type(self, step: str, node: str) -> Bracket:
        """A step on the node that is struck; the bracket is around its commands."""
        done = [self._walk.type(step, node, line) for line in shell.on_node(step, self._walk.lab.spec, node, "")]
        self._walk.typed += [typed for typed, _ in done]
        brackets = [bracket for _, bracket in done]
        return Bracket(brackets[0].before_ns, brackets[-1].after_ns)
