"""An exercise on a real pair: brought up, put into its starting state, looked at and judged."""

from collections.abc import Callable
from dataclasses import dataclass

from labkit import history
from labkit.cluster import Lab, lifecycle
from labkit.engine import Engine
from labkit.errors import LabkitError, Unsettled
from labkit.exercises import Exercise, Judged, Pair, Seen, attended
from labkit.language import Text, same
from labkit.progress import Progress, Silent
from labkit.spec import Spec


@dataclass(frozen=True)
class Examined:
    """What an examination found: what was seen, and what follows from it."""

    seen: Seen
    judged: list[Judged]

    @property
    def verdict(self) -> str:
        """fail if any check failed, else unknown if any is, else pass."""
        verdicts = {one.verdict for one in self.judged}
        return next((word for word in ("fail", "unknown") if word in verdicts), "pass")


def begin(engine: Engine, one: Exercise, pair_of: Callable[[Lab], Pair], spec: Spec, shown: Progress) -> Pair:
    """A new pair in the exercise's starting state, in place of any of that name.

    pair_of: makes the pair of a lab. spec: see Variant.spec; a subnet that somebody has is an error that names who.
    """

    def configured(lab: Lab) -> None:
        if not one.shape.bare:
            lifecycle.configure(lab)
        one.configure(pair_of(lab))

    lifecycle.remove(engine, spec.name, Silent())
    options = lifecycle.Options(staged=False, bare=True, before_power=configured, auto_ports=True, auto_subnet=True)
    pair = pair_of(lifecycle.up(engine, spec, options, shown).lab)
    one.prepare(pair)
    return pair


def examine(one: Exercise, pair: Pair) -> Examined:
    """Looks at the pair and judges. What keeps it from looking makes one check `unknown`; nothing passes by that."""
    pair.made.clear()
    try:
        with attended(one, pair):
            facts = one.look(pair)
    except Unsettled as error:
        facts = {"trouble": str(error)}
    except LabkitError as error:
        facts = {"trouble": str(error).splitlines()[0]}
    runs = {name: history.read(folder.history) for name, folder in pair.made.items()}
    seen = Seen(pair.lab.spec, pair.variant, facts, runs, dict(pair.answers))
    return Examined(seen, judge(one, seen))


def judge(one: Exercise, seen: Seen) -> list[Judged]:
    """What an exercise makes of what was seen. Pure, but for a judgement that crashes: that one is `unknown`."""
    if "trouble" in seen.facts:
        return [_unknown(same(str(seen.facts["trouble"])))]
    try:
        return one.judge(seen)
    except Exception as error:  # a judgement that crashes must not pass, nor take the others with it
        return [_unknown(same(f"{type(error).__name__}: {error}"))]


def _unknown(what: Text) -> Judged:
    return Judged(
        "looking",
        "unknown",
        Text("a pair that can be looked at", "una pareja que se pueda mirar"),
        what,
        same("labkit status; labkit exercise reset"),
    )
