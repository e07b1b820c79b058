"""Faults: one file each, with its cure and what is expected of it. Rank 5.

A fault strikes one node, usually the one that has the VIP. Healing twice is harmless. What healing leaves to be done
(waiting until both nodes are settled, the VIP back at home) is `Lab.restore()`, the same for all.
"""

from dataclasses import dataclass
from typing import Protocol

from labkit import plugins
from labkit.cluster import Bracket, Lab
from labkit.engine import Placed
from labkit.errors import BadInput
from labkit.spec import Spec


@dataclass(frozen=True)
class Expectation:
    """What a fault does to a lab of a given spec, if all is as it should be. Anything else is a failed check.

    moves: the peer serves afterwards. outage_ms: the band in which the client's outage lies, None where nothing is
    predicted. dual_owner: two nodes answer for the VIP at some time before the lab is whole again; None where both
    is right. why: the reason in a sentence or two.
    """

    moves: bool
    why: str
    outage_ms: tuple[float, float] | None = None
    dual_owner: bool | None = False


class Fault(Protocol):
    """What a module of this package offers. `name` is for people and JSON, `describe` one sentence for help texts."""

    name: str
    describe: str

    def expect(self, spec: Spec) -> Expectation:
        """What the fault does to such a lab. The module's text derives the band."""

    def inject(self, lab: Lab, node: str) -> Bracket: ...

    def heal(self, lab: Lab, node: str) -> Bracket: ...


JOURNAL = "/var/lib/labkit/faults"  # in the client: found by the lab's labels, gone with the lab


def inject(lab: Lab, fault: Fault, node: str) -> Bracket:
    """Journals the fault and injects it, so that a process which is killed now leaves word of what to heal."""
    lab.client.put([Placed(f"{JOURNAL}/{fault.name}", node.encode())])
    return fault.inject(lab, node)


def heal(lab: Lab, fault: Fault, node: str) -> Bracket:
    """Heals the fault and strikes it off the journal."""
    bracket = fault.heal(lab, node)
    lab.client.run("rm", "-f", f"{JOURNAL}/{fault.name}")
    return bracket


def unhealed(lab: Lab) -> dict[str, str]:
    """The faults that were injected and not healed: name -> node."""
    listing = f'cd {JOURNAL} 2>/dev/null && for fault in *; do [ -e "$fault" ] && echo "$fault $(cat $fault)"; done'
    listed = lab.client.run("sh", "-c", listing).output
    return dict(words for line in listed.splitlines() if len(words := line.split()) == 2)


def heal_left(lab: Lab) -> dict[str, str]:
    """Heals what a killed process left behind, and returns it. `Lab.restore()` cannot: it knows nothing of faults."""
    left = unhealed(lab)
    for name, node in left.items():
        heal(lab, fault(name), node)
    return left


def all_faults() -> dict[str, Fault]:
    """Every fault by name, sorted."""
    import labkit.faults as package

    return plugins.discover(package, Fault)  # type: ignore[type-abstract]  # modules satisfy it, not classes


def fault(name: str) -> Fault:
    """Raises BadInput, with the valid names, for no such fault."""
    faults = all_faults()
    if name not in faults:
        raise BadInput(f"there is no fault {name!r}; use one of: {', '.join(faults)}")
    return faults[name]
