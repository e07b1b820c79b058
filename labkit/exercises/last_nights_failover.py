"""Somebody has to say what happened last night: a pair that is well again, and its logs."""

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from labkit import faults
from labkit.cluster.lab import settled
from labkit.engine import Placed
from labkit.errors import LabkitError, Unsettled
from labkit.exercises import Facts, Judged, Pair, Seen, Shape
from labkit.heartbeat import commands, markers
from labkit.heartbeat.markers import LogLine
from labkit.language import Text, listed, same
from labkit.spec import Spec
from labkit.timing import SECOND

name = "last-nights-failover"
order = 160
minutes = 40
needs = ("apache2-dies-unnoticed", "planned-maintenance", "split-brain")
title = Text("Last night's failover", "La conmutación de anoche")
shape = Shape()
task = Text(
    """
The pair {first} and {second} is well, and {vip} answers. But last night (on this pair: some minutes ago) the address
went over to the other node for a while. Your boss wants to know what happened, and all that is left are the logs.

1. Read `/var/log/syslog` and `/var/log/apache2/error.log` on **both** nodes. Heartbeat, its scripts, monit and the
   monitor's script `labkit-monitor` all write to syslog. Its stamps are UTC.
2. Find the move in question: the **first** one. The logs were rotated just before, and begin with a pair that is well;
   what came after that move brought the address back.
3. Answer the four questions, each by `labkit exercise answer KEY VALUE`:
   - `node`: which node had {vip} when it began?
   - `cause`: what happened there? One of these words:
     - `power`: the node lost its power, and booted again later
     - `heartbeat-stopped`: somebody stopped Heartbeat in good order
     - `standby`: somebody asked for a hand-over, and all was well
     - `apache2-killed`: apache2 died without a trace
     - `apache2-stopped`: somebody stopped apache2 in good order
     - `apache2-hung`: apache2 ran, and answered no more
     - `partition`: both nodes were well, and no longer heard each other
   - `time`: when did the other node put {vip} on its interface? As in the log, HH:MM:SS.
   - `gap`: for how long did {vip} belong to nobody in this move? Count until the second node put the address on. Begin
     where the first one had taken it off; if it never came to that, where it was last heard. In seconds, as `2.4`; `0`
     if a node that was well had it all the while.
""",
    """
La pareja ({first}, {second}) está bien, y {vip} responde. Pero anoche (en esta pareja: hace unos minutos) la dirección
pasó un rato al otro nodo. Su jefa quiere saber qué ocurrió, y lo único que queda son los registros.

1. Lea `/var/log/syslog` y `/var/log/apache2/error.log` en **ambos** nodos. Heartbeat, sus scripts, monit y el script
   del monitor, `labkit-monitor`, escriben todos en syslog. Sus marcas de tiempo son UTC.
2. Encuentre el traslado en cuestión: el **primero**. Los registros se rotaron justo antes y comienzan con una pareja
   que está bien; lo que vino después de ese traslado devolvió la dirección.
3. Conteste las cuatro preguntas, cada una con `labkit exercise answer CLAVE VALOR`:
   - `node`: ¿qué nodo tenía {vip} cuando empezó?
   - `cause`: ¿qué ocurrió allí? Una de estas palabras:
     - `power`: el nodo se quedó sin corriente y arrancó de nuevo más tarde
     - `heartbeat-stopped`: alguien detuvo Heartbeat de forma ordenada
     - `standby`: alguien pidió la entrega, y todo estaba bien
     - `apache2-killed`: apache2 murió sin dejar rastro
     - `apache2-stopped`: alguien detuvo apache2 de forma ordenada
     - `apache2-hung`: apache2 funcionaba y ya no contestaba
     - `partition`: ambos nodos estaban bien y dejaron de oírse
   - `time`: ¿cuándo puso el otro nodo {vip} en su interfaz? Como en el registro, HH:MM:SS.
   - `gap`: ¿durante cuánto tiempo {vip} no fue de nadie en este traslado? Cuente hasta que el segundo nodo puso la
     dirección. Empiece cuando el primero la había quitado; si no llegó a quitarla, cuando se le oyó por última vez. En
     segundos, como `2.4`; `0` si un nodo que estaba bien la tuvo todo el tiempo.
""",
)
hints = (
    Text(
        "`grep -n inet /var/log/syslog` on both nodes shows when each put the address on. Lay the two logs side by"
        " side: the lines **before** the earliest of these, on both nodes, tell why.",
        "`grep -n inet /var/log/syslog` en ambos nodos muestra cuándo puso cada uno la dirección. Ponga los dos"
        " registros lado a lado: las líneas **anteriores** a la más temprana, en ambos nodos, dicen por qué.",
    ),
    Text(
        "On the node that took over: did Heartbeat get a farewell (`Received shutdown notice`), a request (`wants to go"
        " standby`), or nothing (`is dead`)? If a request: did `labkit-monitor` make it, and what had"
        " monit seen before? If nothing: does the other node's log go on at that moment, or is there a hole in it?",
        "En el nodo que tomó el relevo: ¿recibió Heartbeat una despedida (`Received shutdown notice`), una petición"
        " (`wants to go standby`) o nada (`is dead`)? Si fue una petición: ¿la hizo `labkit-monitor`, y qué"
        " había visto monit antes? Si no fue nada: ¿sigue en ese momento el registro del otro nodo, o hay un hueco en"
        " él?",
    ),
    Text(
        "monit tells an apache2 that is gone (`process is not running`) from one that hangs (`failed protocol test`)."
        " Whoever stops apache2 in good order leaves `caught SIGTERM` in its error.log, before the hand-over; whoever"
        " kills it leaves nothing there.",
        "monit distingue un apache2 que ya no está (`process is not running`) de uno que no contesta (`failed protocol"
        " test`). Quien detiene apache2 de forma ordenada deja `caught SIGTERM` en su error.log, antes de la entrega;"
        " quien lo mata no deja nada allí.",
    ),
    Text(
        "The gap: where a node gave the address up it says so (`IP status = ok`, from IPaddr2), and the gap lasts from"
        " there until the other has it. A dead node gave nothing up, but its ownership ended with its last heartbeat:"
        " deadtime ({deadtime}) before `is dead`. And a node that was alive all the time, and gave nothing up, had it"
        " all the time.",
        "El hueco: donde un nodo entregó la dirección, lo dice (`IP status = ok`, de IPaddr2), y el hueco dura desde"
        " ahí hasta que el otro la tiene. Un nodo muerto no entregó nada, pero dejó de ser dueño con su último latido:"
        " deadtime ({deadtime}) antes de `is dead`. Y un nodo que estuvo vivo todo el tiempo y no entregó nada, la tuvo"
        " todo el tiempo.",
    ),
)
solution = Text(
    """
    grep -n inet /var/log/syslog

on both nodes. The earliest line is the move: its time is the answer `time`; the other node, which does **not** have
that line, is `node`. Then read what stands before it:

| on the node that took over | on the node that had it | cause |
| --- | --- | --- |
| `is dead`, nothing before | silence, then a boot: sshd, `Configuration validated` | `power` |
| `is dead`, nothing before | at the same time an `is dead` of its own | `partition` |
| `Received shutdown notice` | `Heartbeat shutdown in progress` | `heartbeat-stopped` |
| `wants to go standby` | no line of `labkit-monitor` | `standby` |
| `wants to go standby` | monit: `failed protocol test` | `apache2-hung` |
| `wants to go standby` | monit: `process is not running`; error.log: `caught SIGTERM` before it | `apache2-stopped` |
| `wants to go standby` | the same, and nothing in error.log | `apache2-killed` |

Of monit, its last words before `handing over` count: later on Heartbeat itself stops apache2, and monit misses it.

`gap` is the time of the move less that of `IP status = ok` on the node that gave the address up. After a loss of power
it is the time of the move less that of `is dead`, and deadtime ({deadtime}) on top. In a partition nobody gave anything
up: `0`, and that is not good news, for two nodes had the address.

One log never tells the story. What a node does **not** say is told by the other one's; and the first sign of a fault is
not the line with ERROR in it, but the one where two logs begin to disagree.
""",
    """
    grep -n inet /var/log/syslog

en ambos nodos. La línea más temprana es el traslado: su hora es la respuesta `time`; el otro nodo, el que **no** tiene
esa línea, es `node`. Lea después lo que está antes:

| en el nodo que tomó el relevo | en el nodo que tenía la dirección | causa |
| --- | --- | --- |
| `is dead`, nada antes | silencio, luego un arranque: sshd, `Configuration validated` | `power` |
| `is dead`, nada antes | a la vez, su propio `is dead` | `partition` |
| `Received shutdown notice` | `Heartbeat shutdown in progress` | `heartbeat-stopped` |
| `wants to go standby` | ninguna línea de `labkit-monitor` | `standby` |
| `wants to go standby` | monit: `failed protocol test` | `apache2-hung` |
| `wants to go standby` | monit: `process is not running`; error.log: `caught SIGTERM` antes | `apache2-stopped` |
| `wants to go standby` | lo mismo, y nada en error.log | `apache2-killed` |

De monit cuentan sus últimas palabras antes de `handing over`: después es Heartbeat quien detiene apache2, y monit
nota que falta.

`gap` es la hora del traslado menos la de `IP status = ok` en el nodo que entregó la dirección. Tras una pérdida de
corriente es la hora del traslado menos la de `is dead`, más deadtime ({deadtime}). En una partición nadie entregó nada:
`0`, y eso no es buena noticia, porque dos nodos tenían la dirección.

Un solo registro nunca cuenta la historia. Lo que un nodo **no** dice lo cuenta el del otro; y la primera señal de un
fallo no es la línea que lleva ERROR, sino aquella en la que los dos registros dejan de coincidir.
""",
)
questions = {
    "node": Text("which node had {vip} when it began", "qué nodo tenía {vip} cuando empezó"),
    "cause": Text("what happened there, in one of the task's words", "qué ocurrió allí, en una palabra de la tarea"),
    "time": Text("when the other node put {vip} on, HH:MM:SS", "cuándo puso el otro nodo {vip}, HH:MM:SS"),
    "gap": Text("seconds in which {vip} was nobody's", "segundos en que {vip} no fue de nadie"),
}

CAUSES = {
    "power": "node-reboot",
    "heartbeat-stopped": "heartbeat-stop",
    "standby": "standby",
    "apache2-killed": "apache-kill",
    "apache2-stopped": "apache-stop",
    "apache2-hung": "apache-hang",
    "partition": "partition",
}
RETURNS_BY_ITSELF = ("power", "heartbeat-stopped", "partition")
RECORD = "/root/incident.json"  # in the client, where the student has no business
APACHE_LOG = "/var/log/apache2/error.log"
TIME_S = 1.0  # how far an answer may be off
GAP_S = 0.3  # the logs have several lines about one act
SILENT_GAP_S = 0.8  # when a node fell silent is known to within a heartbeat
DAY_S = 24 * 3600


@dataclass(frozen=True)
class Account:
    """What there is to tell. at_s: time of day in seconds, UTC; gap_s: seconds without a living owner."""

    node: str
    cause: str
    at_s: float
    gap_s: float


def plant(spec: Spec, chance: random.Random) -> tuple[str, str]:
    """The node that the address belongs to, and the cause."""
    return chance.choice(sorted(spec.nodes)), chance.choice(sorted(CAUSES))


def configure(pair: Pair) -> None:
    """The address is at home on the planted node, or the preferred one would be the culprit in everybody's pair."""
    home, _ = plant(pair.lab.spec, pair.variant.random(name))
    for node in pair.lab.nodes:
        if home != pair.first:
            pair.edit(node, commands.HARESOURCES, f"\n{pair.first} ", f"\n{home} ")


def prepare(pair: Pair) -> None:
    """The incident, and its end; what is true of it goes to where the student does not look.

    The logs begin with it: at the boot, either node may have been first to take the address.
    """
    lab = pair.lab
    home, cause = plant(lab.spec, pair.variant.random(name))
    other = lab.spec.peer_of(home)
    _await_home(pair, home)
    for node in lab.nodes:
        pair.sh(node, f": > {APACHE_LOG}; : > {commands.SYSLOG}; logger -t logrotate 'a new log begins'")
    fault = faults.fault(CAUSES[cause])
    fault.inject(lab, home)
    lab.await_nodes(lambda now: now[other].vip, f"the VIP is on {other}")
    if cause in RETURNS_BY_ITSELF:
        fault.heal(lab, home)
    else:
        lab.await_nodes(settled, "the nodes have settled after the hand-over")
        pair.sh(home, f"{commands.APACHE_INIT} start")
        _take_home(pair, home)
    _await_home(pair, home)
    account = _account(pair, home, cause)
    lab.client.put([Placed(RECORD, json.dumps(asdict(account)).encode(), 0o600)])


def _take_home(pair: Pair, home: str) -> None:
    """A request is lost now and then."""
    for patience_s in (20.0, 60.0):
        pair.sh(home, commands.HB_TAKEOVER)
        try:
            pair.lab.await_nodes(lambda now: now[home].vip and settled(now), f"the VIP is on {home}", patience_s)
            return
        except Unsettled as error:
            lost = error
    raise lost


def _await_home(pair: Pair, home: str) -> None:
    """The pair is as it should be: settled, the VIP at home, apache2 running on both, as it does not after a move."""
    other = pair.lab.spec.peer_of(home)
    now = pair.lab.await_nodes(
        lambda now: settled(now) and now[home].vip and not now[other].vip, f"{home} alone has the VIP"
    )
    for node, status in now.items():
        if not status.apache2:
            pair.sh(node, f"{commands.APACHE_INIT} start")
    pair.lab.await_pages()


# What the logs tell


def _lines(pair: Pair) -> list[LogLine]:
    """Both nodes' logs as one, by their stamps: the nodes have one clock."""
    texts = (pair.read(node, commands.SYSLOG) or "" for node in pair.lab.nodes)
    return sorted(line for text in texts for line in map(markers.parse, text.splitlines()) if line)


def _last(lines: Iterable[LogLine], marker: str, host: str, until_ns: int) -> int | None:
    """When a node last logged a marker before an instant."""
    stamps = (one.wall_ns for one in lines if one.marker == marker and one.host == host)
    return max((stamp for stamp in stamps if stamp <= until_ns), default=None)


def _account(pair: Pair, node: str, cause: str) -> Account:
    """When the address went over, and how long nobody had it. Raises LabkitError where the logs do not tell."""
    lines, other = _lines(pair), pair.lab.spec.peer_of(node)
    up_ns = next((one.wall_ns for one in lines if one.marker == "address-up" and one.host == other), None)
    if up_ns is None:
        raise LabkitError(f"the log of {other} does not tell when it put the VIP on\n{pair.lab.tails()}")
    marker, host = ("declared-dead", other) if cause == "power" else ("address-down", node)
    ended_ns = up_ns if cause == "partition" else _last(lines, marker, host, up_ns)
    if ended_ns is None:
        raise LabkitError(f"the log of {host} does not tell when {node} lost the VIP\n{pair.lab.tails()}")
    silent_s = pair.lab.spec.timing.deadtime_ms / 1000 if cause == "power" else 0.0
    return Account(node, cause, up_ns / SECOND % DAY_S, (up_ns - ended_ns) / SECOND + silent_s)


def look(pair: Pair) -> Facts:
    """What of the incident's record the student has found out, and no more: facts are kept where he can read them.

    Raises LabkitError where there is no record.
    """
    true: Facts = json.loads(pair.lab.client.get(RECORD))
    told = _told(pair.answers)
    moved = _moved(told, true)
    found = [*(("node", "at_s") if moved else ()), *(("cause", "gap_s") if moved and _why(told, true) else ())]
    return {key: true[key] for key in found}


def _told(answers: Mapping[str, str]) -> dict[str, str]:
    return {key: answers.get(key, "").strip().lower() for key in questions}


def _moved(told: Mapping[str, str], true: Facts) -> bool:
    """Whether node and time are right. True is a part of an Account; what it lacks, nobody has found."""
    at_s = _time_of_day(told["time"])
    if at_s is None or told["node"] != true.get("node"):
        return False
    off_s: float = abs(at_s - true["at_s"])
    return min(off_s, DAY_S - off_s) <= TIME_S


def _why(told: Mapping[str, str], true: Facts) -> bool:
    """Whether cause and gap are."""
    gap_s = _seconds(told["gap"])
    if gap_s is None or told["cause"] != true.get("cause"):
        return False
    allowed_s = SILENT_GAP_S if true["cause"] == "power" else GAP_S
    true_s: float = true["gap_s"]
    return abs(gap_s - true_s) <= allowed_s and (gap_s > 0) == (true_s > 0)


def judge(seen: Seen) -> list[Judged]:
    """Two answers at a time, so that none of them can be found by trying."""
    told = _told(seen.answers)
    moved, why = _moved(told, seen.facts), _why(told, seen.facts)
    formed = {
        "node": told["node"] in seen.spec.nodes,
        "cause": told["cause"] in CAUSES,
        "time": _time_of_day(told["time"]) is not None,
        "gap": _seconds(told["gap"]) is not None,
    }
    malformed = [key for key, right in formed.items() if not right]
    no_answer = Text("no answer in this form yet: {keys}", "aún sin respuesta en esta forma: {keys}")
    syslog = same(f"{commands.SYSLOG}, {APACHE_LOG}")
    return [
        Judged(
            "answered",
            "fail" if malformed else "pass",
            Text(
                "node: a node's name; cause: one of the task's words; time: HH:MM:SS; gap: seconds, as 2.4",
                "node: el nombre de un nodo; cause: una palabra de la tarea; time: HH:MM:SS; gap: segundos, como 2.4",
            ),
            no_answer.filled(keys=", ".join(malformed)) if malformed else _shown(told, questions),
            same("labkit exercise answer"),
        ),
        Judged(
            "what-moved",
            "pass" if moved else "fail",
            Text("node and time as the logs have them", "node y time como dicen los registros"),
            _verdict(moved, told, ("node", "time")),
            syslog,
        ),
        Judged(
            "why",
            "pass" if why else "fail",
            Text("cause and gap as the logs have them", "cause y gap como dicen los registros"),
            _verdict(why, told, ("cause", "gap")),
            syslog,
        ),
    ]


def _verdict(right: bool, told: Mapping[str, str], keys: Sequence[str]) -> Text:
    if not all(told[key] for key in keys):
        return Text("not both answered yet", "aún no están respondidas las dos")
    wrong = Text(
        "{told}: the logs tell otherwise, of one or of both", "{told}: los registros dicen otra cosa, en una o ambas"
    )
    return _shown(told, keys) if right else wrong.filled(told=_shown(told, keys))


def _shown(told: Mapping[str, str], keys: Iterable[str]) -> Text:
    return listed([same(f"{key} {told[key] or '-'}") for key in keys])


def _time_of_day(text: str) -> float | None:
    """Seconds since midnight, from HH:MM:SS, with or without a fraction, or a whole stamp in lower case, or None."""
    found = re.fullmatch(r"(?:\S+t)?([01]?\d|2[0-3]):([0-5]\d):([0-5]\d(?:\.\d+)?)(?:z|\+00:00)?", text)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else None


def _seconds(text: str) -> float | None:
    """A number with a point or a comma, with or without a unit; None if malformed."""
    found = re.fullmatch(r"(\d+(?:[.,]\d+)?) ?s?", text)
    return float(found[1].replace(",", ".")) if found else None


def _monits_last_word(lines: list[LogLine], node: str) -> str:
    """What the monitor missed before it first handed over."""
    noted = [one for one in lines if one.host == node and one.marker in ("monitor-tripped", "handing-over")]
    until = next(index for index, one in enumerate(noted) if one.marker == "handing-over")
    return noted[until - 1].text if until else ""


def solve(pair: Pair) -> None:
    """By reading the logs, as the solution's table has it."""
    lines = _lines(pair)
    move = next(one for one in lines if one.marker == "address-up")
    other, home = move.host, pair.lab.spec.peer_of(move.host)

    def before(marker: str, host: str) -> int | None:
        return _last(lines, marker, host, move.wall_ns)

    if before("shutdown-notice", other):
        cause = "heartbeat-stopped"
    elif before("declared-dead", other):
        goes_on = any(one.host == home and one.marker == "declared-dead" for one in lines)
        cause = "partition" if goes_on else "power"
    elif not before("handing-over", home):
        cause = "standby"
    elif "failed protocol test" in _monits_last_word(lines, home):
        cause = "apache2-hung"
    else:
        cause = "apache2-stopped" if "caught SIGTERM" in (pair.read(home, APACHE_LOG) or "") else "apache2-killed"
    account = _account(pair, home, cause)
    minutes, seconds = divmod(int(account.at_s), 60)
    clock = f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    pair.answers.update(node=home, cause=cause, time=clock, gap=f"{account.gap_s:.1f}")
