"""`crc` signs nothing: a third machine keeps a dead node alive, and a key stops that."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from labkit.engine import Placed
from labkit.errors import BadInput, Unsettled
from labkit.exercises import NO_ANSWER, Facts, Judged, Pair, Seen, Shape, _forger, _tools_daemon
from labkit.heartbeat import authkeys, commands
from labkit.language import Text, listed, same
from labkit.timing import MS, now_ns, pause_until, wait_until

name = "forged-heartbeat"
order = 150
minutes = 35
needs = ("authkeys-order-and-mode",)
title = Text("A forged heartbeat", "Un latido falsificado")
shape = Shape()
task = Text(
    """
The pair works. Its `authkeys` are the guide's: `auth 1` and `1 crc`. On the same network stands a third machine that
should have no say in the cluster: the client. From your own machine, this takes you there:

    docker exec -it labkit-{lab}_client bash

1. See what a heartbeat looks like, on {second} or in the client:

       tcpdump -n -A -i {nic} -c 1 udp port 694

2. Forge some. In the client,

       forge {first} {second_address}

   listens to {first}, and then speaks to {second} in its name, until you press Ctrl-C. It needs no password;
   `cat /usr/local/bin/forge` shows how little there is to it. Leave it running.
3. Cut {first}'s power from your own machine:

       docker kill labkit-{lab}-{first}

   Wait for much longer than deadtime ({deadtime}). What does {second} take {first} for
   (`cl_status nodestatus {first}`), and who serves? Write down the answer to the question below.
4. End `forge`, see what happens now, and give {first} its power back:

       docker start labkit-{lab}-{first}

5. Make forging impossible: both nodes must take no heartbeat that was not signed with a secret of theirs. Restart
   Heartbeat on both. Then do steps 2 to 4 again: this time {second} takes over while `forge` is talking. The check does
   the same.
""",
    """
La pareja funciona. Sus `authkeys` son los de la guía: `auth 1` y `1 crc`. En la misma red hay una tercera máquina que
no debería tener voz en el clúster: el cliente. Desde su propia máquina, esto lo lleva allí:

    docker exec -it labkit-{lab}_client bash

1. Vea cómo es un latido, en {second} o en el cliente:

       tcpdump -n -A -i {nic} -c 1 udp port 694

2. Falsifique algunos. En el cliente,

       forge {first} {second_address}

   escucha a {first} y después le habla a {second} en su nombre, hasta que usted pulse Ctrl-C. No necesita contraseña;
   `cat /usr/local/bin/forge` muestra lo poco que es. Déjelo funcionando.
3. Corte la corriente de {first} desde su propia máquina:

       docker kill labkit-{lab}-{first}

   Espere mucho más que deadtime ({deadtime}). ¿En qué estado cree {second} que está {first}
   (`cl_status nodestatus {first}`), y quién sirve? Anote la respuesta a la pregunta de abajo.
4. Termine `forge`, vea qué pasa ahora y devuelva la corriente a {first}:

       docker start labkit-{lab}-{first}

5. Haga imposible la falsificación: ninguno de los nodos debe aceptar un latido que no esté firmado con un secreto suyo.
   Reinicie Heartbeat en ambos. Después repita los pasos 2 a 4: esta vez {second} toma el servicio mientras `forge`
   habla. La verificación hace lo mismo.
""",
)
hints = (
    Text(
        "A checksum tells whether a message was damaged on the way. Whoever writes a message can compute it. What could"
        " the two nodes know that the client cannot?",
        "Una suma de comprobación dice si un mensaje se dañó en el camino. Quien escribe un mensaje puede calcularla."
        " ¿Qué podrían saber los dos nodos que el cliente no puede?",
    ),
    Text(
        "The methods with a key are `md5` and `sha1`, as the comments in `/etc/ha.d/authkeys` say. The key must be"
        " the same on both nodes, and the file must stay readable by root alone.",
        "Los métodos con clave son `md5` y `sha1`, como dicen los comentarios de `/etc/ha.d/authkeys`. La clave debe"
        " ser la misma en ambos nodos, y el archivo debe seguir siendo legible solo para root.",
    ),
    Text(
        "`auth 1` says how a node signs. A node **takes** every method that stands in the file: as long as a line"
        " `2 crc` is left there, forging goes on. `forge` tries all numbers.",
        "`auth 1` dice cómo firma un nodo. Un nodo **acepta** todo método que esté en el archivo: mientras quede allí"
        " una línea `2 crc`, la falsificación sigue. `forge` prueba todos los números.",
    ),
)
solution = Text(
    """
While `forge` speaks, {second} takes the dead {first} for `active` and never takes over: nobody serves, and no log line
says that anything is wrong. When it is silent, {second} takes over after deadtime.

On one node make a key, and put the same two lines into `/etc/ha.d/authkeys` on both, in place of `auth 1` and `1 crc`:

    auth 1
    1 sha1 KEY

where KEY is one long random word, as `openssl rand -hex 20` or `head -c 20 /dev/urandom | sha1sum` gives it. Then, on
both: `chmod 600 /etc/ha.d/authkeys` and `/etc/init.d/heartbeat restart`.

Now {second} logs `authentication failed` or `Invalid authentication` for each forged heartbeat and counts none of them.

`crc` is meant for links that nobody else can reach, such as a serial cable. On a network that others share, everybody
there can keep a dead node alive, or speak for a node in worse ways. A key keeps them out only while it is secret (mode
600, another one for each cluster), and while no `crc` line is left: `auth` chooses how a node signs, not what it takes.
""",
    """
Mientras `forge` habla, {second} tiene al {first} muerto por `active` y nunca toma el servicio: no sirve nadie, y
ninguna línea del registro dice que algo esté mal. Cuando calla, {second} toma el servicio después de deadtime.

En un nodo haga una clave, y ponga las mismas dos líneas en `/etc/ha.d/authkeys` de ambos, en lugar de `auth 1` y
`1 crc`:

    auth 1
    1 sha1 CLAVE

donde CLAVE es una sola palabra larga y aleatoria, como la dan `openssl rand -hex 20` o
`head -c 20 /dev/urandom | sha1sum`. Después, en ambos: `chmod 600 /etc/ha.d/authkeys` y
`/etc/init.d/heartbeat restart`.

Ahora {second} registra `authentication failed` o `Invalid authentication` por cada latido falsificado y no cuenta
ninguno.

`crc` está pensado para enlaces que nadie más alcanza, como un cable serie. En una red que otros comparten, cualquiera
puede mantener vivo a un nodo muerto, o hablar por un nodo de peores maneras. Una clave los deja fuera solo mientras es
secreta (modo 600, otra para cada clúster) y mientras no quede ninguna línea `crc`: `auth` elige cómo firma un nodo,
no qué acepta.
""",
)
questions = {
    "while-forging": Text(
        "With {first} without power and `forge` speaking for it: what did `cl_status nodestatus {first}` print on"
        " {second}, long after deadtime?",
        "Con {first} sin corriente y `forge` hablando por él: ¿qué mostró `cl_status nodestatus {first}` en {second},"
        " mucho después de deadtime?",
    ),
}

KEYED = ("sha1", "md5")
PATIENCE_MS = 8000.0  # beyond deadtime: a young daemon asks for 2 s more, and the VIP has to be started
REFUSED = f"grep -c -e 'authentication failed' -e 'Invalid authentication' {commands.SYSLOG}"


def configure(pair: Pair) -> None:
    """The guide's authkeys, and the forger in the client."""
    for node in pair.lab.nodes:
        text = pair.read(node, commands.AUTHKEYS) or ""
        pair.write(node, commands.AUTHKEYS, re.sub(r"(?m)^1 sha1 .*$", "1 crc", text), 0o600)
    pair.lab.client.put([Placed(_forger.PATH, _forger.SCRIPT.encode(), 0o755)])


def prepare(pair: Pair) -> None:
    pair.settle(60)


def look(pair: Pair) -> Facts:
    """How heartbeats are signed; and if by a key, whether forged ones keep a node that has no power alive."""
    methods = {node: _methods(pair, node) for node in pair.lab.nodes}
    keys = {_digest(pair, node) for node in pair.lab.nodes}
    settled = pair.settle()
    facts: Facts = {"methods": methods, "same_key": len(keys) == 1, "settled": settled, "taken_over": None}
    if settled and all(there and there[0] in KEYED for there in methods.values()):
        facts |= _try(pair)
    return facts


def _methods(pair: Pair, node: str) -> list[str]:
    """The method that a node signs with, then the others that it takes; none if its file is not valid."""
    try:
        found = authkeys.parse(pair.read(node, commands.AUTHKEYS) or "")
    except BadInput:
        return []
    return [found.methods[found.active].kind, *(one.kind for n, one in found.methods.items() if n != found.active)]


def _digest(pair: Pair, node: str) -> str:
    """Stands for the key that a node signs with."""
    try:
        found = authkeys.parse(pair.read(node, commands.AUTHKEYS) or "")
    except BadInput:
        return ""
    return sha256(found.methods[found.active].key.encode()).hexdigest()


@contextmanager
def _forging(pair: Pair, victim: str, deceived: str) -> Iterator[None]:
    """The client speaks for one node to the other. One that the student has left running is ended, too."""
    address, port = pair.lab.spec.nodes[deceived].address, pair.lab.spec.timing.udpport
    silence = f"pkill -f {_forger.PATH}; rm -f /tmp/forge.log"
    pair.client(silence)
    pair.client(f"setsid {_forger.PATH} {victim} {address} {port} >/tmp/forge.log 2>&1 &")
    try:
        wait_until(
            lambda: pair.client("cat /tmp/forge.log").output, lambda said: _forger.SPEAKING in said, 15, "forging"
        )
        yield
    finally:
        pair.client(silence)


def _try(pair: Pair) -> Facts:
    """Cuts the active node's power while somebody speaks for it, and heals that. Whether the other took over, and how
    many forged heartbeats it has refused."""
    lab = pair.lab
    active = next((node for node, now in lab.statuses().items() if now.vip), pair.first)
    peer = lab.spec.peer_of(active)
    before = int(pair.ask(peer, REFUSED).output or 0)
    try:
        with _forging(pair, active, peer):
            lab.kill(active)
            wait_s = (lab.spec.timing.deadtime_ms + PATIENCE_MS) / 1000
            try:
                wait_until(lab.owners, lambda owners: owners == [peer], wait_s, f"{peer} has the VIP")
                taken_over = True
            except Unsettled:
                taken_over = False
            refused = int(pair.ask(peer, REFUSED).output or 0) - before
    finally:
        lab.restore()
    return {"taken_over": taken_over, "refused": refused, "victim": active}


def judge(seen: Seen) -> list[Judged]:
    facts = seen.facts
    answer = seen.answers.get("while-forging", "").strip().lower()
    shown = [same(f"{node}: {', '.join(there) or '?'}") for node, there in facts["methods"].items()]
    different = [] if facts["same_key"] else [Text("different keys", "claves distintas")]
    keyed = all(there and there[0] in KEYED for there in facts["methods"].values())
    if facts["taken_over"] is None:
        tried = Text(
            "not tried: both nodes must sign with a key, and be at rest",
            "sin probar: ambos nodos deben firmar con una clave y estar en reposo",
        )
    else:
        tried = Text(
            "{victim} had no power; taken over: {taken}; forged heartbeats refused: {refused} lines",
            "{victim} no tenía corriente; servicio tomado: {taken}; latidos falsificados rechazados: {refused} líneas",
        ).filled(
            victim=facts["victim"],
            taken=Text("yes", "sí") if facts["taken_over"] else same("no"),
            refused=facts["refused"],
        )
    return [
        Judged(
            "what-forging-does",
            "pass" if answer == "active" else "fail",
            Text(
                "what a node takes a dead peer for that somebody speaks for",
                "en qué estado cree un nodo que está un muerto por el que alguien habla",
            ),
            same(answer) if answer else NO_ANSWER,
            Text("steps 2 and 3 of the task", "pasos 2 y 3 de la tarea"),
        ),
        Judged(
            "signed-with-a-secret",
            "pass" if keyed and facts["same_key"] else "fail",
            Text(
                "a method with a key, and the same key on both nodes",
                "un método con clave, y la misma clave en ambos nodos",
            ),
            listed([*shown, *different], same(" | ")),
            same(commands.AUTHKEYS),
        ),
        Judged(
            "forging-fails",
            "pass" if facts["taken_over"] else "fail",
            Text(
                "the peer takes over from a dead node for which somebody speaks",
                "el otro nodo toma el servicio de un nodo muerto por el que alguien habla",
            ),
            tried,
            same(f"{commands.AUTHKEYS}; {commands.SYSLOG}"),
        ),
    ]


def solve(pair: Pair) -> None:
    with _forging(pair, pair.first, pair.second):
        pair.lab.kill(pair.first)
        pause_until(now_ns() + int((pair.lab.spec.timing.deadtime_ms + 1000) * MS))
        pair.answers["while-forging"] = pair.ask(pair.second, f"cl_status nodestatus {pair.first}").output.strip()
    pair.lab.start(pair.first)
    pair.settle(60)
    key = pair.sh(pair.first, "head -c 20 /dev/urandom | sha1sum | cut -c 1-40").strip()
    for node in pair.lab.nodes:
        pair.sh(node, f"printf 'auth 1\\n1 sha1 %s\\n' {key} >{commands.AUTHKEYS}; chmod 600 {commands.AUTHKEYS}")
    _tools_daemon.renew(pair)
