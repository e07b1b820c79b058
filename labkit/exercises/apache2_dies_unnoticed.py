"""apache2 dies on the active node and nothing happens: Heartbeat with haresources never looks. Build what does."""

import re
from collections.abc import Sequence
from contextlib import suppress

from labkit import history
from labkit.checks import Verdict
from labkit.cluster.lab import settled
from labkit.errors import Unsettled
from labkit.exercises import Facts, Judged, Pair, Seen, Shape
from labkit.heartbeat import commands
from labkit.history import Event
from labkit.language import Text, same
from labkit.plot import duration
from labkit.render import MONITOR_MARK, MONITRC
from labkit.timing import wait_until

name = "apache2-dies-unnoticed"
order = 80
minutes = 45
needs = ("measure-a-failover",)
title = Text("apache2 dies, and nobody notices", "apache2 muere y nadie se da cuenta")
shape = Shape()
task = Text(
    """
{first} has {vip}, and both nodes are well. Now kill apache2 on {first},

    pkill -9 -f '^/usr/sbin/apache2'

and ask for the page of {vip}, from {second}: `curl http://{vip}/`. It is refused for as long as you wait. Neither node
logs a line: Heartbeat starts and stops what stands in haresources, and never looks at it in between. (Afterwards:
`/etc/init.d/apache2 start`.)

Build the monitor that is missing:

1. When apache2 has died on the node that has {vip}, that node hands everything over to the other one by
   `/usr/share/heartbeat/hb_standby all`. Clients must have a page again within 15 s.
2. It works on **both** nodes, whichever is active.
3. While apache2 is well, nothing moves. The other node's apache2 is not the active one's business.
4. Heartbeat goes on running on both nodes.

How is up to you: a script in the background, a program that Heartbeat keeps alive, monit. There are curl, pgrep and
monit on the nodes; monit does not run, and its `/etc/monit/monitrc` is empty. There is no cron and no systemd. Your
monitor has to run while you check; it need not come back by itself when the node boots.
""",
    """
{first} tiene {vip} y ambos nodos están bien. Mate ahora apache2 en {first}

    pkill -9 -f '^/usr/sbin/apache2'

y pida desde {second} la página de {vip}: `curl http://{vip}/`. La conexión se rechaza por más que espere. Ningún nodo
registra una línea: Heartbeat inicia y detiene lo que está en haresources, y entre tanto nunca lo mira. (Después:
`/etc/init.d/apache2 start`.)

Construya el monitor que falta:

1. Cuando apache2 ha muerto en el nodo que tiene {vip}, ese nodo entrega todo al otro con
   `/usr/share/heartbeat/hb_standby all`. Los clientes deben tener una página de nuevo antes de 15 s.
2. Funciona en **ambos** nodos, sea cual sea el activo.
3. Mientras apache2 está bien, nada se mueve. El apache2 del otro nodo no es asunto del activo.
4. Heartbeat sigue funcionando en ambos nodos.

El cómo lo decide usted: un script en segundo plano, un programa que Heartbeat mantiene vivo, monit. En los nodos hay
curl, pgrep y monit; monit no está funcionando y su `/etc/monit/monitrc` está vacío. No hay cron ni systemd. Su monitor
debe estar funcionando mientras comprueba; no hace falta que vuelva por sí solo cuando el nodo arranca.
""",
)
hints = (
    Text(
        "Three questions, again and again: is {vip} on this node? does apache2 serve? and if the first is yes and the"
        " second is no: `hb_standby all`. `ip -4 -o address show to {vip}/32` answers the first,"
        " `curl -sf -m 2 -o /dev/null http://127.0.0.1/` the second by its exit code.",
        "Tres pasos, una y otra vez: ¿está {vip} en este nodo? ¿sirve apache2? y si lo primero es sí y lo segundo no:"
        " `hb_standby all`. `ip -4 -o address show to {vip}/32` responde lo primero,"
        " `curl -sf -m 2 -o /dev/null http://127.0.0.1/` lo segundo con su código de salida.",
    ),
    Text(
        "During a move {vip} may be here while apache2 is not yet, or not any more. Heartbeat's own script is at work"
        " then: `pgrep -f ResourceManager` finds it. Do nothing in that case.",
        "Durante un traslado {vip} puede estar aquí cuando apache2 todavía no está, o ya no. Entonces está trabajando"
        " el script del propio Heartbeat: `pgrep -f ResourceManager` lo encuentra. En ese caso no haga nada.",
    ),
    Text(
        "A shell script with `while sleep 1; do ... done` is enough. Start it by `setsid /root/watch >/dev/null 2>&1"
        " &`, so that it outlives your session, or by a line `respawn root /root/watch` in ha.cf and a restart of"
        " Heartbeat. Do it on both nodes.",
        "Basta un script de shell con `while sleep 1; do ... done`. Inícielo con `setsid /root/watch >/dev/null 2>&1 &`"
        " para que sobreviva a su sesión, o con una línea `respawn root /root/watch` en ha.cf y un reinicio de"
        " Heartbeat. Hágalo en ambos nodos.",
    ),
)
solution = Text(
    """
On both nodes, `/root/watch`:

    #!/bin/sh
    while sleep 1; do
        ip -4 -o address show to {vip}/32 | grep -q . || continue       # not active: not my business
        curl -sf -m 2 -o /dev/null http://127.0.0.1/ && continue        # it serves
        pgrep -f ResourceManager >/dev/null && continue                 # a move goes on
        logger -t watch "apache2 does not serve: handing over"
        /usr/share/heartbeat/hb_standby all
    done

and then

    chmod +x /root/watch
    setsid /root/watch >/dev/null 2>&1 &

Heartbeat with haresources watches nodes, not services. A node whose web server is dead still sends its heartbeats, and
that is all that its peer wants to know. So something must look at the service itself, as a client does, and tell the
daemon. `all` moves the group wherever its home is; `local` and `foreign` are halves of it. The outage is now the
monitor's cycle plus a move in good order, and deadtime has no part in it. Who watches the watcher is left open here; a
`respawn` line in ha.cf has Heartbeat start it again whenever it ends.
""",
    """
En ambos nodos, `/root/watch`:

    #!/bin/sh
    while sleep 1; do
        ip -4 -o address show to {vip}/32 | grep -q . || continue       # no es el activo: no es asunto mío
        curl -sf -m 2 -o /dev/null http://127.0.0.1/ && continue        # sirve
        pgrep -f ResourceManager >/dev/null && continue                 # hay un traslado en marcha
        logger -t watch "apache2 no sirve: se entrega todo"
        /usr/share/heartbeat/hb_standby all
    done

y después

    chmod +x /root/watch
    setsid /root/watch >/dev/null 2>&1 &

Heartbeat con haresources vigila nodos, no servicios. Un nodo cuyo servidor web está muerto sigue enviando sus latidos,
y eso es todo lo que su compañero quiere saber. Así que algo tiene que mirar el servicio mismo, como lo hace un
cliente, y decírselo al demonio. `all` mueve el grupo sea cual sea su nodo preferido; `local` y `foreign` son mitades.
El corte es ahora el ciclo del monitor más un traslado en buen orden, y deadtime no interviene. Queda abierto quién
vigila al vigilante; con una línea `respawn` en ha.cf, Heartbeat lo inicia de nuevo cada vez que termina.
""",
)
questions: dict[str, Text] = {}

LIMIT_S = 15.0
CALM, KILLED = "calm", "killed"  # trials: nothing is done, and apache2 is killed on the preferred node
KILL = "pkill -KILL -f '^/usr/sbin/apache2'"
SILENT_MONITOR = f"rm -f {MONITOR_MARK}; pkill -x monit || true; pkill -f '[w]ake-monitor|tail [-]-pid' || true"
# What runs on a node on which nobody watches anything, sessions over SSH among it.
BASE = re.compile(
    r"\S*(tini|docker-init) |/bin/sh /usr/lib/labkit/boot|tail -n 0 -s 0.1 -F|rsyslogd|\S*sshd\b|heartbeat: "
    r"|/usr/sbin/apache2 |-(ba)?sh$|ps -eo|COMMAND|/bin/sh /usr/(lib/ocf|share/heartbeat)/|\S*/send_arp "
)
WATCH = """\
#!/bin/sh
while sleep 1; do
    ip -4 -o address show to {vip}/32 | grep -q . || continue
    curl -sf -m 2 -o /dev/null http://127.0.0.1/ && continue
    pgrep -f ResourceManager >/dev/null && continue
    logger -t watch "apache2 does not serve: handing over"
    /usr/share/heartbeat/hb_standby all
done
"""


def configure(pair: Pair) -> None:
    """monit has nothing to do."""
    for node in pair.lab.nodes:
        pair.write(node, MONITRC, "# Nothing is watched.\n", 0o600)


def prepare(pair: Pair) -> None:
    """Without the lab's own monitor, now and when a node boots again."""
    pair.lab.await_nodes(lambda now: now[pair.first].vip and settled(now), f"{pair.first} has the VIP")
    for node in pair.lab.nodes:
        pair.sh(node, SILENT_MONITOR)
    wait_until(lambda: _watched(pair), lambda now: not any(now.values()), 20, "nothing watches apache2")


def look(pair: Pair) -> Facts:
    """What runs on the nodes that could watch apache2. If anything does: whether it leaves a healthy pair alone, and
    what it does when apache2 dies on the one node, and then on the other."""
    watching = _watched(pair)
    facts: Facts = {"watching": watching, "second": None}
    if not any(watching.values()) or not pair.trial(CALM, "none"):
        return facts
    if _left_alone(history.read(pair.made[CALM].history)) and pair.trial(KILLED, "apache-kill"):
        trials = (pair.made[KILLED].result() or {}).get("trials", [])
        if trials and _handed_over(trials[0]):
            facts["second"] = _second(pair)
    return facts


def _watched(pair: Pair) -> dict[str, list[str]]:
    """Node -> the commands that do not belong to the starting state."""
    told = {node: container.run("ps", "-eo", "args").output for node, container in pair.lab.nodes.items()}
    return {node: [line for line in lines.splitlines() if not BASE.match(line)] for node, lines in told.items()}


def _second(pair: Pair) -> Facts:
    """apache2 dies on the peer while that is active: who has the VIP in the end, whether a page comes from it, and
    whether both daemons go on. The VIP goes home."""
    first, second = pair.first, pair.second
    seen: Facts = {"owners": [], "page": False, "settled": False}

    def look_again() -> Facts:
        seen["owners"], seen["page"] = pair.lab.owners(), pair.lab.answers(pair.lab.vip)
        return seen

    try:
        pair.sh(first, f"{commands.HB_STANDBY} all")
        pair.lab.await_nodes(lambda now: now[second].vip and settled(now), f"{second} has the VIP")
        pair.lab.await_page(pair.lab.vip, f"{second} serves")
        pair.sh(second, KILL)
        with suppress(Unsettled):
            wait_until(look_again, lambda now: now["owners"] == [first] and now["page"], LIMIT_S, f"{first} serves")
        seen["settled"] = pair.settle()
    finally:
        pair.lab.restore()
    return seen


def judge(seen: Seen) -> list[Judged]:
    return [_calm(seen), _first_dies(seen), _second_dies(seen)]


def _calm(seen: Seen) -> Judged:
    events = seen.runs.get(CALM)
    alone = events is not None and _left_alone(events)
    nothing = not any(seen.facts["watching"].values())
    moved = Text("a node gave its resources away", "un nodo entregó sus recursos")
    what = NOTHING_WATCHES if nothing else NOT_TRIED if not events else NOTHING_MOVED if alone else moved
    return Judged(
        "calm",
        _verdict(alone),
        Text(
            "something watches apache2, and moves nothing while it is well",
            "algo vigila apache2 y no mueve nada mientras está bien",
        ),
        what,
        same(f"grep standby {commands.SYSLOG}"),
    )


def _left_alone(events: Sequence[Event]) -> bool:
    """Whether a trial without a fault came to its end, and no node asked the other to take its resources."""
    asked = (event for event in history.of_kind(events, "log") if event.get("marker") == "standby-requested")
    return bool(history.of_kind(events, "trial-end")) and not any(asked)


def _first_dies(seen: Seen) -> Judged:
    trial = seen.trial(KILLED)
    if trial is None:
        what = NOT_TRIED
    elif trial["server_after"] in (None, trial["server_before"]):
        what = NOTHING_MOVED
    else:
        what = Text("served by {node} after {time}", "servida por {node} después de {time}").filled(
            node=trial["server_after"], time=duration(trial["outage_ms"])
        )
    return _dies(seen, "first-dies", seen.spec.preferred, trial is not None and _handed_over(trial), what)


def _handed_over(trial: Facts) -> bool:
    """Whether the other node served in time."""
    moved = trial["server_after"] not in (None, trial["server_before"])
    return bool(moved and trial["outage_ms"] is not None and trial["outage_ms"] <= LIMIT_S * 1000)


def _second_dies(seen: Seen) -> Judged:
    first, second = seen.spec.nodes
    told = seen.facts["second"]
    if told is None:
        return _dies(seen, "second-dies", second, False, NOT_TRIED)
    what = Text(
        "the VIP is on {owners}; a page: {page}; both nodes settled: {settled}",
        "la IP virtual está en {owners}; una página: {page}; ambos nodos asentados: {settled}",
    ).filled(owners=", ".join(told["owners"]) or "-", page=YES_NO[told["page"]], settled=YES_NO[told["settled"]])
    right = told["owners"] == [first] and told["page"] and told["settled"]
    return _dies(seen, "second-dies", second, right, what)


def _dies(seen: Seen, check: str, node: str, right: bool, what: Text) -> Judged:
    expected = Text(
        "apache2 dies on {node}: {peer} takes over within {limit} s",
        "apache2 muere en {node}: {peer} toma todo en {limit} s",
    )
    return Judged(
        check,
        _verdict(right),
        expected.filled(node=node, peer=seen.spec.peer_of(node), limit=f"{LIMIT_S:g}"),
        what,
        same(f"curl http://{seen.spec.network.vip}/; {commands.SYSLOG}"),
    )


def _verdict(right: bool) -> Verdict:
    return "pass" if right else "fail"


NOTHING_WATCHES = Text(
    "nothing runs on the nodes that could watch it", "en los nodos no funciona nada que pudiera vigilarlo"
)
NOT_TRIED = Text("not tried yet: first the check above", "sin probar todavía: antes la comprobación de arriba")
NOTHING_MOVED = Text("nothing moved", "nada se movió")
YES_NO = {True: Text("yes", "sí"), False: Text("no", "no")}


def solve(pair: Pair) -> None:
    for node in pair.lab.nodes:
        pair.write(node, "/root/watch", WATCH.format(vip=pair.lab.vip), 0o755)
        pair.sh(node, "setsid /root/watch >/dev/null 2>&1 &")
