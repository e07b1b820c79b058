"""Faults: one file each, with its parameters, its cure and what is expected of it. Rank 5.

A fault strikes one node, usually the one that has the VIP. Healing twice is harmless. What healing leaves to be done
(waiting until both nodes are settled, the VIP back at home) is `Lab.restore()`, the same for all.

A fault with parameters names them in its PARAMETERS, and its `expect` and `inject` take them by keyword. A user sets
them behind the fault's name: `loss:share=0.5`. Healing needs none: it undoes whatever was done.

The faults of the web server, `apache-...`, strike a service of one's own in its place, unless they say NEEDS_APACHE.
A fault that needs more than the least privileges of a node names the capabilities in its NEEDS, and what for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from labkit import plugins
from labkit.cluster import Bracket, Lab
from labkit.engine import Placed
from labkit.errors import BadInput, NotAvailable
from labkit.spec import Spec


@dataclass(frozen=True)
class Expectation:
    """What a fault does to a lab of a given spec, if all is as it should be. Anything else is a failed check.

    moves: the peer serves afterwards. outage_ms: the band in which the client's outage lies, None where nothing is
    predicted. dual_owner: two nodes answer for the VIP at some time before the lab is whole again. As the guide prints
    it they always do, which is one of its mistakes, and never expected. both_alive: both nodes live and can reach each
    other, so that taking one for dead is a false failover. takes_cpu: it keeps nodes from the CPU itself, so that a
    busy machine is its doing. why: the reason in a sentence or two.
    """

    moves: bool
    why: str
    outage_ms: tuple[float, float] | None = None
    dual_owner: bool = False
    both_alive: bool = False
    takes_cpu: bool = False


class Fault(Protocol):
    """What a module of this package offers. `name` is for people and JSON, `describe` one sentence for help texts."""

    name: str
    describe: str

    def expect(self, spec: Spec) -> Expectation:
        """What the fault does to such a lab. The module's text derives the band."""

    def inject(self, lab: Lab, node: str) -> Bracket: ...

    def heal(self, lab: Lab, node: str) -> Bracket: ...


class Listed(Fault, Protocol):
    """A fault of the catalogue, which students read about in Spanish, too."""

    describe_es: str


@dataclass(frozen=True)
class Parameter:
    """A number that changes what a fault does, from `lowest` to `highest`. The unit stands in its name or meaning."""

    default: float
    lowest: float
    highest: float
    meaning: str


@dataclass  # not frozen, because a Fault's attributes can be set: modules are faults, too
class _Tuned:
    """A fault with a user's parameters. name: as the user spelled it, so that results tell it from the plain one."""

    name: str
    describe: str
    plain: Any
    values: Mapping[str, float]

    def expect(self, spec: Spec) -> Expectation:
        expected: Expectation = self.plain.expect(spec, **self.values)
        return expected

    def inject(self, lab: Lab, node: str) -> Bracket:
        bracket: Bracket = self.plain.inject(lab, node, **self.values)
        return bracket

    def heal(self, lab: Lab, node: str) -> Bracket:
        bracket: Bracket = self.plain.heal(lab, node)
        return bracket


def expect(fault: Fault, spec: Spec) -> Expectation:
    """What a fault does to such a lab. How long a service of one's own takes to stop and to start is not known, so that
    no outage is predicted for a move of it."""
    expected = fault.expect(spec)
    if spec.service.is_apache:
        return expected
    why = expected.why.replace("apache2", spec.service.name)
    return replace(expected, why=why, outage_ms=None if expected.moves else expected.outage_ms)


JOURNAL = "/var/lib/labkit/faults"  # in the client: found by the lab's labels, gone with the lab


def inject(lab: Lab, fault: Fault, node: str) -> Bracket:
    """Journals the fault and injects it, so that a process which is killed now leaves word of what to heal.

    Raises what require() raises, before anything is done.
    """
    require(lab.spec, fault)
    lab.client.put([Placed(f"{JOURNAL}/{fault.name}", node.encode())])
    return fault.inject(lab, node)


def heal(lab: Lab, fault: Fault, node: str) -> Bracket:
    """Heals the fault and strikes it off the journal."""
    bracket = fault.heal(lab, node)
    lab.client.run("rm", "-f", f"{JOURNAL}/{fault.name}")
    return bracket


def needs(fault: Fault) -> Mapping[str, str]:
    """The capabilities that a fault needs beyond the least privileges, and what for; most need none."""
    found: Mapping[str, str] = getattr(getattr(fault, "plain", fault), "NEEDS", {})
    return found


def require(spec: Spec, *wanted: Fault) -> None:
    """Whether faults can strike such a lab; to be asked before anything is made or touched.

    Raises BadInput for one that says NEEDS_APACHE where the lab serves something else, because only apache2 has a
    configuration that is known; NotAvailable, with the reasons, if the nodes have not the privileges that faults need.
    """
    for fault in wanted:
        if getattr(fault, "NEEDS_APACHE", False) and not spec.service.is_apache:
            raise BadInput(
                f"{fault.name} changes apache2's configuration, and the lab {spec.name!r} serves {spec.service.name};"
                " use apache-stop, apache-kill or apache-hang, which strike the service, whatever it is"
            )
    lacking = [] if spec.privileged else [one for one in wanted if needs(one)]
    if lacking:
        why = "; ".join(
            f"{one.name} needs {capability} {purpose}" for one in lacking for capability, purpose in needs(one).items()
        )
        raise NotAvailable(
            f"{why}, and the nodes of the lab {spec.name!r} have the least privileges: leave out --least-privilege, or"
            " `privileged: false` in lab.yaml"
        )


def unhealed(lab: Lab) -> dict[str, str]:
    """The faults that were injected and not healed: name -> node."""
    listing = f'cd {JOURNAL} 2>/dev/null && for fault in *; do [ -e "$fault" ] && echo "$fault $(cat $fault)"; done'
    listed = lab.client.run("sh", "-c", listing).output
    return dict(words for line in listed.splitlines() if len(words := line.split()) == 2)


def heal_left(lab: Lab) -> dict[str, str]:
    """Heals what a killed process left behind, and returns it. `Lab.restore()` cannot: it knows nothing of faults.

    What is in no catalogue, as the load of `labkit tune`, is struck off alone: it is for `Lab.restore()` to undo.
    """
    left = unhealed(lab)
    for name, node in left.items():
        try:
            one = fault(name)
        except BadInput:
            lab.client.run("rm", "-f", f"{JOURNAL}/{name}")
        else:
            heal(lab, one, node)
    return left


def all_faults() -> dict[str, Listed]:
    """Every fault by name, sorted."""
    import labkit.faults as package

    return plugins.discover(package, Listed)  # type: ignore[type-abstract]  # modules satisfy it, not classes


def parameters(fault: Fault) -> Mapping[str, Parameter]:
    """The parameters of a fault by name; most have none."""
    found: Mapping[str, Parameter] = getattr(fault, "PARAMETERS", {})
    return found


def fault(text: str) -> Fault:
    """The fault of that name and of the parameters behind it: `loss:share=0.5`, `cpu-starve:cpus=0.1,loops=4`.

    Raises BadInput, with what is possible, for no such fault, parameter or value.
    """
    name, _, given = text.partition(":")
    faults = all_faults()
    if name not in faults:
        raise BadInput(f"there is no fault {name!r}; use one of: {', '.join(faults)}")
    if not given:
        return faults[name]
    plain = faults[name]
    return _Tuned(text, plain.describe, plain, dict(_value(name, plain, one) for one in given.split(",")))


def _value(name: str, fault: Fault, text: str) -> tuple[str, float]:
    known = parameters(fault)
    key, _, number = text.partition("=")
    if key not in known:
        possible = f"it has {', '.join(known)}" if known else "it has none"
        raise BadInput(f"the fault {name} has no parameter {key!r}; {possible}")
    parameter = known[key]
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not parameter.lowest <= value <= parameter.highest:
        raise BadInput(
            f"{name}:{key} cannot be {number!r}; use a number from {parameter.lowest:g} to {parameter.highest:g}"
            f" ({parameter.meaning})"
        )
    return key, value
