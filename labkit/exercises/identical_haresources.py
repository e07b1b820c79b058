"""Both nodes own the VIP, because each one's haresources names that node: the guide's own mistake (its S7)."""

from random import Random

from labkit.exercises import Facts, Judged, Pair, Seen, Shape, _tools_daemon
from labkit.heartbeat import commands, haresources
from labkit.language import Text, listed, same
from labkit.spec import Spec
from labkit.timing import wait_until

name = "identical-haresources"
order = 20
minutes = 20
needs = ("first-pair",)
title = Text("One resource group, the same on both nodes", "Un grupo de recursos, igual en ambos nodos")
shape = Shape()
task = Text(
    """
On this pair, as in the guide, each node's `/etc/ha.d/haresources` names the node on which it lies. Its last line:

On {first}:

    {first} {resources}

On {second}:

    {second} {resources}

Heartbeat runs on both and logs no error. And yet clients get sometimes the one page, sometimes the other.

1. Find out who owns {vip}: look at the addresses of both nodes, and ask the network who has it.
2. Make the pair have **one** owner: {first} while both are well.
3. Restart Heartbeat where it must read its files again. A line `INFO:  Resource is stopped` is normal there.
""",
    """
En esta pareja, como en la guía, el `/etc/ha.d/haresources` de cada nodo nombra al nodo en el que está. Esta es
su última línea.

En {first}:

    {first} {resources}

En {second}:

    {second} {resources}

Heartbeat funciona en ambos y no registra ningún error. Y aun así los clientes reciben a veces una página y a veces la
otra.

1. Averigüe quién tiene {vip}: mire las direcciones de ambos nodos y pregunte a la red quién la tiene.
2. Haga que la pareja tenga **un solo** dueño: {first} mientras ambos estén bien.
3. Reinicie Heartbeat donde deba leer de nuevo sus archivos. La línea `INFO:  Resource is stopped` es normal allí.
""",
)
hints = (
    Text(
        "`ip address show {nic}` on each node shows its addresses. `arping -c 3 -I {nic} {vip}` on one of them asks the"
        " other.",
        "`ip address show {nic}` en cada nodo muestra sus direcciones. `arping -c 3 -I {nic} {vip}` en uno de ellos"
        " pregunta al otro.",
    ),
    Text(
        "The name at the line's beginning is not the node where the file lies. It is the one that has the group when"
        " both are well. Read the comments that stand above the last line: they say how the file must be.",
        "El nombre al comienzo de la línea no es el nodo donde está el archivo. Es el que tiene el grupo cuando ambos"
        " están bien. Lea los comentarios (en inglés) que están encima de la última línea: dicen cómo debe ser el"
        " archivo.",
    ),
    Text(
        "The line must be the same on both nodes. Only {second}'s file is wrong.",
        "La línea debe ser igual en ambos nodos. Solo el archivo de {second} está mal.",
    ),
)
solution = Text(
    """
On {second}, change the last line of `/etc/ha.d/haresources` to the one that {first} has, and restart Heartbeat there:

    sed -i 's/^{second} /{first} /' /etc/ha.d/haresources
    /etc/init.d/heartbeat restart

Heartbeat does not compare the two files. Each node starts the group that bears its own name, so two different files are
two groups with one address. The files must be identical, as the sample says.
""",
    """
En {second}, cambie la última línea de `/etc/ha.d/haresources` por la que tiene {first} y reinicie allí Heartbeat:

    sed -i 's/^{second} /{first} /' /etc/ha.d/haresources
    /etc/init.d/heartbeat restart

Heartbeat no compara los dos archivos. Cada nodo inicia el grupo que lleva su propio nombre, de modo que dos archivos
distintos son dos grupos con una sola dirección. Los archivos deben ser idénticos, como dice el ejemplo.
""",
)
questions: dict[str, Text] = {}


def planted(spec: Spec, random: Random) -> dict[str, str]:
    """resources: what stands behind the node's name in both files."""
    network = spec.network
    return {"resources": f"IPaddr2::{network.vip}/{network.pool.prefixlen}/{network.interface} apache2"}


def configure(pair: Pair) -> None:
    """The peer's line names the peer."""
    pair.edit(pair.second, commands.HARESOURCES, f"\n{pair.first} ", f"\n{pair.second} ")


def prepare(pair: Pair) -> None:
    """Until both nodes own the VIP."""
    wait_until(pair.lab.owners, lambda owners: len(owners) == 2, 60, "both nodes own the VIP", pair.lab.tails)


def look(pair: Pair) -> Facts:
    """The active lines of both files, and who owns the VIP when the pair is settled."""
    lines = {}
    for node in pair.lab.nodes:
        groups = haresources.parse(pair.read(node, commands.HARESOURCES) or "")
        lines[node] = [" ".join([one.node, *("::".join((r.script, *r.args)) for r in one.resources)]) for one in groups]
    settled = pair.settle()
    return {
        "lines": lines,
        "settled": settled,
        "owners": pair.lab.owners() if settled else None,
        "unread": _tools_daemon.unread(pair),
    }


def judge(seen: Seen) -> list[Judged]:
    lines, owners = seen.facts["lines"], seen.facts["owners"]
    shown = listed([same(f"{node}: {'; '.join(there) or '-'}") for node, there in lines.items()], same(" | "))
    first, second = lines.values()
    one_owner = Text("one owner of the VIP: {first}", "un solo dueño de la IP virtual: {first}")
    return [
        Judged(
            "same-on-both",
            "pass" if first and first == second else "fail",
            Text("the same line on both nodes", "la misma línea en ambos nodos"),
            shown,
            same(commands.HARESOURCES),
        ),
        _tools_daemon.read_again(seen.facts["unread"]),
        Judged(
            "one-owner",
            "fail" if owners != [seen.spec.preferred] else "pass",
            one_owner.filled(first=seen.spec.preferred),
            Text("not settled", "sin asentarse") if owners is None else same(", ".join(owners) or "-"),
            same(f"arping -c 3 -I {seen.spec.network.interface} {seen.spec.network.vip}"),
        ),
    ]


def solve(pair: Pair) -> None:
    pair.sh(pair.second, f"sed -i 's/^{pair.second} /{pair.first} /' {commands.HARESOURCES}")
    pair.restart(*pair.lab.nodes)
    pair.settle(60)
