"""A name that is no node's: in ha.cf of one node, and in haresources of the other."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from labkit.errors import BadInput
from labkit.exercises import Facts, Judged, Pair, Seen, Shape
from labkit.heartbeat import commands, hacf, haresources
from labkit.language import Text, listed, same
from labkit.spec import Spec
from labkit.timing import wait_until

name = "wrong-node-name"
order = 40
minutes = 20
needs = ("authkeys-order-and-mode",)
title = Text("A name that is no node's", "Un nombre que no es de ningún nodo")
shape = Shape()
task = Text(
    """
The machines of this pair were renamed last week: they are {first} and {second} now. Somebody went through
`/etc/ha.d/ha.cf` and `/etc/ha.d/haresources` on both nodes and wrote the new names. Since then they are no pair any
more.

Two names were written wrongly, one on each node, and not in the same file.

1. Find out how each node is called: Heartbeat believes `uname -n`, and nothing else.
2. Find, in the log of each node, the name that Heartbeat complains of, and from there the file that is wrong. The file
   that the line names need not be the one with the mistake.
3. Mend the files, and have Heartbeat run on both nodes, each hearing the other, with {vip} owned by {first} alone. Do
   not rename the machines.
""",
    """
Las máquinas de esta pareja cambiaron de nombre la semana pasada: ahora tienen otros ({first}, {second}). Alguien
recorrió `/etc/ha.d/ha.cf` y `/etc/ha.d/haresources` en ambos nodos y escribió los nombres nuevos. Desde entonces ya no
son una pareja.

Dos nombres quedaron mal escritos, uno en cada nodo, y no en el mismo archivo.

1. Averigüe cómo se llama cada nodo: Heartbeat cree a `uname -n`, y a nada más.
2. Busque, en el registro de cada nodo, el nombre del que Heartbeat se queja, y a partir de ahí el archivo que está mal.
   El archivo que la línea nombra no es por fuerza el que tiene el error.
3. Corrija los archivos y logre que Heartbeat funcione en ambos nodos, que cada uno oiga al otro, y que {vip} sea solo
   de {first}. No cambie el nombre de las máquinas.
""",
)
hints = (
    Text(
        "`grep ERROR /var/log/syslog` on both nodes. The name stands in square brackets.",
        "`grep ERROR /var/log/syslog` en ambos nodos. El nombre está entre corchetes.",
    ),
    Text(
        "`Current node [..] not in configuration!`: no `node` line of ha.cf says what `uname -n` says. `Bad nodename in"
        " haresources [..]`: haresources names a node that no `node` line has; either of the two files may be wrong."
        " `bad node [..] in message`: a stranger is heard, because ha.cf does not have him.",
        "`Current node [..] not in configuration!`: ninguna línea `node` de ha.cf dice lo que dice `uname -n`. `Bad"
        " nodename in haresources [..]`: haresources nombra un nodo que ninguna línea `node` tiene; cualquiera de los"
        " dos archivos puede estar mal. `bad node [..] in message`: se oye a un desconocido, porque ha.cf no lo tiene.",
    ),
    Text(
        "On both nodes, `grep ^node /etc/ha.d/ha.cf` must show {first} and {second}, and the last line of haresources"
        " must begin with {first}. Letter by letter: hyphens, dots, and no domain. Then stop and start Heartbeat.",
        "En ambos nodos, `grep ^node /etc/ha.d/ha.cf` debe mostrar los dos nombres ({first}, {second}), y la última"
        " línea de haresources debe comenzar con {first}. Letra por letra: guiones, puntos, y sin dominio. Después"
        " detenga e inicie Heartbeat.",
    ),
)
solution = Text(
    """
On both nodes

    uname -n
    grep ERROR /var/log/syslog
    grep ^node /etc/ha.d/ha.cf
    tail -n 1 /etc/ha.d/haresources

With an editor, write {first} or {second} for what is neither, and then on both

    /etc/init.d/heartbeat stop
    /etc/init.d/heartbeat start

A name is all that ties the three places together: the kernel's, ha.cf's and haresources'. A node that does not find its
own name does not start. One that finds in haresources a name that ha.cf lacks does not start either, and blames
haresources, even if it is ha.cf that is wrong. And one that merely lacks the other's name starts, takes the other's
heartbeats for a stranger's, and serves alone, while the other one may do the same.
""",
    """
En ambos nodos

    uname -n
    grep ERROR /var/log/syslog
    grep ^node /etc/ha.d/ha.cf
    tail -n 1 /etc/ha.d/haresources

Con un editor, escriba el nombre debido ({first}, {second}) donde no diga ninguno de los dos, y después en ambos

    /etc/init.d/heartbeat stop
    /etc/init.d/heartbeat start

Un nombre es todo lo que une los tres lugares: el del núcleo, el de ha.cf y el de haresources. Un nodo que no encuentra
su propio nombre no arranca. Uno que encuentra en haresources un nombre que falta en ha.cf tampoco arranca, y culpa a
haresources aunque sea ha.cf el que está mal. Y uno al que solo le falta el nombre del otro arranca, toma los latidos
del otro por los de un desconocido y sirve solo, mientras el otro quizá hace lo mismo.
""",
)
questions: dict[str, Text] = {}

MISSPELT: dict[str, Callable[[str], str]] = {
    "underscore": lambda right: right.replace("-", "_"),
    "no-hyphen": lambda right: right.replace("-", ""),
    "domain": lambda right: f"{right}.local",
    "two-turned": lambda right: f"{right[0]}{right[2]}{right[1]}{right[3:]}" if right[1] != right[2] else right[1:],
    "one-missing": lambda right: right[:3] + right[4:],
}


@dataclass(frozen=True)
class Planted:
    """ha_cf: the node whose ha.cf has wrong instead of right. The other one's haresources has wrong_group."""

    ha_cf: str
    right: str
    wrong: str
    wrong_group: str


def plant(spec: Spec, chance: random.Random) -> Planted:
    """Which of the names, where, and how it is misspelt."""
    one, right = chance.choice(sorted(spec.nodes)), chance.choice(sorted(spec.nodes))
    hacf_way, group_way = chance.sample(sorted(MISSPELT), 2)
    return Planted(one, right, MISSPELT[hacf_way](right), MISSPELT[group_way](spec.preferred))


def configure(pair: Pair) -> None:
    planted = plant(pair.lab.spec, pair.variant.random(name))
    pair.edit(planted.ha_cf, commands.HA_CF, f"\nnode\t{planted.right}\n", f"\nnode\t{planted.wrong}\n")
    other = pair.lab.spec.peer_of(planted.ha_cf)
    pair.edit(other, commands.HARESOURCES, f"\n{pair.first} ", f"\n{planted.wrong_group} ")


def prepare(pair: Pair) -> None:
    """Until each has refused its configuration, or, if it lacks the other's name alone, has taken everything."""
    planted = plant(pair.lab.spec, pair.variant.random(name))
    said = f"grep -q 'Configuration error, heartbeat not started' {commands.SYSLOG}"

    def at_its_end() -> list[bool]:
        alone = pair.first if planted.ha_cf == pair.first and planted.right == pair.second else None
        return [
            pair.lab.status(node).vip if node == alone else pair.ask(node, said).exit_code == 0
            for node in pair.lab.nodes
        ]

    wait_until(at_its_end, all, 60, "Heartbeat has refused what it must", pair.lab.tails)


def look(pair: Pair) -> Facts:
    """The names in both files of each node, None where Heartbeat would not take ha.cf; how each node is called; whether
    they run and hear each other, and who owns the VIP."""
    ha_cf: dict[str, list[str] | None] = {}
    groups, called = {}, {}
    for node in pair.lab.nodes:
        called[node] = pair.ask(node, "uname -n; cat /etc/ha.d/nodeinfo 2>/dev/null").output.split()
        groups[node] = [one.node for one in haresources.parse(pair.read(node, commands.HARESOURCES) or "")]
        try:
            ha_cf[node] = sorted(set(hacf.parse(pair.read(node, commands.HA_CF) or "").nodes))
        except BadInput:
            ha_cf[node] = None
    runs = {node: status.heartbeat for node, status in pair.lab.statuses().items()}
    settled = all(runs.values()) and pair.settle()
    return {
        "called": called,
        "ha_cf": ha_cf,
        "groups": groups,
        "runs": runs,
        "settled": settled,
        "owners": pair.lab.owners(),
    }


def judge(seen: Seen) -> list[Judged]:
    """Which file is wrong it does not tell: that is for the log to tell."""
    facts, spec = seen.facts, seen.spec
    names_right = all(names == sorted(spec.nodes) for names in facts["ha_cf"].values())
    groups_right = all(names == [spec.preferred] for names in facts["groups"].values())
    as_called = all(names == [node] for node, names in facts["called"].items())
    good, bad = Text("so it is", "así es"), Text("not so on both nodes", "no es así en ambos nodos")
    silent = [node for node, there in facts["runs"].items() if not there]
    runs = Text("it does not run on {nodes}", "no funciona en {nodes}").filled(nodes=", ".join(silent))
    deaf = Text("it runs on both, and the pair has not settled", "corre en ambos, y la pareja no se ha asentado")
    owners = facts["owners"]
    return [
        Judged(
            "names",
            "pass" if names_right and groups_right else "fail",
            Text(
                "ha.cf and haresources name the nodes of the pair, and no others",
                "ha.cf y haresources nombran los nodos de la pareja, y ningún otro",
            ),
            good if names_right and groups_right else bad,
            same(f"{commands.HA_CF}, {commands.HARESOURCES}"),
        ),
        Judged(
            "own-names",
            "pass" if as_called else "fail",
            Text("each machine kept its name", "cada máquina conserva su nombre"),
            listed([same(f"{node}: {' '.join(names)}") for node, names in facts["called"].items()]),
            same("uname -n; ls /etc/ha.d"),
        ),
        Judged(
            "both-run",
            "pass" if facts["settled"] else "fail",
            Text("Heartbeat runs on both, and each hears the other", "Heartbeat corre en ambos y cada uno oye al otro"),
            good if facts["settled"] else runs if silent else deaf,
            same(f"grep ERROR {commands.SYSLOG}"),
        ),
        Judged(
            "one-owner",
            "pass" if owners == [spec.preferred] else "fail",
            Text("one owner of the VIP: {first}", "un solo dueño de la IP virtual: {first}").filled(
                first=spec.preferred
            ),
            same(", ".join(owners) or "-"),
            same(f"arping -c 3 -I {spec.network.interface} {spec.network.vip}"),
        ),
    ]


def solve(pair: Pair) -> None:
    """Without knowing what was planted: every name is put right."""
    for node in pair.lab.nodes:
        pair.sh(node, f"sed -i '/^node[[:blank:]]/d' {commands.HA_CF}")
        pair.sh(node, f"printf 'node {pair.first}\\nnode {pair.second}\\n' >> {commands.HA_CF}")
        pair.sh(node, f"sed -i '$ s/^[^ ]*/{pair.first}/' {commands.HARESOURCES}")
        pair.ask(node, f"{commands.HEARTBEAT_INIT} stop")
    pair.lab.each(lambda node: pair.sh(node, f"{commands.HEARTBEAT_INIT} start"))
    pair.settle(60)
