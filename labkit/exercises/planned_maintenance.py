"""A node is taken out of service on purpose, and it costs the clients far less than its death does."""

from typing import Any

from labkit.exercises import Facts, Judged, Pair, Seen, Shape, _watcher
from labkit.heartbeat import commands
from labkit.language import Text, listed, same
from labkit.timing import wait_until

name = "planned-maintenance"
order = 100
minutes = 25
needs = ("measure-a-failover",)
title = Text("Planned maintenance", "Mantenimiento planificado")
shape = Shape(timing=(("keepalive", "1"), ("deadtime", "10")))
task = Text(
    """
{first} serves and needs maintenance: a new disk, a new kernel. keepalive is {keepalive} s and deadtime {deadtime} s. A
monitoring station in the client asks {vip} for its page all the time, and writes down each outage: when it ended, its
length, and who answered before and after it. Read it on your own machine:

    docker exec labkit-{lab}_client cat /var/log/outages

1. First the wrong way: cut {first}'s power, and wait until {second} serves. Then give it back, and wait until {first}
   has {vip} again. Both are typed on your own machine:

       docker kill labkit-{lab}-{first}
       docker start labkit-{lab}-{first}

   Write down the length of the first of these outages.
2. Now do it as one should: with both nodes alive, have {first} hand everything to {second} **while Heartbeat goes on
   running on both**. Heartbeat has a program for that, in `/usr/share/heartbeat`. Write down the length of this outage.
3. Leave it so for the check: {second} serves, and {first} stands by and could be worked at.
4. After the check: give everything back to {first}. There is a program for that, too.
""",
    """
{first} sirve y necesita mantenimiento: un disco nuevo, un núcleo nuevo. keepalive es {keepalive} s y deadtime
{deadtime} s. Una estación de vigilancia en el cliente pide todo el tiempo la página de {vip} y anota cada
interrupción: cuándo terminó, cuánto duró, y quién respondía antes y después. Léala en su propia máquina:

    docker exec labkit-{lab}_client cat /var/log/outages

1. Primero de la manera equivocada: corte la corriente de {first} y espere hasta que sirva {second}. Después
   devuélvala, y espere hasta que {first} tenga de nuevo {vip}. Ambas cosas se escriben en su propia máquina:

       docker kill labkit-{lab}-{first}
       docker start labkit-{lab}-{first}

   Anote la duración de la primera de estas interrupciones.
2. Ahora hágalo como se debe: con ambos nodos vivos, haga que {first} entregue todo a {second} **mientras Heartbeat
   sigue funcionando en ambos**. Heartbeat tiene un programa para eso, en `/usr/share/heartbeat`. Anote la duración de
   esta interrupción.
3. Déjelo así para la verificación: {second} sirve; {first} está en espera, y se podría trabajar en él.
4. Después de la verificación: devuelva todo a {first}. También para eso hay un programa.
""",
)
hints = (
    Text(
        "`ls /usr/share/heartbeat` lists the programs. A request to hand over is refused while resources are on the"
        " move: `cl_status rscstatus` must say `all`, `local`, `foreign` or `none` on both nodes, not `transition`.",
        "`ls /usr/share/heartbeat` lista los programas. Una petición de entrega se rechaza mientras los recursos están"
        " en movimiento: `cl_status rscstatus` debe decir `all`, `local`, `foreign` o `none` en ambos nodos, no"
        " `transition`.",
    ),
    Text(
        "One of them puts the node on which it runs on standby. It returns at once; what happens then stands in the log"
        " of both nodes.",
        "Uno de ellos pone en espera el nodo en el que se ejecuta. Termina enseguida; lo que pasa después está en el"
        " registro de ambos nodos.",
    ),
    Text(
        "On {first}: `/usr/share/heartbeat/hb_standby`. Wait some seconds, then read `/var/log/outages` in the client.",
        "En {first}: `/usr/share/heartbeat/hb_standby`. Espere unos segundos y lea `/var/log/outages` en el cliente.",
    ),
)
solution = Text(
    """
On your own machine, then on {first} when the pair is at rest again:

    docker kill labkit-{lab}-{first}
    docker start labkit-{lab}-{first}
    /usr/share/heartbeat/hb_standby

The power cut costs about deadtime, {deadtime} s: {second} first has to be sure. The hand-over costs 1.5 to 3 s, and
neither keepalive nor deadtime is in it, because nobody waits for silence: {first} says `wants to go standby`, gives its
resources up, and only then {second} takes them. Most of what is left is the stop of apache2. So nobody serves for a
moment, and at no time do two.

Stopping Heartbeat on {first} would have moved the service as quickly. But then {first} would be no member any more, and
would take everything back as soon as it starts, in the middle of your work, if auto_failback is on. After hb_standby
nothing comes back by itself. When you are done, on {first}:

    /usr/share/heartbeat/hb_takeover
""",
    """
En su propia máquina, y después en {first} cuando la pareja esté de nuevo en reposo:

    docker kill labkit-{lab}-{first}
    docker start labkit-{lab}-{first}
    /usr/share/heartbeat/hb_standby

El corte de corriente cuesta alrededor de deadtime, {deadtime} s: {second} primero debe estar seguro. La entrega cuesta
de 1,5 a 3 s, y ni keepalive ni deadtime están en ella, porque nadie espera un silencio: {first} dice
`wants to go standby`, suelta sus recursos, y solo entonces los toma {second}. La mayor parte de lo que queda es la
parada de apache2. Así que por un momento no sirve nadie, y en ningún momento sirven dos.

Detener Heartbeat en {first} habría movido el servicio con la misma rapidez. Pero entonces {first} ya no sería
miembro, y lo tomaría todo de vuelta en cuanto arranque, en medio de su trabajo, si auto_failback está activado.
Después de hb_standby nada vuelve por sí solo. Cuando termine, en {first}:

    /usr/share/heartbeat/hb_takeover
""",
)
questions = {
    "killed-s": Text(
        "How long did nobody answer after {first} had lost its power? In seconds, as the station wrote it down.",
        "¿Cuánto tiempo no respondió nadie después de que {first} perdió la corriente? En segundos, como lo anotó la"
        " estación.",
    ),
    "planned-s": Text(
        "How long did nobody answer when {first} handed over to {second}? In seconds, as the station wrote it down.",
        "¿Cuánto tiempo no respondió nadie cuando {first} entregó a {second}? En segundos, como lo anotó la estación.",
    ),
}

ROUNDED_S = 0.5  # a student may write 10.6 for 10.64, or 2 for 1.7
# How the node that serves came to serve: its last such line tells.
MOVES = f"grep -E 'standby: acquire .* resources from|Resources being acquired from' {commands.SYSLOG} | tail -n 1"


def configure(pair: Pair) -> None:
    _watcher.place(pair)


def prepare(pair: Pair) -> None:
    """Until the pair is at rest; what the station saw before that does not count."""
    pair.settle(60)
    pair.client(f": >{_watcher.OUTAGES}")
    _watcher.ensure(pair)


def look(pair: Pair) -> Facts:
    """Who serves, how that came, and the outages."""
    _watcher.ensure(pair)
    settled = pair.settle()
    now = pair.lab.statuses()
    return {
        "settled": settled,
        "owners": pair.lab.owners(),
        "heartbeat": {node: one.joined for node, one in now.items()},
        "planned": "standby: acquire" in pair.ask(pair.second, MOVES).output,
        "outages": _watcher.outages(pair),
    }


def judge(seen: Seen) -> list[Judged]:
    first, second = seen.spec.nodes
    facts = seen.facts
    deadtime_s, keepalive_s = seen.spec.timing.deadtime_ms / 1000, seen.spec.timing.keepalive_ms / 1000
    moves = [one["seconds"] for one in facts["outages"] if (one["before"], one["after"]) == (first, second)]
    deaths = [seconds for seconds in moves if seconds >= deadtime_s - keepalive_s]
    planned = [seconds for seconds in moves if seconds < deadtime_s / 2]
    told = {key: seen.answers.get(key, "") for key in questions}
    right = _named(told["killed-s"], deaths) and _named(told["planned-s"], planned)
    serves = facts["settled"] and facts["owners"] == [second] and all(facts["heartbeat"].values())
    runs = listed([same(f"{node}: {'+' if ok else '-'}") for node, ok in facts["heartbeat"].items()])
    return [
        Judged(
            "peer-serves-and-both-live",
            "pass" if serves else "fail",
            Text(
                "{second} has the VIP, and Heartbeat runs on both nodes, which hear each other",
                "{second} tiene la IP virtual, y Heartbeat funciona en ambos nodos, que se oyen",
            ).filled(second=second),
            Text("owner: {owners}; Heartbeat: {runs}", "dueño: {owners}; Heartbeat: {runs}").filled(
                owners=", ".join(facts["owners"]) or "-", runs=runs
            ),
            same("cl_status rscstatus; arping"),
        ),
        Judged(
            "it-was-planned",
            "pass" if serves and facts["planned"] else "fail",
            Text(
                "{second} got the service handed over, and did not take it from a dead node",
                "{second} recibió el servicio entregado, y no lo tomó de un nodo muerto",
            ).filled(second=second),
            Text("handed over", "entregado") if facts["planned"] else Text("not handed over", "no entregado"),
            same(f"{commands.SYSLOG}: standby"),
        ),
        Judged(
            "both-outages-measured",
            "pass" if right else "fail",
            Text(
                "both outages seen by the station, {first} -> {second}, and their lengths as your answers",
                "ambas interrupciones vistas por la estación, {first} -> {second}, y sus duraciones como respuestas",
            ).filled(first=first, second=second),
            Text(
                "answers: {killed} and {planned}; moves from {first} to {second} that the station saw: {moves}",
                "respuestas: {killed} y {planned}; cambios de {first} a {second} que vio la estación: {moves}",
            ).filled(
                killed=told["killed-s"] or "-",
                planned=told["planned-s"] or "-",
                first=first,
                second=second,
                moves=len(moves),
            ),
            same(_watcher.OUTAGES),
        ),
    ]


def _named(answer: str, lengths: list[float]) -> bool:
    """Whether an answer is one of these lengths in seconds, rounded somehow, with or without its unit."""
    try:
        said = float(answer.strip().lower().removesuffix("s").strip().replace(",", "."))
    except ValueError:
        return False
    return any(abs(said - seconds) <= ROUNDED_S for seconds in lengths)


def solve(pair: Pair) -> None:
    def outages(count: int) -> list[dict[str, Any]]:
        return wait_until(lambda: _watcher.outages(pair), lambda found: len(found) >= count, 60, f"{count} outages")

    pair.lab.kill(pair.first)
    pair.answers["killed-s"] = str(outages(1)[0]["seconds"])
    pair.lab.start(pair.first)
    outages(2)
    pair.settle(60)
    pair.sh(pair.first, commands.HB_STANDBY)
    pair.answers["planned-s"] = str(outages(3)[-1]["seconds"])
