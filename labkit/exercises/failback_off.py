"""Failing back costs a second outage; with auto_failback off it comes when somebody chooses, or never."""

from collections.abc import Sequence

from labkit import history
from labkit.checks import Verdict
from labkit.errors import BadInput
from labkit.exercises import Facts, Judged, Pair, Seen, Shape, _tools_runs
from labkit.heartbeat import commands, hacf
from labkit.history import Event
from labkit.language import Text, listed, same

name = "failback-off"
order = 90
minutes = 25
needs = ("measure-a-failover",)
title = Text("Failback, and auto_failback off", "El retorno (failback), y auto_failback off")
shape = Shape()
task = Text(
    """
{first} dies, {second} takes over, and clients have their page again. Then somebody repairs {first}. What do the clients
see of that?

1. In a folder without a `lab.yaml`, measure as you did before:

       labkit failover --name {lab} --fault node-kill

   After the outage, labkit gives {first} its power back and goes on measuring. Name the run (`run`), and answer from
   its table how long clients were without a page **again** when {first} came back, in seconds (`failback`).
2. Change the pair so that a node which comes back leaves the resources where they are. It must hold for both nodes,
   and both daemons must run with it.

`labkit exercise check` then kills {first} and lets it come back.
""",
    """
{first} muere, {second} toma todo y los clientes tienen de nuevo su página. Después alguien repara {first}. ¿Qué notan
los clientes?

1. En una carpeta sin `lab.yaml`, mida como lo hizo antes:

       labkit failover --name {lab} --fault node-kill

   Después del corte, labkit devuelve la corriente a {first} y sigue midiendo. Nombre la ejecución (`run`) y responda,
   según su tabla, cuánto tiempo se quedaron los clientes **otra vez** sin página cuando {first} volvió, en segundos
   (`failback`).
2. Cambie la pareja de modo que un nodo que vuelve deje los recursos donde están. Debe valer para ambos nodos, y ambos
   demonios deben funcionar con ello.

`labkit exercise check` mata después {first} y lo deja volver.
""",
)
hints = (
    Text(
        "The table has a column `failback`. In the lines above it, look for `standby-requested` after `healed`: who"
        " asks for a move there, and why? Nothing is broken any more.",
        "La tabla tiene una columna `failback`. En las líneas de encima, busque `standby-requested` después de"
        " `healed`: ¿quién pide ahí un traslado, y por qué? Ya no hay nada roto.",
    ),
    Text(
        "`/etc/ha.d/ha.cf` has a directive for it, with a comment above it that tells its three values.",
        "`/etc/ha.d/ha.cf` tiene una directiva para eso, con un comentario encima que dice sus tres valores.",
    ),
    Text(
        "`auto_failback off` on both nodes, then stop and start Heartbeat on both. `cl_status hbparameter -p"
        " auto_failback` tells what the daemon runs with.",
        "`auto_failback off` en ambos nodos, y después detenga e inicie Heartbeat en ambos. `cl_status hbparameter -p"
        " auto_failback` dice con qué funciona el demonio.",
    ),
)
solution = Text(
    """
    labkit failover --name {lab} --fault node-kill
    labkit exercise answer run runs/...-node-kill-....        # as its last line names it
    labkit exercise answer failback ...                       # the table's figure, in seconds

On both nodes:

    sed -i 's/^auto_failback .*/auto_failback off/' /etc/ha.d/ha.cf
    /etc/init.d/heartbeat stop
    /etc/init.d/heartbeat start

With `on`, the survivor gives the resources back as soon as the other one is there again: a move in good order, with
apache2 stopped on the one node before the VIP comes up on the other, and clients without a page for one or two seconds
more. Nobody chose the moment. And a node that dies, boots and dies again takes the service down twice each time round.
With `off` it stays where it works, the pair is as safe as before, and you bring it home when it suits you:
`/usr/share/heartbeat/hb_takeover` on {first}. The price: which node is active is no longer to be read from the files.
""",
    """
    labkit failover --name {lab} --fault node-kill
    labkit exercise answer run runs/...-node-kill-....        # como la nombra su última línea
    labkit exercise answer failback ...                       # la cifra de la tabla, en segundos

En ambos nodos:

    sed -i 's/^auto_failback .*/auto_failback off/' /etc/ha.d/ha.cf
    /etc/init.d/heartbeat stop
    /etc/init.d/heartbeat start

Con `on`, el sobreviviente devuelve los recursos en cuanto el otro está ahí de nuevo: un traslado en buen orden, en el
que apache2 se detiene en un nodo antes de que la IP virtual suba en el otro, y los clientes se quedan sin página uno o
dos segundos más. Nadie eligió el momento. Y un nodo que muere, arranca y vuelve a morir interrumpe el servicio dos
veces en cada vuelta. Con `off` el servicio se queda donde funciona, la pareja es tan segura como antes, y usted lo
lleva a casa cuando le convenga: `/usr/share/heartbeat/hb_takeover` en {first}. El precio: los archivos ya no dicen qué
nodo es el activo.
""",
)
questions = {
    "run": Text("Which run did you measure? Its folder.", "¿Qué ejecución midió? Su carpeta."),
    "failback": Text(
        "How long were clients without a page when {first} came back, in seconds?",
        "¿Cuánto tiempo se quedaron los clientes sin página cuando {first} volvió, en segundos?",
    ),
}

RETURNED = "returned"  # the trial in which the preferred node dies and comes back
OFF = ("off", "false", "no", "n", "0")  # as Heartbeat reads a switch


def configure(pair: Pair) -> None:
    """auto_failback is on, as the guide has it."""


def prepare(pair: Pair) -> None:
    pair.await_owner(pair.first)
    pair.settle(60)


def look(pair: Pair) -> Facts:
    """The student's run, and what files and daemons say of auto_failback; if that is off, the preferred node dies and
    comes back."""
    facts = _tools_runs.look(pair, (commands.AUTHKEYS,))
    facts["files"] = {node: _of_file(pair, node) for node in pair.lab.nodes}
    asked = "timeout 2 cl_status hbparameter -p auto_failback"
    facts["daemons"] = {node: pair.ask(node, asked).output.strip().lower() for node in pair.lab.nodes}
    if _off(facts):
        pair.trial(RETURNED, "node-kill", timing={"auto_failback": False})
    return facts


def _of_file(pair: Pair, node: str) -> str:
    """on, off, legacy, or why the daemon would not take the file."""
    try:
        return hacf.parse(pair.read(node, commands.HA_CF) or "", node=node).auto_failback
    except BadInput as error:
        return str(error).splitlines()[0]


def _off(facts: Facts) -> bool:
    return all(said == "off" for said in facts["files"].values()) and all(
        said in OFF for said in facts["daemons"].values()
    )


def judge(seen: Seen) -> list[Judged]:
    measured = _tools_runs.measured(seen)
    if measured and not _gave_back(seen.runs[_tools_runs.MEASURED]):
        measured = None
    return [_tools_runs.run_named(seen), _tools_runs.figure(seen, "failback", measured), _is_off(seen), _stays(seen)]


def _is_off(seen: Seen) -> Judged:
    files, daemons = seen.facts["files"], seen.facts["daemons"]
    shown = [
        Text("{node}: file {file}, daemon {daemon}", "{node}: archivo {file}, demonio {daemon}").filled(
            node=node, file=files[node], daemon=daemons[node] or "-"
        )
        for node in files
    ]
    return Judged(
        "no-failback",
        _verdict(_off(seen.facts)),
        Text(
            "both files and both daemons say that resources stay where they are",
            "ambos archivos y ambos demonios dicen que los recursos se quedan donde están",
        ),
        listed(shown, same(" | ")),
        same(f"{commands.HA_CF}; cl_status hbparameter -p auto_failback"),
    )


def _stays(seen: Seen) -> Judged:
    trial, first = seen.trial(RETURNED), seen.spec.preferred
    stayed = False
    if trial is None:
        what = Text("not tried: first the check above", "sin probar: antes la comprobación de arriba")
    elif trial["server_after"] in (None, trial["server_before"]):
        what = Text("nothing moved when it died", "nada se movió cuando murió")
    elif _gave_back(seen.runs[RETURNED]):
        what = Text("{first} got them back by itself", "{first} los recuperó por sí solo").filled(first=first)
    else:
        stayed = _had_to_ask(seen.runs[RETURNED])
        what = STAYED if stayed else Text("it did not come back", "no volvió")
    return Judged(
        "stays",
        _verdict(stayed),
        Text(
            "{first} dies and comes back, and the resources stay with {second}",
            "{first} muere y vuelve, y los recursos se quedan en {second}",
        ).filled(first=first, second=seen.spec.peer_of(first)),
        what,
        same(f"labkit failover --name {seen.spec.name} --fault node-kill"),
    )


def _gave_back(events: Sequence[Event]) -> bool:
    """Whether resources went back to a node that had not asked for them."""
    return any(event.get("marker") == "failback" for event in history.of_kind(events, "log"))


def _had_to_ask(events: Sequence[Event]) -> bool:
    """Whether the pair was whole again with the resources away from home: the runner then had to ask for them."""
    asked = any(event.get("marker") == "takeover-requested" for event in history.of_kind(events, "log"))
    return asked and bool(history.of_kind(events, "trial-end"))


def _verdict(right: bool) -> Verdict:
    return "pass" if right else "fail"


STAYED = Text("they stayed, until labkit fetched them home", "se quedaron, hasta que labkit los trajo a casa")


def solve(pair: Pair) -> None:
    _tools_runs.measure(pair, ("failback",))
    stop, start = (f"{commands.HEARTBEAT_INIT} {verb}" for verb in ("stop", "start"))
    off = f"sed -i 's/^auto_failback .*/auto_failback off/' {commands.HA_CF}"
    pair.lab.each(lambda node: pair.sh(node, f"{off}; {stop}"))
    pair.lab.each(lambda node: pair.sh(node, start))
    pair.settle(60)
