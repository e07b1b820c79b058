"""One network card carries all heartbeats: give them a second path, so that one cut is no split brain."""

from typing import Any

from labkit.exercises import Facts, Judged, Pair, Seen, Shape, _tools_daemon, _tools_paths
from labkit.heartbeat import commands
from labkit.language import Text, listed, same
from labkit.timing import MS, now_ns, pause_until

name = "second-path"
order = 120
minutes = 25
needs = ("split-brain",)
title = Text("A second path for the heartbeats", "Un segundo camino para los latidos")
shape = Shape()
task = Text(
    """
The pair works. Its heartbeats travel as broadcast, as multicast and as unicast, and yet on a single path: all three use
{nic}. One bad cable, or one rule of a packet filter, and you have the split brain of the exercise before.

Somebody has put a second network card into both nodes, {path}, and has laid a cable between them. It has addresses, and
nobody uses it.

1. See that the path works: find the addresses of {path} on both nodes, and `ping` one from the other.
2. See on which links the nodes hear each other now: `cl_status listhblinks {second}` on {first}, and the other way
   round; `cl_status hblinkstatus {second} {nic}` tells whether one is up.
3. Have Heartbeat use {path} **as well**, on both nodes, and restart it. In the end each node hears the other on two
   links.
4. Try it out: drop the heartbeats that arrive on {nic}, on both nodes:

       iptables -A INPUT -i {nic} -p udp --dport 694 -j DROP

   Wait for longer than deadtime ({deadtime}), look at the log and at `cl_status`, and take the rules away again (`-D`
   in place of `-A`). The check does the same, and nobody may be declared dead.
""",
    """
La pareja funciona. Sus latidos viajan como broadcast, como multicast y como unicast, y aun así por un solo camino: los
tres usan {nic}. Un cable malo, o una regla de un filtro de paquetes, y tiene usted el cerebro dividido del ejercicio
anterior.

Alguien puso una segunda tarjeta de red en ambos nodos, {path}, y tendió un cable entre ellos. Tiene direcciones y
nadie la usa.

1. Vea que el camino funciona: busque las direcciones de {path} en ambos nodos y haga `ping` de uno al otro.
2. Vea por qué enlaces se oyen los nodos ahora: `cl_status listhblinks {second}` en {first}, y al revés;
   `cl_status hblinkstatus {second} {nic}` dice si un enlace está activo.
3. Haga que Heartbeat use **también** {path}, en ambos nodos, y reinícielo. Al final cada nodo oye al otro por dos
   enlaces.
4. Pruébelo: descarte los latidos que llegan por {nic}, en ambos nodos:

       iptables -A INPUT -i {nic} -p udp --dport 694 -j DROP

   Espere más que deadtime ({deadtime}), mire el registro y `cl_status`, y quite de nuevo las reglas (`-D` en lugar de
   `-A`). La verificación hace lo mismo, y nadie debe ser dado por muerto.
""",
)
hints = (
    Text(
        "`ip -4 address show {path}` shows the address. The media of the heartbeats stand in `/etc/ha.d/ha.cf`; each"
        " line there names a card, and more lines are more paths.",
        "`ip -4 address show {path}` muestra la dirección. Los medios de los latidos están en `/etc/ha.d/ha.cf`; cada"
        " línea nombra una tarjeta, y más líneas son más caminos.",
    ),
    Text(
        "Broadcast needs no address: a line `bcast {path}` is all. Keep the lines that are there, and put it below"
        " `udpport`, on both nodes.",
        "El broadcast no necesita dirección: basta una línea `bcast {path}`. Conserve las líneas que hay y póngala"
        " debajo de `udpport`, en ambos nodos.",
    ),
    Text(
        "Restart Heartbeat on both nodes; a link that only one of them uses is `dead` for it. Then look again at"
        " `cl_status listhblinks` and `hblinkstatus`, on both.",
        "Reinicie Heartbeat en ambos nodos; un enlace que usa solo uno de ellos está `dead` para él. Después mire otra"
        " vez `cl_status listhblinks` y `hblinkstatus`, en ambos.",
    ),
)
solution = Text(
    """
On both nodes, below the `bcast` line of `/etc/ha.d/ha.cf`, add one for the second card, and restart Heartbeat:

    sed -i 's/^bcast.*/&\\nbcast {path}/' /etc/ha.d/ha.cf
    /etc/init.d/heartbeat restart

`mcast {path} 225.0.0.2 694 1 0`, or a `ucast {path}` with the peer's address on that card, does the same.

    cl_status listhblinks {second}           on {first}: {nic} and {path}
    cl_status hblinkstatus {second} {path}   up

Heartbeat sends each heartbeat on every medium, and a node is alive while **one** of them brings it. With {nic} blocked
you see `Link {second}:{nic} dead.` in the log and nothing else: a link has died, and no node.

Three media on one card are one path, for they fail together. Two paths are worth what they do not share: card, cable,
switch, power. And count what is left: {vip} is still on {nic} alone. If that card dies, the heartbeats go on, and
nobody takes over. That is the next exercise.
""",
    """
En ambos nodos, debajo de la línea `bcast` de `/etc/ha.d/ha.cf`, agregue una para la segunda tarjeta y reinicie
Heartbeat:

    sed -i 's/^bcast.*/&\\nbcast {path}/' /etc/ha.d/ha.cf
    /etc/init.d/heartbeat restart

`mcast {path} 225.0.0.2 694 1 0`, o un `ucast {path}` con la dirección del otro nodo en esa tarjeta, hace lo mismo.

    cl_status listhblinks {second}           en {first}: {nic} y {path}
    cl_status hblinkstatus {second} {path}   up

Heartbeat envía cada latido por todos los medios, y un nodo vive mientras **uno** de ellos lo traiga. Con {nic}
bloqueada verá `Link {second}:{nic} dead.` en el registro y nada más: murió un enlace, y ningún nodo.

Tres medios en una tarjeta son un solo camino, porque fallan juntos. Dos caminos valen por lo que no comparten: tarjeta,
cable, conmutador, corriente. Y cuente lo que queda: {vip} sigue estando solo en {nic}. Si esa tarjeta muere, los
latidos siguen y nadie toma el servicio. Ese es el próximo ejercicio.
""",
)
questions: dict[str, Text] = {}

MARGIN_MS = 1000.0  # beyond deadtime, in which a death would be noticed


def planted(spec: Any, random: Any) -> dict[str, Any]:
    return {"path": _tools_paths.NIC}


def configure(pair: Pair) -> None:
    _tools_paths.add(pair)


def prepare(pair: Pair) -> None:
    """Until the pair is at rest with its one path."""
    _tools_paths.require(pair)
    pair.settle(60)


def look(pair: Pair) -> Facts:
    """The links, and if there are two on each node, what happens when the first card brings no heartbeats."""
    settled = pair.settle()
    links = {node: _tools_paths.links(pair, node) for node in pair.lab.nodes}
    facts: Facts = {"settled": settled, "links": links, "deaths": None, "owners": None}
    if settled and all(_up(there) >= 2 for there in links.values()):
        before = _tools_paths.deaths(pair)
        with _tools_paths.deaf(pair, pair.lab.spec.network.interface):
            pause_until(now_ns() + int((pair.lab.spec.timing.deadtime_ms + MARGIN_MS) * MS))
            facts["owners"] = pair.lab.owners()
            facts["deaths"] = _tools_paths.deaths(pair) - before
    return facts


def _up(links: dict[str, str]) -> int:
    return sum(status == "up" for status in links.values())


def judge(seen: Seen) -> list[Judged]:
    links, deaths, owners = (seen.facts[key] for key in ("links", "deaths", "owners"))
    shown = [
        same(f"{node}: {', '.join(f'{nic} {status}' for nic, status in there.items()) or '-'}")
        for node, there in links.items()
    ]
    not_tried = Text(
        "not tried: it takes a pair at rest with two links up on each node",
        "sin probar: hace falta una pareja en reposo con dos enlaces activos en cada nodo",
    )
    held = Text("declared dead: {deaths} times; owners: {owners}", "dado por muerto: {deaths} veces; dueños: {owners}")
    nic = seen.spec.network.interface
    return [
        Judged(
            "two-links",
            "pass" if all(_up(there) >= 2 for there in links.values()) else "fail",
            Text("two links up on each node", "dos enlaces activos en cada nodo"),
            listed(shown, same(" | ")),
            same(f"cl_status listhblinks; cl_status hblinkstatus; {commands.HA_CF}"),
        ),
        Judged(
            "one-cut-is-survived",
            "pass" if deaths == 0 and owners is not None and len(owners) == 1 else "fail",
            Text(
                "with the heartbeats on {nic} dropped, nobody is declared dead and one owner stays",
                "con los latidos de {nic} descartados, nadie es dado por muerto y queda un solo dueño",
            ).filled(nic=nic),
            not_tried if deaths is None else held.filled(deaths=deaths, owners=", ".join(owners) or "-"),
            same(f"{commands.SYSLOG}: is dead, Link ... dead"),
        ),
    ]


def solve(pair: Pair) -> None:
    _tools_paths.add_medium(pair)
    _tools_daemon.renew(pair)
