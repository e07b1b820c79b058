"""Faults: one file each, with its cure and what is expected of it. Rank 5.

A fault strikes one node, usually the one that has the VIP. Healing twice is harmless. What healing leaves to be done
(waiting until both nodes are settled, the VIP back at home) is `Lab.restore()`, the same for all.
"""

from typing import Protocol

from labkit import plugins
from labkit.cluster import Bracket, Lab
from labkit.errors import BadInput
from labkit.spec import Spec


class Fault(Protocol):
    """What a module of this package offers. `name` is for people and JSON, `describe` one sentence for help texts."""

    name: str
    describe: str

    def expects_move(self, spec: Spec) -> bool:
        """Whether the peer is expected to serve afterwards."""

    def predict(self, spec: Spec) -> tuple[float, float] | None:
        """The outage's band in ms as the configuration has it; None where nothing is predicted."""

    def inject(self, lab: Lab, node: str) -> Bracket: ...

    def heal(self, lab: Lab, node: str) -> Bracket: ...


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
