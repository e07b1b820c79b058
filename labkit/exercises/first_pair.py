"""The first pair, configured by hand from Heartbeat's samples: the guide's steps S5 to S13."""

import secrets
from random import Random

from labkit.exercises import Facts, Judged, Pair, Seen, Shape, _tools_daemon
from labkit.exercises._tools_authkeys import signing
from labkit.guide import shell
from labkit.guide.check import ha_cf, resources
from labkit.heartbeat import commands, haresources
from labkit.language import Text, listed, same
from labkit.render import heading
from labkit.spec import Spec

name = "first-pair"
order = 10
minutes = 45
needs = ()
title = Text("The first pair, by hand", "La primera pareja, a mano")
shape = Shape(bare=True, timing=(("keepalive", "2"), ("deadtime", "5")))
task = Text(
    """
Two nodes, {first} ({first_address}) and {second} ({second_address}). Heartbeat and apache2 are installed on both, and
Heartbeat is not configured. Make them a pair that serves on the virtual address {vip}.

1. On both nodes, unpack the samples `ha.cf.gz` and `haresources.gz` in `/usr/share/doc/heartbeat`, and copy them and
   `authkeys` to `/etc/ha.d`.
2. Edit `/etc/ha.d/ha.cf` on both. Most lines are there already, behind a `#`:
   - keepalive {keepalive}, deadtime {deadtime}, udpport 694, auto_failback on;
   - heartbeats by `bcast`, by `mcast` (group 225.0.0.1, port 694, ttl 1, loop 0) and by `ucast`, all over {nic};
     `ucast` names the address of the **other** node;
   - both nodes, each by a `node` line, as `uname -n` prints it.
3. Append one line to `/etc/ha.d/haresources`, the **same on both** nodes: {first} is to have the address {vip} and
   `apache2` while all is well.
4. In `/etc/ha.d/authkeys`, choose how heartbeats are signed, alike on both nodes, and let nobody but root read the
   file.
5. In `/var/www/html/index.html`, make the heading `{first_heading}` on {first}, and `{second_heading}` on
   {second}.
6. Start Heartbeat on both, wait until the pair has settled, and look at the pages of {first_address},
   {second_address} and {vip}: `curl http://{vip}/`. A line `INFO:  Resource is stopped` at the start is normal.
""",
    """
Dos nodos: {first} ({first_address}), {second} ({second_address}). Heartbeat y apache2 están instalados en ambos, y
Heartbeat está sin configurar. Haga de ellos una pareja que sirva en la dirección virtual {vip}.

1. En ambos nodos, descomprima los ejemplos `ha.cf.gz` y `haresources.gz` de `/usr/share/doc/heartbeat`, y cópielos
   junto con `authkeys` a `/etc/ha.d`.
2. Edite `/etc/ha.d/ha.cf` en ambos. Casi todas las líneas ya están, detrás de un `#`:
   - keepalive {keepalive}, deadtime {deadtime}, udpport 694, auto_failback on;
   - latidos por `bcast`, por `mcast` (grupo 225.0.0.1, puerto 694, ttl 1, loop 0) y por `ucast`, todos por {nic};
     `ucast` nombra la dirección del **otro** nodo;
   - los dos nodos, cada uno en una línea `node`, tal como lo escribe `uname -n`.
3. Añada una línea a `/etc/ha.d/haresources`, **igual en ambos** nodos: {first} debe tener la dirección {vip} y
   `apache2` mientras todo esté bien.
4. En `/etc/ha.d/authkeys`, elija cómo se firman los latidos, igual en ambos nodos, y no deje que nadie más que root
   lea el archivo.
5. En `/var/www/html/index.html`, ponga el título de cada nodo: `{first_heading}` en {first},
   `{second_heading}` en {second}.
6. Inicie Heartbeat en ambos, espere a que la pareja se asiente y mire las páginas de {first_address},
   {second_address} y {vip}: `curl http://{vip}/`. La línea `INFO:  Resource is stopped` al iniciar es normal.
""",
)
hints = (
    Text(
        "`grep -vE '^(#|$)' /etc/ha.d/ha.cf` shows only the lines that count. Compare both nodes: the address behind"
        " `ucast` is all that may differ.",
        "`grep -vE '^(#|$)' /etc/ha.d/ha.cf` muestra solo las líneas que cuentan. Compare ambos nodos: lo único que"
        " puede diferir es la dirección de `ucast`.",
    ),
    Text(
        "A line of haresources is: the node that has the group when all is well, then its resources from left to right."
        " In authkeys, `auth 1` comes first, and then line `1` with a method (`crc`; or `sha1` and a secret word).",
        "Una línea de haresources es: el nodo que tiene el grupo cuando todo está bien y luego sus recursos, de"
        " izquierda a derecha. En authkeys va primero `auth 1` y después la línea `1` con un método (`crc`; o `sha1` y"
        " una palabra secreta).",
    ),
    Text(
        "If Heartbeat does not start: `grep ERROR /var/log/syslog | tail`; what it says of `udpport setting must"
        " precede` is harmless. If it runs and {vip} is silent, wait: a"
        " fresh pair waits for about ten seconds before it takes anything, and longer if the other node is not there.",
        "Si Heartbeat no arranca: `grep ERROR /var/log/syslog | tail`; lo que dice de `udpport setting must precede`"
        " es inocuo. Si funciona y {vip} calla, espere: una pareja recién iniciada espera unos diez segundos antes de"
        " tomar nada, y más si el otro nodo no está.",
    ),
)
solution = Text(
    """
On both nodes:

    cd /usr/share/doc/heartbeat
    gzip -d ha.cf.gz haresources.gz
    cp ha.cf haresources authkeys /etc/ha.d
    cd /etc/ha.d
    nano ha.cf

so that its lines without `#` are, beside those that the sample has anyway (one `ucast` line on each node):

    keepalive {keepalive}
    deadtime {deadtime}
    udpport 694
    bcast {nic}
    mcast {nic} 225.0.0.1 694 1 0
    ucast {nic} {second_address}    # this one on {first}
    ucast {nic} {first_address}    # this one on {second}
    auto_failback on
    node {first}
    node {second}

Then, with a secret word of your own, the same on both nodes:

    echo '{first} {vip} apache2' >> haresources
    echo 'auth 1' >> authkeys
    echo '1 sha1 aSecretWord' >> authkeys
    chmod 600 authkeys
    nano /var/www/html/index.html     # the heading at the top: {first_heading}, or {second_heading}
    /etc/init.d/heartbeat start

The three files answer three questions: who is in the pair and how they hear each other (ha.cf), what moves together and
whose it is (haresources), and whom to believe (authkeys). Only the first differs between the nodes, and only because a
node does not send to itself. Heartbeat reads them when it starts, and never again.
""",
    """
En ambos nodos:

    cd /usr/share/doc/heartbeat
    gzip -d ha.cf.gz haresources.gz
    cp ha.cf haresources authkeys /etc/ha.d
    cd /etc/ha.d
    nano ha.cf

de modo que sus líneas sin `#` sean, además de las que el ejemplo ya trae (una línea `ucast` en cada nodo):

    keepalive {keepalive}
    deadtime {deadtime}
    udpport 694
    bcast {nic}
    mcast {nic} 225.0.0.1 694 1 0
    ucast {nic} {second_address}    # esta en {first}
    ucast {nic} {first_address}    # esta en {second}
    auto_failback on
    node {first}
    node {second}

Después, con una palabra secreta suya, la misma en ambos nodos:

    echo '{first} {vip} apache2' >> haresources
    echo 'auth 1' >> authkeys
    echo '1 sha1 unaPalabraSecreta' >> authkeys
    chmod 600 authkeys
    nano /var/www/html/index.html     # el título de arriba: {first_heading}, o {second_heading}
    /etc/init.d/heartbeat start

Los tres archivos responden tres preguntas: quiénes forman la pareja y cómo se oyen (ha.cf), qué se mueve junto y de
quién es (haresources), y a quién creer (authkeys). Solo el primero difiere entre los nodos, y solo porque un nodo no se
envía nada a sí mismo. Heartbeat los lee al arrancar, y nunca más.
""",
)
questions: dict[str, Text] = {}


def planted(spec: Spec, random: Random) -> dict[str, str]:
    """The headings of the nodes' pages."""
    first, second = spec.nodes
    return {"first_heading": heading(first), "second_heading": heading(second)}


def configure(pair: Pair) -> None:
    """Nothing is configured."""


def prepare(pair: Pair) -> None:
    """A bare pair is ready as soon as it is up."""


def look(pair: Pair) -> Facts:
    """Both nodes' files without their comments, how they sign, and what the pair does: facts of the last are None or
    empty where Heartbeat does not run."""
    nodes = pair.lab.nodes
    runs = all(status.heartbeat for status in pair.lab.statuses().values())
    settled = runs and pair.settle()
    addresses = {str(one.address): node for node, one in pair.lab.spec.nodes.items()}
    return {
        "ha_cf": {node: _active(pair.read(node, commands.HA_CF)) for node in nodes},
        "haresources": {node: _active(pair.read(node, commands.HARESOURCES)) for node in nodes},
        **signing(pair),
        "runs": runs,
        "settled": settled,
        "unread": _tools_daemon.unread(pair),
        "owners": pair.lab.owners(),
        "pages": {at: pair.client(shell.page(at)).output.strip() for at in (*addresses, pair.lab.vip)},
    }


def _active(text: str | None) -> str | None:
    lines = (text or "").splitlines()
    return None if text is None else "".join(f"{line}\n" for line in lines if line.strip() and line.strip()[0] != "#")


def judge(seen: Seen) -> list[Judged]:
    """As strict as the guide's own steps, and where it leaves freedom as free."""
    return [
        _ha_cf(seen),
        _haresources(seen),
        _authkeys(seen),
        _running(seen),
        _tools_daemon.read_again(seen.facts["unread"]),
        _served(seen),
    ]


def _ha_cf(seen: Seen) -> Judged:
    found = {node: ha_cf(text, seen.spec, node) for node, text in seen.facts["ha_cf"].items()}
    return Judged(
        "ha-cf",
        "pass" if all(one.state == "right" for one in found.values()) else "fail",
        Text("an ha.cf on both nodes as the task has it", "un ha.cf en ambos nodos como lo pide la tarea"),
        listed([same("{node}: {what}").filled(node=node, what=one.detail) for node, one in found.items()], same("; ")),
        same(commands.HA_CF),
    )


def _haresources(seen: Seen) -> Judged:
    texts = {node: text or "" for node, text in seen.facts["haresources"].items()}
    found = resources(texts, seen.spec)
    first, second = (haresources.parse(text) for text in texts.values())
    right = found.state == "right" and first == second and first[0].node == seen.spec.preferred
    shown = same(" | ".join(f"{node}: {'; '.join(text.splitlines()) or '-'}" for node, text in texts.items()))
    if found.state == "missing":
        shown = found.detail
    elif found.state != "right":
        shown = listed([found.detail, shown], same("; "))
    line = Text("one line, the same on both nodes, for {first}", "una línea, igual en ambos nodos, para {first}")
    return Judged(
        "haresources",
        "pass" if right else "fail",
        line.filled(first=seen.spec.preferred),
        shown,
        same(commands.HARESOURCES),
    )


def _authkeys(seen: Seen) -> Judged:
    modes, kinds, alike = seen.facts["modes"], seen.facts["kinds"], seen.facts["alike"]
    private = all(mode is not None and not int(mode, 8) & 0o077 for mode in modes.values())
    nothing = Text("no method that Heartbeat would take", "ningún método que Heartbeat aceptaría")
    missing = Text("no authkeys yet", "aún sin authkeys")
    shown = [
        same("{node}: {what}").filled(
            node=node,
            what=missing
            if mode is None
            else Text("{kind}, mode {mode}", "{kind}, modo {mode}").filled(kind=kinds[node] or nothing, mode=mode),
        )
        for node, mode in modes.items()
    ]
    if all(kinds.values()) and not alike:
        shown.append(Text("they sign differently", "firman de forma distinta"))
    return Judged(
        "authkeys",
        "pass" if private and alike else "fail",
        Text("both sign alike, and only root can read how", "ambos firman igual, y solo root puede leer cómo"),
        listed(shown, same("; ")),
        same(f"{commands.AUTHKEYS}; ls -l /etc/ha.d"),
    )


def _running(seen: Seen) -> Judged:
    runs, settled = seen.facts["runs"], seen.facts["settled"]
    silent = Text("it does not run on both", "no funciona en ambos")
    deaf = Text("it runs, and the pair has not settled", "funciona, y la pareja no se ha asentado")
    calm = Text("it runs, and the pair has settled", "funciona, y la pareja se ha asentado")
    return Judged(
        "heartbeat",
        "pass" if settled else "fail",
        Text("Heartbeat runs on both, and each hears the other", "Heartbeat funciona en ambos y cada uno oye al otro"),
        calm if settled else deaf if runs else silent,
        same("/etc/init.d/heartbeat status; grep ERROR /var/log/syslog"),
    )


def _served(seen: Seen) -> Judged:
    owners, pages = seen.facts["owners"], seen.facts["pages"]
    preferred, vip = seen.spec.preferred, str(seen.spec.network.vip)
    wanted = {str(one.address): heading(node) for node, one in seen.spec.nodes.items()} | {vip: heading(preferred)}
    one_owner = Text("{vip} is owned by {first} alone; pages: {pages}", "{vip} es solo de {first}; páginas: {pages}")
    shown = Text("{vip} is owned by {owners}; pages: {pages}", "{vip} es de {owners}; páginas: {pages}")
    return Judged(
        "three-pages",
        "pass" if owners == [preferred] and pages == wanted else "fail",
        one_owner.filled(vip=vip, first=preferred, pages=_told(wanted)),
        shown.filled(vip=vip, owners=", ".join(owners) or "-", pages=_told(pages)),
        same(f"curl http://{vip}/"),
    )


def _told(pages: dict[str, str]) -> str:
    return ", ".join(f"{address} {page or '-'}" for address, page in pages.items())


def solve(pair: Pair) -> None:
    """As the guide types it, but for the start: there is nothing to stop, and so nothing to wait for."""
    key = secrets.token_hex(20)
    for step in ("S5", "S6", "S7", "S8", "S11"):
        for node in pair.lab.nodes:
            for line in shell.on_node(step, pair.lab.spec, node, key):
                pair.sh(node, line)
    pair.lab.each(lambda node: pair.sh(node, f"{commands.HEARTBEAT_INIT} start"))
    pair.settle(60)
