"""An exercise on a real pair: begun, found again, looked at and judged."""

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

from labkit import history
from labkit.cluster import Lab, lifecycle
from labkit.course.desk import Attempt
from labkit.engine import Engine, Placed
from labkit.errors import LabkitError
from labkit.exercises import Exercise, Judged, Pair, Seen, attended
from labkit.language import Said, Text, same
from labkit.progress import Silent
from labkit.spec import Spec

ALONE = lifecycle.Options(auto_ports=True)
ATTEMPT = "/var/lib/labkit/attempt"  # in the client: which attempt a pair belongs to
# What a student changes on a node: its files, what runs, its addresses and its packet filter. pgrep -c itself is none.
FINGERPRINT = """
cat /etc/ha.d/* /etc/monit/monitrc /var/www/html/index.html /etc/crontab /var/spool/cron/crontabs/* 2>/dev/null
ps -e -o comm= | sort | uniq -c | grep -E 'heartbeat|apache2|monit|ipfail|tcpdump'
ip -o address; ip -o link | cut -d'<' -f2 | cut -d'>' -f1
iptables-save | grep -v '^[#:]'
"""


@dataclass(frozen=True)
class Examined:
    """What an examination found: what was seen, and what follows from it."""

    seen: Seen
    judged: list[Judged]

    @property
    def verdict(self) -> str:
        """fail if any check failed, else unknown if any is or if there are none, else pass."""
        verdicts = {one.verdict for one in self.judged} or {"unknown"}
        return next((word for word in ("fail", "unknown") if word in verdicts), "pass")


def begin(
    engine: Engine,
    one: Exercise,
    pair_of: Callable[[Lab], Pair],
    spec: Spec,
    options: lifecycle.Options = ALONE,
) -> Pair:
    """A new pair in the exercise's starting state, in place of any of that name; if it fails, nothing is left.

    pair_of: makes the pair of a lab. spec: see Variant.spec. The subnet is a free one if somebody has the spec's.
    options: the rest of how it comes up.
    """

    def configured(lab: Lab) -> None:
        if not one.shape.bare:
            lifecycle.configure(lab)
        one.configure(pair_of(lab))

    lifecycle.remove(engine, spec.name, Silent())
    begun = replace(options, staged=False, bare=True, before_power=configured, auto_subnet=True)
    try:
        pair = pair_of(lifecycle.up(engine, spec, begun, Silent()).lab)
        one.prepare(pair)
    except BaseException:
        lifecycle.remove(engine, spec.name, Silent())
        raise
    return pair


def lay_down(lab: Lab, attempt: Attempt) -> None:
    """Marks a pair as that attempt's."""
    lab.client.put([Placed(ATTEMPT, attempt.id.encode())])


def laid(lab: Lab) -> str:
    """The id of the attempt that a pair belongs to; empty if it is none's."""
    try:
        return lab.client.get(ATTEMPT).decode()
    except LabkitError:
        return ""


def find(engine: Engine, attempt: Attempt, tell: Callable[[Text], None]) -> Lab:
    """The attempt's pair, started again if it was stopped, which is told. Raises BadInput if there is none, or only
    another's."""
    lab = lifecycle.find(engine, attempt.lab)
    about = {"exercise": attempt.exercise, "lab": attempt.lab}
    if lab is None:
        gone = Text(
            "the pair of {exercise} is gone (lab {lab}); `labkit exercise reset` gives a fresh one",
            "la pareja de {exercise} ya no existe (laboratorio {lab}); `labkit exercise reset` da una nueva",
        )
        raise Said(gone.filled(**about))
    if laid(lab) != attempt.id:
        other = Text(
            "the lab {lab} is not the pair of this attempt at {exercise}; `labkit exercise reset` gives a fresh one",
            "el laboratorio {lab} no es la pareja de este intento de {exercise}; `labkit exercise reset` da una nueva",
        )
        raise Said(other.filled(**about))
    if lab.client.state() != "running" or lab.gateway.state() != "running":
        stopped = Text(
            "the pair was stopped, as by a reboot: it is started again, as it was left",
            "la pareja estaba detenida, como tras un reinicio: arranca de nuevo, tal como quedó",
        )
        tell(stopped)
        lifecycle.resume(lab)
    return lab


def fingerprint(lab: Lab) -> str:
    """Of what a student may have changed on the nodes. Different when anything of that is."""

    def told(node: str) -> str:
        try:
            return lab.node(node).run("sh", "-c", FINGERPRINT).output
        except LabkitError:
            return "it has no power"

    return hashlib.sha256("\0".join(lab.each(told)).encode()).hexdigest()


def examine(one: Exercise, pair: Pair) -> Examined:
    """Looks at the pair and judges. What keeps it from looking makes one check `unknown`; nothing passes by that."""
    pair.made.clear()
    try:
        with attended(one, pair) or nullcontext():
            facts = one.look(pair)
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
    except Exception as error:  # a judgement that crashes must not pass
        return [_unknown(same(f"{type(error).__name__}: {error}"))]


def _unknown(what: Text) -> Judged:
    return Judged(
        "looking",
        "unknown",
        Text("a pair that can be looked at", "una pareja que se pueda mirar"),
        what,
        same("labkit status; labkit exercise reset"),
    )
