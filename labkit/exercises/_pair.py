"""What an exercise works on: a pair that is up, a student's variant and answers, and trials."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labkit import faults, runner
from labkit.cluster import Lab
from labkit.cluster.lab import settled
from labkit.engine import Done, Placed
from labkit.errors import LabkitError, Unsettled
from labkit.exercises._variant import Variant
from labkit.heartbeat import commands
from labkit.judging import judge
from labkit.store import RunFolder
from labkit.timing import wait_until

Facts = dict[str, Any]  # as JSON has them, so that they can be kept and judged again
OWNING_S = 60.0  # longest wait for a pair that starts or moves to have its one owner
SETTLING_S = 15.0  # longest wait for a pair that a student has just restarted, before it counts as not settled
# Process start times are known to a second, and an edit in the second of the start may have been read.
UNREAD = f"""
exec 2>/dev/null
age=$(ps -o etimes= -p "$(pgrep -o -x {commands.HEARTBEAT_PROCESS})") || exit 0
for file in {commands.HA_CF} {commands.HARESOURCES} {commands.AUTHKEYS}; do
    [ "$(stat -c %Y $file)" -gt $(($(date +%s) - age + 1)) ] && echo $file
done
"""


@dataclass
class Pair:
    """A student's pair. runs: where trials are kept. tell: hears of a trial that begins.

    made: the trials of this look. may_break: whether a look may run any; withheld: it would have, and may not."""

    lab: Lab
    variant: Variant
    answers: dict[str, str] = field(default_factory=dict)
    runs: Path = Path("runs")
    tell: Callable[[RunFolder], None] = lambda _: None
    made: dict[str, RunFolder] = field(default_factory=dict)
    may_break: bool = True
    withheld: bool = False

    @property
    def first(self) -> str:
        """The preferred node, by its host name."""
        return self.lab.spec.preferred

    @property
    def second(self) -> str:
        return self.lab.spec.peer_of(self.first)

    def read(self, node: str, path: str) -> str | None:
        """A file of a node, None where there is none."""
        try:
            return self.lab.node(node).get(path).decode("utf-8", "replace")
        except LabkitError:
            return None

    def write(self, node: str, path: str, text: str, mode: int = 0o644) -> None:
        """Puts a file on a node in place of what is there."""
        self.lab.node(node).put([Placed(path, text.encode(), mode)])

    def edit(self, node: str, path: str, old: str, new: str) -> None:
        """Replaces text in a node's file, every time that it stands there. LabkitError if it stands nowhere."""
        text = self.read(node, path) or ""
        if old not in text:
            raise LabkitError(f"{path} on {node} has no {old!r}")
        mode = 0o600 if path == commands.AUTHKEYS else 0o644
        self.write(node, path, text.replace(old, new), mode)

    def sh(self, node: str, script: str) -> str:
        """Runs a shell script on a node and returns its output. LabkitError, with it, for anything but exit code 0."""
        return self.lab.node(node).must("sh", "-ec", script)

    def ask(self, node: str, script: str) -> Done:
        """The same, whatever its exit code."""
        return self.lab.node(node).run("sh", "-c", script)

    def client(self, script: str) -> Done:
        """The same on the client."""
        return self.lab.client.run("sh", "-c", script)

    def restart(self, *nodes: str) -> None:
        """Restarts Heartbeat by its init script on these nodes, or on both at once. A daemon that refuses its
        configuration is no error."""
        self.lab.each(lambda node: self.ask(node, f"{commands.HEARTBEAT_INIT} restart"), *nodes)

    def unread(self, node: str) -> list[str]:
        """Which of Heartbeat's files on a node have changed since its daemon started, and so count for nothing yet;
        none without a daemon."""
        told = self.ask(node, UNREAD).output
        return told.split()

    def await_owner(self, node: str) -> None:
        """Waits until this node alone answers for the VIP. Raises Unsettled if it does not come to that."""
        wait_until(self.lab.owners, lambda owners: owners == [node], OWNING_S, f"{node} has the VIP", self.lab.tails)

    def settle(self, patience_s: float = SETTLING_S) -> bool:
        """Whether the nodes run, hear each other and move nothing, now or soon."""
        with suppress(Unsettled):
            self.lab.await_nodes(settled, "both nodes are settled", patience_s)
            return True
        return False

    def trial(self, name: str, fault: str, seed: int = 1, timing: Mapping[str, str | bool] | None = None) -> bool:
        """A trial of a fault, as `labkit failover` runs it, kept as a run folder; `Seen.trial(name)` has its figures.

        timing: of the spec's times, those that the student has changed, so that the run expects and tells the real
        ones; BadInput if there can be no such times. False if the pair is not settled, so that none can be run, or if
        it may not be broken. Else the pair is healed, and brought to where the VIP is at home.
        """
        lab = replace(self.lab, spec=self.lab.spec.with_options(**(timing or {})))
        if not self.may_break:
            self.withheld = True
            return False
        if not self.settle():
            return False
        folder = RunFolder.create(self.runs, f"exercise-{name}")
        self.tell(folder)
        runner.run(lab, runner.Scenario(faults.fault(fault), seed=seed), folder, lambda _: None)
        judge(folder)
        self.made[name] = folder
        return True
