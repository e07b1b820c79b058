"""Heartbeat refuses to start, on one node after the other, because of authkeys: each student's faults are others."""

import random
import secrets
from dataclasses import dataclass

from labkit.exercises import Facts, Judged, Pair, Seen, Shape
from labkit.exercises._tools_authkeys import signing
from labkit.heartbeat import commands
from labkit.language import Text, listed, same
from labkit.spec import Spec
from labkit.timing import wait_until

name = "authkeys-order-and-mode"
order = 30
minutes = 25
needs = ("identical-haresources",)
title = Text("authkeys: order, mode and key", "authkeys: orden, modo y clave")
shape = Shape()
task = Text(
    """
A colleague wrote `/etc/ha.d/authkeys` anew on both nodes, in a hurry. Since the nodes were started, {vip} is not served
as it should be: Heartbeat does not run where it should, and where it runs, it may not trust the other node.

There are **several** mistakes. Heartbeat stops at the first that it meets, so mend, start, and look again.

1. Find out from the log why Heartbeat does not start.
2. Mend `authkeys` on both nodes: both are to sign with **sha1** and one and the same key, and nobody but root may read
   the file.
3. Have Heartbeat run on both nodes, each hearing the other, and {vip} owned by {first} alone.
""",
    """
Un colega escribió de nuevo `/etc/ha.d/authkeys` en ambos nodos, con prisa. Desde que los nodos arrancaron, {vip} no se
sirve como debería: Heartbeat no funciona donde debe, y donde funciona, tal vez no confía en el otro nodo.

Hay **varios** errores. Heartbeat se detiene en el primero que encuentra, así que corrija, inicie y mire otra vez.

1. Averigüe en el registro por qué Heartbeat no arranca.
2. Corrija `authkeys` en ambos nodos: ambos deben firmar con **sha1** y con la misma clave, y nadie más que root debe
   poder leer el archivo.
3. Logre que Heartbeat funcione en ambos nodos, que cada uno oiga al otro, y que {vip} sea solo de {first}.
""",
)
hints = (
    Text(
        "`/etc/init.d/heartbeat start` says only that it failed, `grep ERROR /var/log/syslog | tail` says why. Look at"
        " both nodes: they need not have the same trouble.",
        "`/etc/init.d/heartbeat start` solo dice que falló; `grep ERROR /var/log/syslog | tail` dice por qué. Mire"
        " ambos nodos: no tienen por qué tener el mismo problema.",
    ),
    Text(
        "The file is read from top to bottom, and only a method **below** the `auth` line can be the chosen one: `Auth"
        " Key [1] not found` may mean that it stands too high, has another number, or was thrown out for the reason"
        " that the line above gives. The methods are crc, md5 and sha1, in small letters; the last two need a key.",
        "El archivo se lee de arriba abajo, y solo un método **debajo** de la línea `auth` puede ser el elegido: `Auth"
        " Key [1] not found` puede significar que está demasiado arriba, que tiene otro número o que se descartó por el"
        " motivo que da la línea anterior. Los métodos son crc, md5 y sha1, en minúsculas; los dos últimos necesitan"
        " una clave.",
    ),
    Text(
        "Both nodes run, and each believes that the other is dead? Then look for `authtoken does not match` in the log,"
        " and compare the keys themselves, letter by letter: `cksum /etc/ha.d/authkeys` on both.",
        "¿Ambos nodos funcionan y cada uno cree que el otro está muerto? Busque entonces `authtoken does not match` en"
        " el registro y compare las claves mismas, letra por letra: `cksum /etc/ha.d/authkeys` en ambos.",
    ),
)
solution = Text(
    """
On both nodes, make `/etc/ha.d/authkeys` two lines, with the same secret word:

    auth 1
    1 sha1 aSecretWord

and then

    chmod 600 /etc/ha.d/authkeys
    /etc/init.d/heartbeat stop
    /etc/init.d/heartbeat start

on both, one soon after the other.

Heartbeat would rather not start than run with a file that it does not understand or that others can read, and it says
why, once, in syslog. One thing it cannot see by itself: that the keys differ. Then both nodes start, each throws away
what the other sends, and each takes the address because it believes that the other is dead. A wrong key is a split
brain.
""",
    """
En ambos nodos, haga que `/etc/ha.d/authkeys` tenga dos líneas, con la misma palabra secreta:

    auth 1
    1 sha1 unaPalabraSecreta

y después

    chmod 600 /etc/ha.d/authkeys
    /etc/init.d/heartbeat stop
    /etc/init.d/heartbeat start

en ambos, uno poco después del otro.

Heartbeat prefiere no arrancar a funcionar con un archivo que no entiende o que otros pueden leer, y dice por qué, una
vez, en syslog. Hay algo que no puede ver por sí mismo: que las claves difieren. Entonces ambos nodos arrancan, cada uno
desecha lo que el otro envía, y cada uno toma la dirección porque cree muerto al otro. Una clave equivocada es un
cerebro dividido.
""",
)
questions: dict[str, Text] = {}

GOOD = "auth 1\n1 sha1 {key}\n"
REFUSED = {
    "order": "1 sha1 {key}\nauth 1\n",
    "method": "auth 1\n1 sha256 {key}\n",
    "capitals": "auth 1\n1 SHA1 {key}\n",
    "number": "auth 2\n1 sha1 {key}\n",
    "no-key": "auth 1\n1 sha1\n",
    "auth-missing": "1 sha1 {key}\n",
}
MODES = (0o644, 0o640, 0o604)


@dataclass(frozen=True)
class Planted:
    """texts, modes: of each node's authkeys, the key in braces. other_key: the node whose key differs, if any does."""

    texts: dict[str, str]
    modes: dict[str, int]
    other_key: str | None


def plant(spec: Spec, chance: random.Random) -> Planted:
    """Three faults: a text that is refused on one node; on the other such a text, too, or another key; and a mode."""
    one, other = chance.sample(sorted(spec.nodes), 2)
    kinds = chance.sample(sorted(REFUSED), 2)
    keys_differ = chance.random() < 0.5
    texts = {one: REFUSED[kinds[0]], other: GOOD if keys_differ else REFUSED[kinds[1]]}
    modes = dict.fromkeys(spec.nodes, 0o600) | {chance.choice((one, other)): chance.choice(MODES)}
    return Planted(texts, modes, other if keys_differ else None)


def configure(pair: Pair) -> None:
    planted = plant(pair.lab.spec, pair.variant.random(name))
    key = secrets.token_hex(10)
    for node, text in planted.texts.items():
        own = secrets.token_hex(10) if node == planted.other_key else key
        pair.write(node, commands.AUTHKEYS, text.format(key=own), planted.modes[node])


def prepare(pair: Pair) -> None:
    """Until each node has either refused to start or, alone as it is, taken everything."""
    planted = plant(pair.lab.spec, pair.variant.random(name))
    said = f"grep -q 'Authentication configuration error' {commands.SYSLOG}"

    def at_its_end() -> list[bool]:
        starts = {node: planted.texts[node] == GOOD and mode == 0o600 for node, mode in planted.modes.items()}
        return [
            pair.lab.status(node).vip if good else pair.ask(node, said).exit_code == 0 for node, good in starts.items()
        ]

    wait_until(at_its_end, all, 60, "Heartbeat has refused each authkeys that it must", pair.lab.tails)


def look(pair: Pair) -> Facts:
    """How both nodes sign, whether they run and hear each other, and who owns the VIP."""
    runs = {node: status.heartbeat for node, status in pair.lab.statuses().items()}
    settled = all(runs.values()) and pair.settle()
    return {**signing(pair), "runs": runs, "settled": settled, "owners": pair.lab.owners()}


def judge(seen: Seen) -> list[Judged]:
    """Nothing here tells which fault it is: that is for the log to tell."""
    facts = seen.facts
    modes, kinds = facts["modes"], facts["kinds"]
    ok, bad = Text("good", "bien"), Text("not so", "no es así")

    def by_node(check: str, right: dict[str, bool], expected: Text, look: str) -> Judged:
        shown = [same("{node}: {what}").filled(node=node, what=ok if good else bad) for node, good in right.items()]
        return Judged(check, "pass" if all(right.values()) else "fail", expected, listed(shown), same(look))

    private = {node: mode is not None and not int(mode, 8) & 0o077 for node, mode in modes.items()}
    text = Text("authkeys whose text Heartbeat takes, with sha1", "un authkeys cuyo texto Heartbeat acepta, con sha1")
    alike = Text("the same method and the same key on both", "el mismo método y la misma clave en ambos")
    untold = Text("cannot be compared yet", "aún no se pueden comparar")
    hears = Text("Heartbeat runs on both, and each hears the other", "Heartbeat corre en ambos y cada uno oye al otro")
    silent = Text("it does not run on {nodes}", "no funciona en {nodes}")
    silent_nodes = ", ".join(node for node, there in facts["runs"].items() if not there)
    first, owners = seen.spec.preferred, facts["owners"]
    return [
        by_node("text", {node: kind == "sha1" for node, kind in kinds.items()}, text, commands.AUTHKEYS),
        by_node("root-alone", private, Text("a file for root alone", "un archivo solo para root"), "ls -l /etc/ha.d"),
        Judged(
            "same-key",
            "pass" if facts["alike"] else "fail",
            alike,
            ok if facts["alike"] else bad if all(kinds.values()) else untold,
            same(f"cksum {commands.AUTHKEYS}"),
        ),
        Judged(
            "both-run",
            "pass" if facts["settled"] else "fail",
            hears,
            ok if facts["settled"] else silent.filled(nodes=silent_nodes) if silent_nodes else bad,
            same(f"grep ERROR {commands.SYSLOG}"),
        ),
        Judged(
            "one-owner",
            "pass" if owners == [first] else "fail",
            Text("one owner of the VIP: {first}", "un solo dueño de la IP virtual: {first}").filled(first=first),
            same(", ".join(owners) or "-"),
            same(f"arping -c 3 -I {seen.spec.network.interface} {seen.spec.network.vip}"),
        ),
    ]


def solve(pair: Pair) -> None:
    key = secrets.token_hex(10)
    for node in pair.lab.nodes:
        pair.sh(node, f"printf 'auth 1\\n1 sha1 {key}\\n' > {commands.AUTHKEYS}; chmod 600 {commands.AUTHKEYS}")
        pair.ask(node, f"{commands.HEARTBEAT_INIT} stop")
    pair.lab.each(lambda node: pair.sh(node, f"{commands.HEARTBEAT_INIT} start"))
    pair.settle(60)
