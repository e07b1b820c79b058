"""A silent node is not a dead one: the peer has its power cut before it takes anything over."""

from contextlib import AbstractContextManager
from typing import Any

from labkit.errors import BadInput
from labkit.exercises import Facts, Judged, Pair, Seen, Shape, _power, _tools_daemon
from labkit.heartbeat import commands, hacf
from labkit.history import Event, of_kind
from labkit.language import Text, listed, same

name = "fencing"
order = 140
minutes = 40
needs = ("split-brain",)
title = Text("Fencing: shoot the other node in the head", "Fencing: dispararle al otro nodo en la cabeza")
# A node that has not heard its peer for initdead has it shot: give both the time to boot.
shape = Shape(timing=(("initdead", "10"),))
task = Text(
    """
When {first}'s Heartbeat hangs, {second} hears nothing and takes {vip}. But {first} is not dead: it still has {vip}, and
you have the split brain again. The cure is to make sure: before {second} takes anything, it has {first}'s power cut.
Heartbeat calls that STONITH, *shoot the other node in the head*.

At {client}, in the client, there is a switch that can cut the power of each node for a moment. Both nodes have a
plug-in that asks it: `/usr/lib/stonith/plugins/external/labkit`. Somebody must stand at the switch: it works while
`labkit exercise watch` runs in another terminal.

1. On a node, find out what the plug-in wants to know, and then whether it reaches the switch:

       stonith -t external/labkit -n
       stonith -t external/labkit -p '...' -S

   The second prints nothing, and `echo $?` says 0 if it does. Which nodes it can shoot, `-l` tells in place of `-S`.
   From {first} shoot {second}: `-T reset {second}`. What happened stands in the client; on your own machine:

       docker exec labkit-{lab}_client cat /var/log/power-switch

2. Tell Heartbeat on both nodes, in `/etc/ha.d/ha.cf`, which nodes use which device with what parameters
   (`stonith_host`), and restart it on both. `grep -i stonith /var/log/syslog` shows whether the device answers.
3. Follow the log of {second}, `tail -f /var/log/syslog`. As soon as both devices are ready and the pair is at rest, the
   check lets Heartbeat hang on {first}: it must be shot **before** {second} takes the resources, and at no time may
   both have {vip}. `watch` stays at the switch after that, so do it yourself, too: `pkill -STOP -x heartbeat` on the
   node that has {vip}.
""",
    """
Cuando el Heartbeat de {first} se cuelga, {second} no oye nada y toma {vip}. Pero {first} no está muerto: todavía tiene
{vip}, y ahí está de nuevo el cerebro dividido. El remedio es asegurarse: antes de tomar nada, {second} hace cortar la
corriente de {first}. Heartbeat lo llama STONITH, *shoot the other node in the head*.

En {client}, en el cliente, hay un interruptor que puede cortar por un momento la corriente de cada nodo. Ambos nodos
tienen un complemento que se lo pide: `/usr/lib/stonith/plugins/external/labkit`. Alguien debe estar junto al
interruptor: funciona mientras `labkit exercise watch` se ejecuta en otra terminal.

1. En un nodo, averigüe qué quiere saber el complemento, y después si alcanza el interruptor:

       stonith -t external/labkit -n
       stonith -t external/labkit -p '...' -S

   La segunda no muestra nada, y `echo $?` dice 0 si lo alcanza. A qué nodos puede disparar lo dice `-l` en lugar de
   `-S`. Desde {first} dispárele a {second}: `-T reset {second}`. Lo que pasó está en el cliente; en su propia máquina:

       docker exec labkit-{lab}_client cat /var/log/power-switch

2. Dígale a Heartbeat en ambos nodos, en `/etc/ha.d/ha.cf`, qué nodos usan qué dispositivo y con qué parámetros
   (`stonith_host`), y reinícielo en ambos. `grep -i stonith /var/log/syslog` muestra si el dispositivo responde.
3. Siga el registro de {second}, `tail -f /var/log/syslog`. En cuanto ambos dispositivos estén listos y la pareja en
   reposo, la verificación cuelga el Heartbeat de {first}: se le debe disparar **antes** de que {second} tome los
   recursos, y en ningún momento pueden tener ambos {vip}. `watch` sigue después junto al interruptor, así que hágalo
   también usted: `pkill -STOP -x heartbeat` en el nodo que tiene {vip}.
""",
)
hints = (
    Text(
        "The plug-in has one parameter, the address of the switch. `stonith` takes its value behind `-p`. If `-S`"
        " fails, nobody stands at the switch, or the address is wrong.",
        "El complemento tiene un parámetro, la dirección del interruptor. `stonith` recibe su valor tras `-p`. Si `-S`"
        " falla, nadie está junto al interruptor, o la dirección está mal.",
    ),
    Text(
        "The line in `ha.cf` is `stonith_host NODE TYPE PARAMETERS`, where NODE is who may use the device, and `*`"
        " stands for every node. TYPE is what you gave to `stonith -t`.",
        "La línea de `ha.cf` es `stonith_host NODO TIPO PARÁMETROS`, donde NODO es quién puede usar el dispositivo, y"
        " `*` significa todos los nodos. TIPO es lo que usted le dio a `stonith -t`.",
    ),
    Text(
        "`stonith_host * external/labkit {client}`, the same line on both nodes. Restart Heartbeat on both while"
        " somebody stands at the switch.",
        "`stonith_host * external/labkit {client}`, la misma línea en ambos nodos. Reinicie Heartbeat en ambos mientras"
        " alguien está junto al interruptor.",
    ),
)
solution = Text(
    """
On both nodes, with `labkit exercise watch` running elsewhere:

    stonith -t external/labkit -p '{client}' -S
    echo 'stonith_host * external/labkit {client}' >>/etc/ha.d/ha.cf
    /etc/init.d/heartbeat restart

When {first} hangs, the log of {second} has, in this order, `node {first}: is dead`, `Resetting node {first}`,
`node {first} now reset.` and `Resources being acquired from {first}.` {first} boots, joins, and gets its resources
back.

That is the only answer to a split brain that is right whatever the cause: {second} no longer believes that {first} is
dead, it has seen to it. It has its price. Heartbeat waits for the shot **for ever**: stop `labkit exercise watch`, let
{first} hang, and {second} logs `STONITH of {first} failed.  Retrying...` every few seconds and serves nobody. So a
switch must not share the node's own power or network. And if both nodes can shoot, and do not hear each other, the
quicker one wins; therefore initdead is longer here than deadtime: two nodes that boot at different speeds would shoot
each other.

A node that leaves in good order is not shot.
""",
    """
En ambos nodos, con `labkit exercise watch` funcionando en otra parte:

    stonith -t external/labkit -p '{client}' -S
    echo 'stonith_host * external/labkit {client}' >>/etc/ha.d/ha.cf
    /etc/init.d/heartbeat restart

Cuando {first} se cuelga, el registro de {second} tiene, en este orden, `node {first}: is dead`,
`Resetting node {first}`, `node {first} now reset.` y `Resources being acquired from {first}.` {first} arranca, se une
y recibe de vuelta sus recursos.

Esa es la única respuesta a un cerebro dividido que es correcta sea cual sea la causa: {second} ya no cree que {first}
está muerto, se encargó de ello. Tiene su precio. Heartbeat espera el disparo **para siempre**: detenga
`labkit exercise watch`, haga que {first} se cuelgue: {second} registra `STONITH of {first} failed.  Retrying...`
cada pocos segundos y no atiende a nadie. Por eso un interruptor no debe compartir la corriente ni la red del propio
nodo. Y si ambos nodos pueden disparar y no se oyen, gana el más rápido; por eso initdead es aquí más largo que
deadtime: dos nodos que arrancan a distinta velocidad se dispararían el uno al otro.

A un nodo que se va en orden no se le dispara.
""",
)
questions: dict[str, Text] = {}

TRIAL = "hanging"
# The two own it for a look of the ARP watcher or two at most; without fencing they do until the node is healed, 4 s.
INSTANT_MS = 300.0
CHECKED = "Checking status of STONITH device [power switch of the lab]"
# The log since the daemon that runs now has started.
SINCE_START = f"tac {commands.SYSLOG} | sed '/Configuration validated/q'"


def attended(pair: Pair) -> AbstractContextManager[None]:
    """Somebody stands at the power switch, for as long as a student tries things out."""
    return _power.attended(pair.lab)


def configure(pair: Pair) -> None:
    _power.place(pair.lab)


def prepare(pair: Pair) -> None:
    pair.settle(60)


def look(pair: Pair) -> Facts:
    """Whether each node's device is configured and answers, and if so, what comes of a daemon that hangs."""
    settled = pair.settle()
    devices = {node: _device(pair, node) for node in pair.lab.nodes}
    if settled and all(all(one.values()) for one in devices.values()):
        pair.trial(TRIAL, "heartbeat-freeze")
    return {"settled": settled, "devices": devices}


def _device(pair: Pair, node: str) -> dict[str, bool]:
    """Whether ha.cf has a device for the node, whether that can shoot the peer, and whether the daemon knows of it."""
    found = _options(pair, node)
    hosts = pair.ask(node, f"timeout 20 stonith {found} -l").output.split() if found else []
    return {
        "configured": bool(found),
        "answers": pair.lab.spec.peer_of(node) in hosts,
        "known": CHECKED in pair.ask(node, SINCE_START).output,
    }


def _options(pair: Pair, node: str) -> str:
    """The device of ha.cf as the stonith command takes it; empty if there is none. The last line counts."""
    try:
        found = hacf.parse(pair.read(node, commands.HA_CF) or "")
    except BadInput:
        return ""
    options = ""
    for line in found.stonith:
        kind, _, file = line.partition(" ")
        options = f"-t '{kind}' -F '{file.strip()}'"
    for line in found.stonith_host:
        host, kind, *parameters = line.split()
        if host in ("*", node):
            options = f"-t '{kind}' -p '{' '.join(parameters)}'"
    return options


def judge(seen: Seen) -> list[Judged]:
    devices, trial = seen.facts["devices"], seen.trial(TRIAL)
    answers = {True: Text("yes", "sí"), False: same("no")}
    told = Text(
        "{node}: in ha.cf {configured}, can shoot the peer {answers}, Heartbeat has read it {known}",
        "{node}: en ha.cf {configured}, puede dispararle al otro {answers}, Heartbeat lo leyó {known}",
    )
    shown = [told.filled(node=node, **{key: answers[yes] for key, yes in one.items()}) for node, one in devices.items()]
    not_tried = Text(
        "not tried: both devices must be ready, and the pair at rest",
        "sin probar: ambos dispositivos deben estar listos, y la pareja en reposo",
    )
    order = _order(seen.runs.get(TRIAL, []), trial, seen)
    dual_ms = trial["dual_owner_ms"] if trial else None
    return [
        Judged(
            "ready-to-shoot",
            "pass" if all(all(one.values()) for one in devices.values()) else "fail",
            Text(
                "a STONITH device for each node, which can shoot the other",
                "un dispositivo STONITH para cada nodo, que le pueda disparar al otro",
            ),
            listed(shown, same(" | ")),
            same(f"{commands.HA_CF}; stonith -t external/labkit ... -S; echo $?; grep -i stonith {commands.SYSLOG}"),
        ),
        Judged(
            "shot-before-taken",
            "pass" if trial and order == list(_LINES) and trial["server_after"] != trial["server_before"] else "fail",
            Text(
                "the node is shot, then its resources are taken", "se le dispara al nodo, después se toman sus recursos"
            ),
            same(" -> ".join(order) or "-") if trial else not_tried,
            same(commands.SYSLOG),
        ),
        Judged(
            "never-two-owners",
            "fail" if not trial else "unknown" if dual_ms is None else "pass" if dual_ms <= INSTANT_MS else "fail",
            Text("one owner of the VIP at most", "un dueño de la IP virtual como máximo"),
            Text("two owners for {ms} ms", "dos dueños durante {ms} ms").filled(
                ms="?" if dual_ms is None else round(dual_ms)
            )
            if trial
            else not_tried,
            same("arping"),
        ),
    ]


_LINES = ("Resetting node", "now reset", "Resources being acquired from")


def _order(events: list[Event], trial: dict[str, Any] | None, seen: Seen) -> list[str]:
    """Which of the lines the survivor has logged about the node that hung, by their first time."""
    if not trial or trial["node"] not in seen.spec.nodes:
        return []
    survivor = seen.spec.peer_of(trial["node"])
    texts = [
        line["text"] for line in of_kind(events, "log") if line["node"] == survivor and trial["node"] in line["text"]
    ]
    found = (what for text in texts for what in _LINES if what in text)
    return list(dict.fromkeys(found))


def solve(pair: Pair) -> None:
    client = pair.lab.spec.network.client
    with attended(pair):
        for node in pair.lab.nodes:
            pair.sh(node, f"stonith -t external/labkit -p '{client}' -S")
            pair.sh(node, f"echo 'stonith_host * external/labkit {client}' >>{commands.HA_CF}")
        _tools_daemon.renew(pair)
