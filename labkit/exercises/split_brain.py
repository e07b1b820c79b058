"""Both nodes own the VIP for good, because their heartbeats do not arrive: seen, understood, and ended at its cause."""

import re
from collections.abc import Mapping
from random import Random
from typing import Any

from labkit.exercises import Facts, Judged, Pair, Seen, Shape
from labkit.heartbeat import commands
from labkit.language import Text, listed, same
from labkit.spec import Spec
from labkit.timing import wait_until

name = "split-brain"
order = 110
minutes = 30
needs = ("who-answers",)
title = Text("Split brain, seen and ended", "Cerebro dividido: verlo y terminarlo")
shape = Shape()
task = Text(
    """
Both nodes run, both have the same `haresources`, and yet both hold {vip}. This has lasted for a while and does not
end by itself.

1. Find out which MAC addresses answer for {vip}. Ask from a third place, so that both can answer: the client. The
   first line, typed on your own machine, takes you into it, the second one asks:

       docker exec -it labkit-{lab}_client bash
       arping -c 3 -i {nic} {vip}

2. Find out what each node takes its peer for: `cl_status nodestatus NAME`. Mind that they need not agree.
3. Write down both answers **before** you mend anything, for afterwards they are gone. The questions stand below; a
   heartbeat that does not arrive leaves no line that says why.
4. Find out why the heartbeats do not arrive, and mend that. In the end both nodes hear each other, {vip} has **one**
   owner, whichever it is, and its page is served. Heartbeat needs up to half a minute to sort itself out.
""",
    """
Ambos nodos funcionan, ambos tienen el mismo `haresources` y aun así ambos tienen {vip}. Esto dura desde hace un rato
y no termina por sí solo.

1. Averigüe qué direcciones MAC responden por {vip}. Pregunte desde un tercer lugar, para que puedan responder ambos: el
   cliente. La primera línea, escrita en su propia máquina, lo lleva a él; la segunda pregunta:

       docker exec -it labkit-{lab}_client bash
       arping -c 3 -i {nic} {vip}

2. Averigüe qué piensa cada nodo del otro: `cl_status nodestatus NOMBRE`. Tenga en cuenta que no tienen por qué
   coincidir.
3. Anote ambas respuestas **antes** de reparar nada, pues después ya no se ven. Las preguntas están abajo; un latido
   que no llega no deja ninguna línea que diga por qué.
4. Averigüe por qué no llegan los latidos y repárelo. Al final ambos nodos se oyen, {vip} tiene **un solo** dueño, sea
   cual sea, y se sirve su página. Heartbeat necesita hasta medio minuto para ordenarse.
""",
)
hints = (
    Text(
        "Heartbeats are UDP packets. On each node, `tcpdump -n -i {nic} udp` shows which come by, from whom, and to"
        " which port. Of what arrives, tcpdump sees all, before iptables filters it; of what leaves, only what iptables"
        " has let through. (Ctrl-C ends it.)",
        "Los latidos son paquetes UDP. En cada nodo, `tcpdump -n -i {nic} udp` muestra cuáles pasan, de quién y a qué"
        " puerto. Al entrar, tcpdump ve los paquetes antes de que los filtre iptables; al salir, después. (Ctrl-C lo"
        " termina.)",
    ),
    Text(
        "Two things decide whether a packet that arrives is read: the packet filter (`iptables -S`, in both directions,"
        " on both nodes) and the port on which Heartbeat listens (`udpport` and `mcast` in `/etc/ha.d/ha.cf`).",
        "Dos cosas deciden si se lee un paquete que llega: el filtro de paquetes (`iptables -S`, en ambos sentidos y en"
        " ambos nodos) y el puerto en que escucha Heartbeat (`udpport` y `mcast` en `/etc/ha.d/ha.cf`).",
    ),
    Text(
        "A rule that `iptables -S` prints as `-A ...` goes away with the same text after `iptables -D`. A port in"
        " `ha.cf` must be the same on both nodes, on the `udpport` and on the `mcast` line, and counts from the restart"
        " of Heartbeat there.",
        "Una regla que `iptables -S` muestra como `-A ...` se quita con el mismo texto tras `iptables -D`. Un puerto de"
        " `ha.cf` debe ser igual en ambos nodos, en la línea `udpport` y en la línea `mcast`, y vale desde que se"
        " reinicia allí Heartbeat.",
    ),
)
solution = Text(
    """
In the client, `arping -c 3 -i {nic} {vip}` shows two MAC addresses: those of both nodes (`ip link show {nic}` on each).
`cl_status nodestatus {second}` on {first}, and `cl_status nodestatus {first}` on {second}, tell who takes whom for
dead; where only one does, heartbeats are lost in one direction alone.

Compare on both nodes, because the cause may be on one or on both:

    iptables -S
    grep -E '^(udpport|mcast)' /etc/ha.d/ha.cf

If there are rules that drop UDP port 694, delete them, on the node where `iptables -S` showed them, and only those that
it showed; each `-A` line is deleted with `-D`:

    iptables -D INPUT -p udp -m udp --dport 694 -j DROP
    iptables -D OUTPUT -p udp -m udp --dport 694 -j DROP

If the ports differ, make them 694 again, and restart Heartbeat on that node:

    sed -i -E '/^(udpport|mcast)/s/695/694/' /etc/ha.d/ha.cf
    /etc/init.d/heartbeat restart

When the nodes hear each other again, a node that had taken the other for dead logs `returning after partition` and
restarts itself, which ends the double ownership. For some seconds nobody may serve: that is the price.

The lesson: with two nodes, silence cannot be told from death. Each node acted as it should, on what it heard. Taking
{vip} away from one of them by hand would have left the cause in place, and nothing in `haresources` can prevent a split
brain: only a second path for the heartbeats makes it rare, and only fencing makes it impossible.
""",
    """
En el cliente, `arping -c 3 -i {nic} {vip}` muestra dos direcciones MAC: las de los dos nodos
(`ip link show {nic}` en cada uno). `cl_status nodestatus {second}` en {first} y `cl_status nodestatus {first}` en
{second} dicen quién da a quién por muerto; si solo lo hace uno, los latidos se pierden en un solo sentido.

Compare en ambos nodos, porque la causa puede estar en uno o en los dos:

    iptables -S
    grep -E '^(udpport|mcast)' /etc/ha.d/ha.cf

Si hay reglas que descartan el puerto UDP 694, bórrelas, en el nodo donde las mostró `iptables -S`, y solo las que
mostró; cada línea `-A` se borra con `-D`:

    iptables -D INPUT -p udp -m udp --dport 694 -j DROP
    iptables -D OUTPUT -p udp -m udp --dport 694 -j DROP

Si los puertos difieren, vuelva a poner 694 y reinicie Heartbeat en ese nodo:

    sed -i -E '/^(udpport|mcast)/s/695/694/' /etc/ha.d/ha.cf
    /etc/init.d/heartbeat restart

Cuando los nodos se oyen de nuevo, un nodo que daba al otro por muerto registra `returning after partition` y se
reinicia, lo que termina la doble propiedad. Durante unos segundos puede que no sirva nadie: ese es el precio.

La lección: con dos nodos, el silencio no se distingue de la muerte. Cada nodo hizo lo que debía con lo que oía.
Quitarle {vip} a mano a uno de ellos habría dejado la causa en su lugar, y nada en `haresources` puede evitar un
cerebro dividido: solo un segundo camino para los latidos lo hace raro, y solo el fencing lo hace imposible.
""",
)
questions = {
    "macs": Text(
        "Which MAC addresses answered for {vip} during the split brain? All of them, with blanks between.",
        "¿Qué direcciones MAC respondían por {vip} durante el cerebro dividido? Todas, separadas por espacios.",
    ),
    "first-said": Text(
        "What did {first} take {second} for then? The word that `cl_status nodestatus {second}` printed on {first}.",
        "¿En qué estado creía {first} que estaba {second}? Escriba la palabra que mostró"
        " `cl_status nodestatus {second}` en {first}.",
    ),
    "second-said": Text(
        "What did {second} take {first} for then? The word that `cl_status nodestatus {first}` printed on {second}.",
        "¿En qué estado creía {second} que estaba {first}? Escriba la palabra que mostró"
        " `cl_status nodestatus {first}` en {second}.",
    ),
}

WRONG_PORT = 695
ENDED_S = 45.0  # Heartbeat needs some 25 s after the heartbeats are back: it restarts itself, and then waits 10 s more


def _cause(spec: Spec, random: Random) -> dict[str, Any]:
    """chains: node -> packet filter chains in which its heartbeats are dropped. odd: the node with the wrong port.
    said: what each node takes its peer for.

    The preferred node is active when the rules come. Where heartbeats are lost in one direction, it must be that to the
    peer: the other way round nobody takes anything over."""
    first, second = spec.nodes
    both_dead = {"first-said": "dead", "second-said": "dead"}
    one_dead = {"first-said": "active", "second-said": "dead"}
    causes: list[dict[str, Any]] = [
        {"chains": {first: ["INPUT"], second: ["INPUT"]}, "odd": None, "said": both_dead},
        {"chains": {first: ["INPUT", "OUTPUT"]}, "odd": None, "said": both_dead},
        {"chains": {second: ["INPUT", "OUTPUT"]}, "odd": None, "said": both_dead},
        {"chains": {second: ["INPUT"]}, "odd": None, "said": one_dead},
        {"chains": {first: ["OUTPUT"]}, "odd": None, "said": one_dead},
        {"chains": {}, "odd": first, "said": both_dead},
        {"chains": {}, "odd": second, "said": both_dead},
    ]
    return random.choice(causes)


def _of(pair: Pair) -> dict[str, Any]:
    return _cause(pair.lab.spec, pair.variant.random(name))


def configure(pair: Pair) -> None:
    odd = _of(pair)["odd"]
    if odd:
        right = pair.lab.spec.timing.udpport
        pair.edit(odd, commands.HA_CF, f"\nudpport\t{right}\n", f"\nudpport\t{WRONG_PORT}\n")
        pair.edit(odd, commands.HA_CF, f" 225.0.0.1 {right} 1 0\n", f" 225.0.0.1 {WRONG_PORT} 1 0\n")


def prepare(pair: Pair) -> None:
    """Until both nodes own the VIP, and think of each other what they will go on to think."""
    cause = _of(pair)
    if not cause["odd"]:
        pair.settle(60)
        for node, chains in cause["chains"].items():
            for chain in chains:
                pair.sh(node, f"iptables -A {chain} -p udp --dport {pair.lab.spec.timing.udpport} -j DROP")
    wait_until(
        lambda: (len(pair.lab.owners()), _said(pair)),
        lambda now: now == (2, cause["said"]),
        60,
        "both nodes own the VIP",
        pair.lab.tails,
    )


def _said(pair: Pair) -> dict[str, str]:
    """What each node takes its peer for, under the key of the question."""
    now = pair.lab.statuses()
    return {"first-said": now[pair.first].peer, "second-said": now[pair.second].peer}


def look(pair: Pair) -> Facts:
    """Who owns the VIP, when the nodes are settled also whether it serves, and what of the answers the student has
    found out, and no more: facts are kept where he can read them.

    peers: what each node takes the other for now, None while that would tell what they said. macs: None if not found.
    """
    settled = pair.settle(ENDED_S) if _mended(pair) else False
    served = False
    if settled:
        # A node that kept the VIP all along announces nothing: the client would go on asking the other for a minute.
        pair.client(f"ip neigh flush to {pair.lab.vip}")
        served = pair.lab.answers(pair.lab.vip, tries=10)
    macs, peers = sorted(pair.lab.macs()), _said(pair)
    told = _answered(pair.answers, _of(pair)["said"]) or set(peers.values()) == {"active"}  # which no cause leaves
    return {
        "settled": settled,
        "owners": pair.lab.owners(),
        "served": served,
        "macs": macs if _named(pair.answers) == macs else None,
        "peers": peers if told else None,
    }


def _named(answers: Mapping[str, str]) -> list[str]:
    """The MAC addresses of the answer, with blanks or commas between."""
    return sorted({word.replace("-", ":") for word in re.split(r"[\s,;]+", answers.get("macs", "").lower()) if word})


def _answered(answers: Mapping[str, str], said: Mapping[str, str]) -> bool:
    """Whether both words are right."""
    return all(answers.get(key, "").strip().lower() == word for key, word in said.items())


def _mended(pair: Pair) -> bool:
    """Whether waiting is of any use: where a node sees its peer dead, with both alive, only the student can help,
    unless a daemon is about to restart itself."""
    now = pair.lab.statuses()
    return not all(one.heartbeat and one.resources for one in now.values()) or all(
        one.peer != "dead" for one in now.values()
    )


def judge(seen: Seen) -> list[Judged]:
    facts, answers = seen.facts, seen.answers
    said = _cause(seen.spec, seen.variant.random(name))["said"]
    named = _named(answers)
    missing = ", ".join(key for key in said if not answers.get(key, "").strip())
    words = listed([same(f"{key}: {answers.get(key, '').strip()}") for key in said], same(" | "))
    return [
        Judged(
            "who-answered",
            "pass" if named == facts["macs"] else "fail",
            Text("every MAC address that answered", "todas las direcciones MAC que respondían"),
            same(" ".join(named)) if named else UNANSWERED.filled(keys="macs"),
            Text("question macs; arping -c 3 -i {nic} {vip}", "la pregunta macs; arping -c 3 -i {nic} {vip}").filled(
                nic=seen.spec.network.interface, vip=seen.spec.network.vip
            ),
        ),
        Judged(
            "what-they-said",
            "pass" if _answered(answers, said) else "fail",
            Text(
                "what each node took its peer for while both owned the VIP",
                "qué decía cada nodo del estado del otro mientras ambos tenían la IP virtual",
            ),
            UNANSWERED.filled(keys=missing) if missing else words,
            Text("cl_status nodestatus, on each node", "cl_status nodestatus, en cada nodo"),
        ),
        Judged(
            "they-hear-each-other",
            "pass" if facts["settled"] else "fail",
            Text("both nodes hear each other and are at rest", "ambos nodos se oyen y están en reposo"),
            _peers(seen),
            same("tcpdump; iptables -S; /etc/ha.d/ha.cf"),
        ),
        Judged(
            "one-owner-serves",
            "pass" if facts["settled"] and len(facts["owners"]) == 1 and facts["served"] else "fail",
            Text("one owner of the VIP, and its page", "un solo dueño de la IP virtual, y su página"),
            same(", ".join(facts["owners"]) or "-"),
            Text("arping in the client; apache2 on the owner", "arping en el cliente; apache2 en el dueño"),
        ),
    ]


def _peers(seen: Seen) -> Text:
    """What the nodes say of each other now, unless that is still asked for."""
    peers = seen.facts["peers"]
    if peers is None:
        return Text("the nodes do not hear each other both ways", "los nodos no se oyen en ambos sentidos")
    says = Text("{node} says of {peer}: {word}", "{node} dice de {peer}: {word}")
    nodes = zip(seen.spec.nodes, peers.values(), strict=True)
    shown = [says.filled(node=node, peer=seen.spec.peer_of(node), word=word or "?") for node, word in nodes]
    return listed(shown, same(" | "))


UNANSWERED = Text(
    "no answer yet: {keys}; if you have mended it without writing the answers down: labkit exercise reset",
    "aún sin respuesta: {keys}; si ya lo reparó sin anotar las respuestas: labkit exercise reset",
)


def solve(pair: Pair) -> None:
    told = pair.client(f"arping -c 3 -i {pair.lab.spec.network.interface} {pair.lab.vip}").output
    pair.answers["macs"] = " ".join({word.strip("()") for word in told.split() if word.count(":") == 5})
    for key, node, peer in (("first-said", pair.first, pair.second), ("second-said", pair.second, pair.first)):
        pair.answers[key] = pair.sh(node, f"cl_status nodestatus {peer} || true").strip()
    for node in pair.lab.nodes:
        pair.sh(node, "iptables -S | sed -n 's/^-A/iptables -D/p' | sh")
        if str(WRONG_PORT) in (pair.read(node, commands.HA_CF) or ""):
            pair.sh(node, f"sed -i -E '/^(udpport|mcast)/s/{WRONG_PORT}/694/' {commands.HA_CF}")
            pair.restart(node)
    pair.settle(60)
