"""keepalive and deadtime for two demands at once: a short outage when a node dies, none for a network that hiccups."""

import random
from typing import Any

from labkit.checks import Verdict
from labkit.errors import BadInput
from labkit.exercises import Facts, Judged, Pair, Seen, Shape
from labkit.heartbeat import commands, hacf, markers
from labkit.heartbeat.times import parse_time, show_ms
from labkit.language import Text, listed, same
from labkit.plot import duration
from labkit.spec import Spec

name = "deadtime-for-a-target"
order = 70
minutes = 25
needs = ("measure-a-failover",)
title = Text("A deadtime for a target", "Un deadtime para una meta")
shape = Shape(timing=(("keepalive", "2"), ("deadtime", "10")))
task = Text(
    """
This pair has keepalive 2 and deadtime 10 in `/etc/ha.d/ha.cf`, on both nodes. Its users are not content, and its
network is not good:

- When a node loses its power, clients may be without the page for at most **{target} s**.
- The switch between the nodes starts its ports anew now and then. For **{silence} s** no heartbeat arrives on either
  side, though both nodes are well. That must **not** lead to a failover.

1. Choose keepalive and deadtime so that both hold. Leave some room: neither a node nor the network keeps time exactly.
2. Set them on **both** nodes and have both daemons read their file again.
3. `labkit exercise check` kills the active node once, and then keeps all heartbeats away for {silence} s. You can try
   the first by yourself:

       labkit failover --name {lab} --fault node-kill

   It predicts by the times with which the pair was made, so do not mind its check `within-predicted-band`.
""",
    """
Esta pareja tiene keepalive 2 y deadtime 10 en `/etc/ha.d/ha.cf`, en ambos nodos. Sus usuarios no están contentos, y su
red no es buena:

- Cuando un nodo pierde la corriente, los clientes pueden quedarse sin la página **{target} s** como máximo.
- El conmutador de red entre los nodos reinicia sus puertos de vez en cuando. Durante **{silence} s** no llega ningún
  latido a ninguno de los dos lados, aunque ambos nodos están bien. Eso **no** debe llevar a una conmutación.

1. Elija keepalive y deadtime de modo que se cumplan ambas cosas. Deje algo de margen: ni los nodos ni la red son
   exactos con el tiempo.
2. Póngalos en **ambos** nodos y haga que los dos demonios lean de nuevo su archivo.
3. `labkit exercise check` mata una vez el nodo activo, y después retiene todos los latidos durante {silence} s. Lo
   primero lo puede probar usted mismo:

       labkit failover --name {lab} --fault node-kill

   Predice según los tiempos con los que se hizo la pareja, así que no haga caso de su comprobación
   `within-predicted-band`.
""",
)
hints = (
    Text(
        "How long can a living node be silent for its peer? Longer than the network is: the last heartbeat that came"
        " through may be one keepalive old when the silence begins.",
        "¿Cuánto tiempo puede estar callado un nodo vivo para su compañero? Más que la red: el último latido que pasó"
        " puede tener la edad de un keepalive cuando empieza el silencio.",
    ),
    Text(
        "The outage of a dead node is at most deadtime, a quarter of a second until Heartbeat looks, and the takeover,"
        " which took some tenths of a second when you measured it.",
        "El corte por un nodo muerto es como mucho deadtime, un cuarto de segundo hasta que Heartbeat mira, y el"
        " relevo, que tomó unas décimas de segundo cuando usted lo midió.",
    ),
    Text(
        "So deadtime lies between {silence} s plus keepalive and {target} s less about one second; a short keepalive"
        " widens the gap. Times below a second are written like `300ms`. `cl_status hbparameter -p deadtime` tells what"
        " the daemon runs with.",
        "Así que deadtime queda entre {silence} s más keepalive y {target} s menos un segundo, más o menos; un"
        " keepalive corto ensancha ese espacio. Los tiempos menores que un segundo se escriben como `300ms`. `cl_status"
        " hbparameter -p deadtime` dice con qué funciona el demonio.",
    ),
)
solution = Text(
    """
On both nodes, with a deadtime one second above the silence:

    nano /etc/ha.d/ha.cf             # keepalive 300ms, and deadtime: {silence} plus 1
    /etc/init.d/heartbeat stop
    /etc/init.d/heartbeat start

deadtime is a bet. Heartbeat cannot tell a dead peer from a silent network, it only knows how long it has heard nothing.
Too long, and the clients wait for it at each real fault. Too short, and a hiccup becomes a failover, with both nodes
owning {vip} until they hear each other again. keepalive shifts both bounds: what a peer hears last may be one keepalive
old. It costs next to nothing to send more often, and then a few lost heartbeats do not matter either. Both files must
say the same: each node tells its deadtime to its peer, which goes by it, so with two different ones the pair is patient
with one node and not with the other.
""",
    """
En ambos nodos, con un deadtime un segundo mayor que el silencio:

    nano /etc/ha.d/ha.cf             # keepalive 300ms, y deadtime: {silence} más 1
    /etc/init.d/heartbeat stop
    /etc/init.d/heartbeat start

deadtime es una apuesta. Heartbeat no distingue un compañero muerto de una red callada, solo sabe cuánto tiempo lleva
sin oír nada. Si es demasiado largo, los clientes lo esperan en cada fallo real. Si es demasiado corto, un hipo de la
red se vuelve una conmutación, y ambos nodos tienen {vip} hasta que se oyen de nuevo. keepalive mueve los dos límites:
lo último que oye el compañero puede tener la edad de un keepalive. Enviar más a menudo no cuesta casi nada, y entonces
tampoco importa que se pierdan unos latidos. Ambos archivos deben decir lo mismo: cada nodo comunica su deadtime a su
compañero, que se rige por él, de modo que con dos distintos la pareja tendría paciencia con un nodo y no con el otro.
""",
)
questions: dict[str, Text] = {}

SILENCES_S = (1.5, 2.0, 2.5, 3.0)
ROOM_S = 3.0  # from the silence to the outage that is allowed
KILLED = "killed"
# $1: the port, $2: so many seconds. Its end takes the rule away whatever happens to the shell.
SILENCE = """
rule="INPUT -p udp --dport $1 -j DROP"
trap "iptables -D $rule" EXIT
iptables -I $rule
sleep "$2"
"""


def planted(spec: Spec, chance: random.Random) -> dict[str, str]:
    """silence, target: in seconds."""
    silence_s = chance.choice(SILENCES_S)
    return {"silence": f"{silence_s:g}", "target": f"{silence_s + ROOM_S:g}"}


def _planted_ms(seen: "Pair | Seen", spec: Spec) -> tuple[float, float]:
    """The silence and the target."""
    told = planted(spec, seen.variant.random(name))
    return float(told["silence"]) * 1000, float(told["target"]) * 1000


def configure(pair: Pair) -> None:
    """The shape has the times."""


def prepare(pair: Pair) -> None:
    pair.await_owner(pair.first)
    pair.settle(60)


def look(pair: Pair) -> Facts:
    """The times of both files and daemons; if they are worth a try, the active node is killed, and after that all
    heartbeats are kept away for a while."""
    files = {node: _of_file(pair, node) for node in pair.lab.nodes}
    daemons = {node: _of_daemon(pair, node) for node in pair.lab.nodes}
    facts: Facts = {"files": files, "daemons": daemons, "silence": None}
    first, second = files.values()
    if first != second or daemons != files or "refused" in first or _hopeless(pair, first):
        return facts
    times = {key: f"{value:g}ms" for key, value in first.items()}
    if pair.trial(KILLED, "node-kill", timing=times):
        facts["silence"] = _silence(pair)
    return facts


def _of_file(pair: Pair, node: str) -> dict[str, Any]:
    """keepalive and deadtime in ms; refused: why the daemon would not take the file."""
    try:
        read = hacf.parse(pair.read(node, commands.HA_CF) or "", node=node)
    except BadInput as error:
        return {"refused": str(error).splitlines()[0]}
    return {"keepalive": read.keepalive_ms, "deadtime": read.deadtime_ms}


def _of_daemon(pair: Pair, node: str) -> dict[str, Any]:
    """The same as the daemon says it; empty if it does not."""
    found = {}
    for key in ("keepalive", "deadtime"):
        told = pair.ask(node, f"timeout 2 cl_status hbparameter -p {key}")
        try:
            found[key] = parse_time(told.output.strip())
        except BadInput:
            return {}
    return found


def _hopeless(pair: Pair, times: dict[str, float]) -> bool:
    """Whether the numbers alone say that one of the demands is not met, so that nobody need be killed for it."""
    silence_ms, target_ms = _planted_ms(pair, pair.lab.spec)
    return times["deadtime"] <= silence_ms or times["deadtime"] - times["keepalive"] >= target_ms


def _silence(pair: Pair) -> Facts:
    """Keeps the heartbeats from both nodes, and tells who was taken for dead in that time. Mends what comes of it."""
    silence_ms, _ = _planted_ms(pair, pair.lab.spec)
    before = {node: len(_log(pair, node)) for node in pair.lab.nodes}
    args = f"{pair.lab.spec.timing.udpport} {silence_ms / 1000:g}"
    pair.lab.each(lambda node: pair.sh(node, f"set -- {args}\n{SILENCE}"))
    calm = pair.settle()
    lines = {node: [markers.parse(line) for line in _log(pair, node)[before[node] :]] for node in pair.lab.nodes}
    if not calm:
        pair.lab.restore()
    declared = [node for node in pair.lab.nodes if any(line and line.marker == "declared-dead" for line in lines[node])]
    return {"ms": silence_ms, "declared": declared, "settled": calm}


def _log(pair: Pair, node: str) -> list[str]:
    return (pair.read(node, commands.SYSLOG) or "").splitlines()


def judge(seen: Seen) -> list[Judged]:
    files, daemons = seen.facts["files"], seen.facts["daemons"]
    first, second = files.values()
    found = [
        Judged(
            "same-on-both",
            _verdict(first == second and "refused" not in first),
            Text("the same keepalive and deadtime on both nodes", "el mismo keepalive y deadtime en ambos nodos"),
            _shown(files),
            same(commands.HA_CF),
        ),
        Judged(
            "in-force",
            _verdict(daemons == files),
            Text(
                "both daemons run with the times of their files",
                "ambos demonios funcionan con los tiempos de su archivo",
            ),
            _shown(daemons),
            same("cl_status hbparameter -p deadtime"),
        ),
    ]
    return [*found, _outage(seen), _calm(seen)]


def _outage(seen: Seen) -> Judged:
    _, target_ms = _planted_ms(seen, seen.spec)
    trial = seen.trial(KILLED)
    outage_ms = trial["outage_ms"] if trial and trial["server_after"] != trial["server_before"] else None
    met = outage_ms is not None and outage_ms <= target_ms
    what = NOT_TRIED if trial is None else same(duration(outage_ms)) if outage_ms is not None else NOT_BACK
    expected = Text(
        "an outage of at most {target} when the active node dies",
        "un corte de {target} como máximo al morir el nodo activo",
    )
    return Judged(
        "outage-target",
        _verdict(met),
        expected.filled(target=show_ms(target_ms)),
        what,
        same(f"labkit failover --name {seen.spec.name} --fault node-kill"),
    )


def _calm(seen: Seen) -> Judged:
    silence_ms, _ = _planted_ms(seen, seen.spec)
    silence = seen.facts["silence"]
    if silence is None:
        what = NOT_TRIED
    elif silence["declared"]:
        what = Text("{nodes} took the peer for dead", "{nodes} dio por muerto a su compañero")
        what = what.filled(nodes=", ".join(silence["declared"]))
    else:
        what = Text("no node took the other for dead", "ningún nodo dio por muerto al otro")
    expected = Text(
        "no failover when no heartbeat arrives for {silence}",
        "ninguna conmutación si no llega latido durante {silence}",
    )
    return Judged(
        "no-false-failover",
        _verdict(silence is not None and not silence["declared"] and silence["settled"]),
        expected.filled(silence=show_ms(silence_ms)),
        what,
        same(f"grep 'is dead' {commands.SYSLOG}"),
    )


def _shown(times: dict[str, dict[str, Any]]) -> Text:
    """keepalive and deadtime of each node."""

    def of(one: dict[str, Any]) -> str:
        return one.get("refused") or ", ".join(f"{key} {show_ms(value)}" for key, value in one.items()) or "-"

    return listed([same(f"{node}: {of(one)}") for node, one in times.items()], same(" | "))


def _verdict(right: bool) -> Verdict:
    return "pass" if right else "fail"


NOT_TRIED = Text(
    "not tried: the times are not in force on both nodes, or their numbers cannot do it",
    "sin probar: los tiempos no están en vigor en ambos nodos, o sus números no lo permiten",
)
NOT_BACK = Text("the service did not move", "el servicio no se movió")


def solve(pair: Pair) -> None:
    silence_ms, _ = _planted_ms(pair, pair.lab.spec)
    script = f"s/^keepalive .*/keepalive 300ms/; s/^deadtime .*/deadtime {silence_ms / 1000 + 1:g}/"
    stop, start = (f"{commands.HEARTBEAT_INIT} {verb}" for verb in ("stop", "start"))
    pair.lab.each(lambda node: pair.sh(node, f"sed -i '{script}' {commands.HA_CF}; {stop}"))
    pair.lab.each(lambda node: pair.sh(node, start))
    pair.settle(60)
