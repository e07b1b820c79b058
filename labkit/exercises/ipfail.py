"""The active node loses its clients and not its peer: nobody moves, unless ipfail counts who can still reach whom."""

from random import Random
from typing import Any

from labkit.exercises import Facts, Judged, Pair, Seen, Shape, _tools_daemon, _tools_paths
from labkit.heartbeat import commands
from labkit.language import Text, listed, same
from labkit.spec import Spec

name = "ipfail"
order = 130
minutes = 30
needs = ("second-path",)
title = Text("ipfail: who can still reach the clients?", "ipfail: ¿quién alcanza todavía a los clientes?")
shape = Shape()
task = Text(
    """
Both nodes hear each other on {nic} and on {path}, as you left them in the exercise before. Clients are on {nic} alone.
Your client is {client}.

1. See what is wrong: on {first}, which has {vip}, take the card down that leads to the clients, **in one line** that
   brings it back, because your own SSH session uses it, too:

       nohup sh -c 'ip link set {nic} down; sleep 15; ip link set {nic} up' >/dev/null 2>&1 &

   Meanwhile look from {second}: does anything move (`cl_status rscstatus`)? Does `curl -m 1 http://{vip}/` get a page?
2. Have both nodes watch whether they reach {client}, by a `ping` line in `/etc/ha.d/ha.cf`.
3. Have Heartbeat start `ipfail` on both nodes, as the user `hacluster`, and start it again if it ends. Find out where
   the program lies; `dpkg -L heartbeat` lists the package's files.
4. Restart Heartbeat on both, let them settle, and do step 1 again: {second} takes the service over.
""",
    """
Ambos nodos se oyen por {nic} y por {path}, como los dejó en el ejercicio anterior. Los clientes están solo en {nic}. Su
cliente es {client}.

1. Vea qué está mal: en {first}, que tiene {vip}, baje la tarjeta que lleva a los clientes, **en una sola línea** que la
   vuelva a subir, porque también su propia sesión SSH la usa:

       nohup sh -c 'ip link set {nic} down; sleep 15; ip link set {nic} up' >/dev/null 2>&1 &

   Mientras tanto mire desde {second}: ¿se mueve algo (`cl_status rscstatus`)? ¿Da una página `curl -m 1 http://{vip}/`?
2. Haga que ambos nodos vigilen si alcanzan a {client}, con una línea `ping` en `/etc/ha.d/ha.cf`.
3. Haga que Heartbeat inicie `ipfail` en ambos nodos, como el usuario `hacluster`, y lo inicie de nuevo si termina.
   Averigüe dónde está el programa; `dpkg -L heartbeat` lista los archivos del paquete.
4. Reinicie Heartbeat en ambos, deje que se asienten y repita el paso 1: {second} toma el servicio.
""",
)
hints = (
    Text(
        "A heartbeat proves that the peer lives, not that its clients reach it. A ping node is a third party that both"
        " nodes can ask: `ping {client}`, below the media in `ha.cf`.",
        "Un latido prueba que el otro nodo vive, no que sus clientes lo alcanzan. Un nodo de ping es un tercero al que"
        " ambos nodos pueden preguntar: `ping {client}`, debajo de los medios en `ha.cf`.",
    ),
    Text(
        "`respawn USER /full/path/program` in `ha.cf` starts a program with Heartbeat and again whenever it ends. The"
        " sample file has such a line with ipfail; its path there is not that of every distribution.",
        "`respawn USUARIO /ruta/completa/programa` en `ha.cf` inicia un programa con Heartbeat, y de nuevo cada vez que"
        " termina. El archivo de ejemplo tiene una línea así con ipfail; su ruta no es la de toda distribución.",
    ),
    Text(
        "After the restart, `cl_status listnodes -p` shows the ping node, `cl_status nodestatus {client}` says `ping`,"
        " and `pgrep -x ipfail` finds a process, on both nodes. If not, the log says why.",
        "Después de reiniciar, `cl_status listnodes -p` muestra el nodo de ping, `cl_status nodestatus {client}` dice"
        " `ping` y `pgrep -x ipfail` encuentra un proceso, en ambos nodos. Si no, el registro dice por qué.",
    ),
)
solution = Text(
    """
On both nodes:

    ipfail=$(dpkg -L heartbeat | grep '/ipfail$')
    printf 'ping {client}\\nrespawn hacluster %s\\n' "$ipfail" >>/etc/ha.d/ha.cf
    /etc/init.d/heartbeat restart

Without ipfail, a node that has lost {nic} goes on sending heartbeats on {path}. To its peer it is well, so nothing
moves, and the clients have nobody: a failure of the network that Heartbeat does not look for.

With it, each node pings {client}, and the two ipfail processes tell each other, over the path that is left, how many
ping nodes they reach. The one that reaches fewer hands over:
`Giving up because we were told that we have less ping nodes.` in the log, deadping (deadtime, if it is not set) and a
few keepalives after the loss. If neither reaches any, nobody moves, which is right: nothing would be better on the
other side. When {nic} is back, both reach as many, and with auto_failback on the service goes home.

Choose a ping node whose answer means that clients are served: a router that never goes away, better two of them. A ping
node that is often away makes the pair wander.
""",
    """
En ambos nodos:

    ipfail=$(dpkg -L heartbeat | grep '/ipfail$')
    printf 'ping {client}\\nrespawn hacluster %s\\n' "$ipfail" >>/etc/ha.d/ha.cf
    /etc/init.d/heartbeat restart

Sin ipfail, un nodo que perdió {nic} sigue enviando latidos por {path}. Para el otro está bien, así que nada se mueve, y
los clientes no tienen a nadie: una falla de la red que Heartbeat no busca.

Con él, cada nodo hace ping a {client}, y los dos procesos ipfail se dicen, por el camino que queda, cuántos nodos de
ping alcanzan. El que alcanza menos entrega: `Giving up because we were told that we have less ping nodes.` en el
registro, deadping (deadtime, si no se indica) y unos keepalive después de la pérdida. Si ninguno alcanza ninguno,
nadie se mueve, y es lo correcto: en el otro lado nada estaría mejor. Cuando vuelve {nic}, ambos alcanzan los mismos, y
con auto_failback activado el servicio regresa a casa.

Elija un nodo de ping cuya respuesta signifique que los clientes están atendidos: un enrutador que no se va nunca, mejor
dos. Un nodo de ping que falta a menudo hace vagar a la pareja.
""",
)
questions: dict[str, Text] = {}


def planted(spec: Spec, random: Random) -> dict[str, Any]:
    return {"path": _tools_paths.NIC}


def configure(pair: Pair) -> None:
    _tools_paths.add(pair)
    for node in pair.lab.nodes:
        pair.edit(node, commands.HA_CF, "\nmcast ", f"\nbcast {_tools_paths.NIC}\nmcast ")


def prepare(pair: Pair) -> None:
    """Until the pair is at rest on its two paths."""
    _tools_paths.require(pair)
    pair.settle(60)


def look(pair: Pair) -> Facts:
    """Whether both nodes run ipfail and see a ping node, and if so, what a cut of the clients' card does."""
    settled = pair.settle()
    watching = {}
    for node in pair.lab.nodes:
        pings = pair.ask(node, "timeout 3 cl_status listnodes -p 2>/dev/null").output.split()
        runs = pair.ask(node, "pgrep -x ipfail").exit_code == 0
        watching[node] = {"pings": pings, "ipfail": runs, "links": sorted(_tools_paths.links(pair, node))}
    if settled and all(one["pings"] and one["ipfail"] for one in watching.values()):
        pair.trial("clients-cut-off", "link-down")
    return {"settled": settled, "watching": watching}


def judge(seen: Seen) -> list[Judged]:
    watching = seen.facts["watching"]
    trial = seen.trial("clients-cut-off")
    looked = Text("{node}: ping nodes {pings}, ipfail {runs}", "{node}: nodos de ping {pings}, ipfail {runs}")
    yes, no = Text("runs", "funciona"), Text("does not run", "no funciona")
    shown = [
        looked.filled(node=node, pings=" ".join(one["pings"]) or "-", runs=yes if one["ipfail"] else no)
        for node, one in watching.items()
    ]
    if trial is None:
        moved = Text(
            "not tried: both nodes must be at rest and watch", "sin probar: ambos nodos deben estar en reposo y vigilar"
        )
    else:
        told = Text(
            "served by {before}, then by {after}; two owners for {dual} ms while it was cut off",
            "servía {before}, después {after}; dos dueños durante {dual} ms mientras estaba sin conexión",
        )
        moved = told.filled(
            before=trial["server_before"], after=trial["server_after"] or "-", dual=round(trial["dual_owner_ms"] or 0)
        )
    return [
        Judged(
            "both-watch",
            "pass" if all(one["pings"] and one["ipfail"] for one in watching.values()) else "fail",
            Text("ipfail and a ping node on both nodes", "ipfail y un nodo de ping en ambos nodos"),
            listed(shown, same(" | ")),
            same("cl_status listnodes -p; pgrep -x ipfail; " + commands.SYSLOG),
        ),
        Judged(
            "service-follows-the-clients",
            "pass" if trial and trial["server_after"] not in (None, trial["server_before"]) else "fail",
            Text(
                "with {nic} of the active node down, the peer serves",
                "con {nic} del nodo activo abajo, sirve el otro",
            ).filled(nic=seen.spec.network.interface),
            moved,
            Text("ipfail in {log}", "ipfail en {log}").filled(log=commands.SYSLOG),
        ),
    ]


def solve(pair: Pair) -> None:
    client = pair.lab.spec.network.client
    for node in pair.lab.nodes:
        pair.sh(
            node,
            "ipfail=$(dpkg -L heartbeat | grep '/ipfail$');"
            f" printf 'ping {client}\\nrespawn hacluster %s\\n' \"$ipfail\" >>{commands.HA_CF}",
        )
    _tools_daemon.renew(pair)
