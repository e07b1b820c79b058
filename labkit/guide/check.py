"""How far a pair is that a student configures by hand, by the guide's steps S5 to S15, and whether each is right.

Looks at the nodes as they are, and at their logs for what is over. Where the guide leaves freedom, so does this; what
is better than printed is right, and is said.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from labkit.cluster import Lab
from labkit.cluster.lab import joined
from labkit.errors import BadInput, LabkitError
from labkit.guide import shell
from labkit.guide.steps import BY_ID, Step
from labkit.heartbeat import authkeys, commands, hacf, haresources, markers
from labkit.language import Text, listed, same
from labkit.render import heading
from labkit.spec import Spec

State = Literal["right", "wrong", "missing", "unknown"]
APACHE_LOG = "/var/log/apache2/error.log"
LOOK_S = 3.0  # apache2 that is away for longer was stopped to look at it; its own restart takes a second or two
NOTHING = Text("not done yet", "aún sin hacer")


@dataclass(frozen=True)
class Checked:
    """One step by hand. missing: not done; unknown: it cannot be judged now."""

    step: Step
    state: State
    detail: Text


@dataclass(frozen=True)
class Found:
    """What a check of one step found."""

    state: State
    detail: Text


def check(lab: Lab) -> list[Checked]:
    """The steps S5 to S15 on a lab that is up. Raises LabkitError if one of its nodes is not running."""
    checks: dict[str, Callable[[Lab], Found]] = {
        "S5": _copied,
        "S6": lambda lab: _on_each(lab, lambda lab, node: ha_cf(_text(lab, node, commands.HA_CF), lab.spec, node)),
        "S7": _haresources,
        "S8": _authkeys,
        "S9": _heartbeat,
        "S10": _installed,
        "S11": lambda lab: _on_each(lab, _page),
        "S12": lambda lab: _on_each(lab, _restarted),
        "S13": _three_pages,
        "S14": _stopped,
        "S15": _returned,
    }
    found = {step: look(lab) for step, look in checks.items()}
    return [Checked(BY_ID[step], one.state, one.detail) for step, one in found.items()]


def _on_each(lab: Lab, look: Callable[[Lab, str], Found]) -> Found:
    """A step that is the same on both nodes: as good as on the one that is worse."""
    found = {node: look(lab, node) for node in lab.nodes}
    order: tuple[State, ...] = ("wrong", "missing", "unknown", "right")
    state = next(state for state in order if any(one.state == state for one in found.values()))
    return Found(
        state,
        listed([same("{node}: {what}").filled(node=node, what=one.detail) for node, one in found.items()], same("; ")),
    )


def _text(lab: Lab, node: str, path: str) -> str | None:
    try:
        return lab.node(node).get(path).decode("utf-8", "replace")
    except LabkitError:
        return None


# Files


def _copied(lab: Lab) -> Found:
    absent = [
        f"{node}:{shell.FOLDER}/{name}"
        for node in lab.nodes
        for name in shell.EDITED
        if _text(lab, node, f"{shell.FOLDER}/{name}") is None
    ]
    if absent:
        return Found("missing", Text("not there: {files}", "no están: {files}").filled(files=", ".join(absent)))
    return Found(
        "right", Text("all three are in /etc/ha.d on both nodes", "los tres están en /etc/ha.d en ambos nodos")
    )


def _active(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def ha_cf(text: str | None, spec: Spec, node: str) -> Found:
    """S6, from a node's ha.cf, or None where there is none.

    What matters is what Heartbeat understands: order, blanks and how a time is written are free.
    """
    if text is None or not any(line.split()[0] in ("node", "bcast", "mcast", "ucast") for line in _active(text)):
        return Found("missing", NOTHING)
    try:
        read = hacf.parse(text, node=node)
    except BadInput as error:
        return Found("wrong", same("; ".join(str(error).splitlines())))
    wrong = ha_cf_mistakes(read, spec, node)
    if wrong:
        return Found("wrong", listed(wrong, same("; ")))
    if any(line.split()[0] == "udp" for line in _active(text)):
        return Found("right", Text("as printed", "tal como está impreso"))
    return Found(
        "right",
        Text(
            "without the line udp, which only repeats bcast: as good",
            "sin la línea udp, que solo repite bcast: igual de bien",
        ),
    )


def ha_cf_mistakes(read: hacf.HaCf, spec: Spec, node: str) -> list[Text]:
    """What an ha.cf that Heartbeat takes has otherwise than the guide, one by one."""
    wanted = Text("{what} is {there}, not {right}", "{what} es {there}, no {right}")
    nic, peer = spec.network.interface, str(spec.nodes[spec.peer_of(node)].address)
    values: tuple[tuple[str, object, object], ...] = (
        ("keepalive (ms)", read.keepalive_ms, spec.timing.keepalive_ms),
        ("deadtime (ms)", read.deadtime_ms, spec.timing.deadtime_ms),
        ("udpport", read.udpport, spec.timing.udpport),
        ("auto_failback", read.auto_failback, "on" if spec.timing.auto_failback else "off"),
        ("node", " ".join(sorted(set(read.nodes))), " ".join(sorted(spec.nodes))),
    )
    wrong = [wanted.filled(what=what, there=there, right=right) for what, there, right in values if there != right]
    media = {medium.kind: medium.args for medium in read.media}
    for kind in ("bcast", "mcast", "ucast"):
        if kind not in media:
            wrong.append(Text("{kind} is missing", "falta {kind}").filled(kind=kind))
        elif media[kind][0] != nic:
            wrong.append(wanted.filled(what=kind, there=media[kind][0], right=nic))
    if "ucast" in media and media["ucast"][1:2] != (peer,):
        there = " ".join(media["ucast"][1:2])
        wrong.append(
            Text(
                "ucast must name the peer's address, {peer}, not {there}",
                "ucast debe nombrar la dirección del otro nodo, {peer}, no {there}",
            ).filled(peer=peer, there=there)
        )
    return wrong


def _haresources(lab: Lab) -> Found:
    texts = {node: _text(lab, node, commands.HARESOURCES) or "" for node in lab.nodes}
    return resources(texts, lab.spec)


def resources(texts: Mapping[str, str], spec: Spec) -> Found:
    """S7, from both nodes' haresources."""
    groups = {node: haresources.parse(text) for node, text in texts.items()}
    if not all(groups.values()):
        empty = ", ".join(node for node, there in groups.items() if not there)
        return Found("missing", Text("no line yet: {nodes}", "aún sin línea: {nodes}").filled(nodes=empty))
    for node, there in groups.items():
        for group in there:
            scripts = {one.script: one.args for one in group.resources}
            addresses = [args[0].split("/")[0] for name, args in scripts.items() if name.startswith("IPaddr") and args]
            if group.node not in spec.nodes:
                text = Text("{node}: {other} is no node of the pair", "{node}: {other} no es un nodo de la pareja")
                return Found("wrong", text.filled(node=node, other=group.node))
            if str(spec.network.vip) not in addresses:
                text = Text("{node}: the address is not {vip}", "{node}: la dirección no es {vip}")
                return Found("wrong", text.filled(node=node, vip=spec.network.vip))
            if "apache2" not in scripts:
                return Found("wrong", Text("{node}: apache2 is missing", "{node}: falta apache2").filled(node=node))
    first, second = groups.values()
    if first == second and len(first) == 1:
        return Found(
            "right",
            Text(
                "alike on both nodes: better than printed, where each node names itself and both take the address",
                "igual en ambos nodos: mejor que lo impreso, donde cada nodo se nombra y ambos toman la dirección",
            ),
        )
    if all(len(there) == 1 and there[0].node == node for node, there in groups.items()):
        return Found(
            "right",
            Text(
                "as printed: each node names itself, so both will take the address (claim C4); write the same line on"
                " both",
                "tal como está impreso: cada nodo se nombra, así que ambos tomarán la dirección (afirmación C4);"
                " escriba la misma línea en ambos",
            ),
        )
    return Found(
        "wrong",
        Text("one line, the same on both nodes, is what works", "lo que funciona es una línea, igual en ambos nodos"),
    )


def _authkeys(lab: Lab) -> Found:
    read = {}
    for node in lab.nodes:
        text = _text(lab, node, commands.AUTHKEYS)
        if text is None or not _active(text):
            return Found("missing", same("{node}: {what}").filled(node=node, what=NOTHING))
        if int(lab.node(node).must("stat", "-c", "%a", commands.AUTHKEYS), 8) & 0o044:
            readable = Text("{node}: others can read it; chmod 600", "{node}: otros pueden leerlo; chmod 600")
            return Found("wrong", readable.filled(node=node))
        try:
            read[node] = authkeys.parse(text, name=f"{node}:{commands.AUTHKEYS}")
        except BadInput as error:
            return Found("wrong", same("; ".join(str(error).splitlines())))
    first, second = (one.methods[one.active] for one in read.values())
    if first != second:
        return Found("wrong", Text("the nodes sign differently", "los nodos firman de forma distinta"))
    if first.kind == "crc":
        return Found("right", Text("crc, as printed, and mode 600", "crc, tal como está impreso, y modo 600"))
    said = Text("{kind} with a key: better than printed", "{kind} con clave: mejor que lo impreso")
    return Found("right", said.filled(kind=first.kind))


# Services


def _heartbeat(lab: Lab) -> Found:
    now = lab.statuses()
    counted = ", ".join(
        f"{node} {container.run('sh', '-c', shell.processes()).output.strip()}" for node, container in lab.nodes.items()
    )
    processes = Text("Heartbeat's processes: {counted}", "procesos de Heartbeat: {counted}").filled(counted=counted)
    silent = [node for node, status in now.items() if not status.heartbeat]
    if silent:
        text = Text("Heartbeat does not run on {nodes}", "Heartbeat no corre en {nodes}")
        return Found("missing", text.filled(nodes=", ".join(silent)))
    if not joined(now):
        text = Text(
            "Heartbeat runs, but the nodes do not hear each other: compare ha.cf and authkeys",
            "Heartbeat corre, pero los nodos no se oyen: compare ha.cf y authkeys",
        )
        return Found("wrong", text)
    return Found("right", processes)


def _installed(lab: Lab) -> Found:
    absent = [node for node, container in lab.nodes.items() if container.run("dpkg-query", "-W", "apache2").exit_code]
    if absent:
        return Found("missing", same(", ".join(absent)))
    return Found("right", Text("it is in the image", "está en la imagen"))


def _page(lab: Lab, node: str) -> Found:
    text = _text(lab, node, commands.INDEX_HTML) or ""
    if heading(node) in text:
        return Found("right", same(heading(node)))
    others = [heading(other) for other in lab.nodes if heading(other) in text]
    if others:
        return Found("wrong", Text("the heading is {other}", "el título es {other}").filled(other=others[0]))
    text_wanted = Text("the heading {heading} is missing", "falta el título {heading}")
    return Found("missing", text_wanted.filled(heading=heading(node)))


@dataclass(frozen=True)
class Life:
    """Starts and stops of a daemon, as seconds since the epoch, in order."""

    starts: tuple[float, ...]
    stops: tuple[float, ...]


def apache_life(log: str) -> Life:
    """What apache2's error log tells. Its stamps have no zone; a node's is UTC."""
    starts: list[float] = []
    stops: list[float] = []
    for line in log.splitlines():
        kind = starts if "resuming normal operations" in line else stops if "shutting down" in line else None
        if kind is not None:
            stamp = datetime.strptime(line[1 : line.index("]")], "%a %b %d %H:%M:%S.%f %Y")
            kind.append(stamp.replace(tzinfo=timezone.utc).timestamp())
    return Life(tuple(starts), tuple(stops))


def heartbeat_life(log: str) -> Life:
    """What syslog tells of Heartbeat."""
    read = [line for line in map(markers.parse, log.splitlines()) if line and line.program == "heartbeat"]
    starts = [line.wall_ns / 1e9 for line in read if "Configuration validated" in line.text]
    return Life(tuple(starts), tuple(line.wall_ns / 1e9 for line in read if line.marker == "stopping"))


def stopped_by_hand(apache: Life, heartbeat: Life) -> float | None:
    """When somebody last stopped apache2 for long enough to look, and not Heartbeat on its own way out; None if never.

    Only after Heartbeat's first start: before that there is no service to fail.
    """
    for stop in reversed(apache.stops):
        started = next((start for start in apache.starts if start > stop), None)
        leaving = max((one for one in heartbeat.stops if one <= stop), default=None)
        by_heartbeat = leaving is not None and not any(leaving < one <= stop for one in heartbeat.starts)
        served = any(start < stop for start in heartbeat.starts)
        if served and not by_heartbeat and (started is None or started - stop >= LOOK_S):
            return stop
    return None


def _restarted(lab: Lab, node: str) -> Found:
    edited = float(lab.node(node).must("stat", "-c", "%Y", commands.INDEX_HTML))
    starts = apache_life(_text(lab, node, APACHE_LOG) or "").starts
    if starts and starts[-1] >= edited and heading(node) in (_text(lab, node, commands.INDEX_HTML) or ""):
        return Found("right", Text("restarted since the page was edited", "reiniciado desde que se editó la página"))
    return Found(
        "missing",
        Text("not restarted since the page was edited", "sin reiniciar desde que se editó la página"),
    )


def _client_page(lab: Lab, address: object) -> str:
    return lab.client.run("sh", "-c", shell.page(str(address))).output.strip() or "-"


def _three_pages(lab: Lab) -> Found:
    owners = lab.owners()
    if not owners:
        return Found("missing", Text("nobody answers for {vip}", "nadie responde por {vip}").filled(vip=lab.vip))
    if len(owners) > 1:
        text = Text(
            "{owners} both answer for {vip}: write the same line in both haresources (S7) and restart Heartbeat",
            "{owners} responden a la vez por {vip}: escriba la misma línea en ambos haresources (S7) y reinicie"
            " Heartbeat",
        )
        return Found("wrong", text.filled(owners=", ".join(owners), vip=lab.vip))
    stopped = [node for node, status in lab.statuses().items() if not status.apache2]
    if stopped:
        text = Text("apache2 is stopped on {nodes} at present", "apache2 está detenido ahora en {nodes}")
        return Found("unknown", text.filled(nodes=", ".join(stopped)))
    wanted = {**{str(one.address): heading(node) for node, one in lab.spec.nodes.items()}, lab.vip: heading(owners[0])}
    shown = {address: _client_page(lab, address) for address in wanted}
    detail = same("; ".join(f"http://{address}/ {page}" for address, page in shown.items()))
    return Found("right" if shown == wanted else "wrong", detail)


def _lives(lab: Lab) -> tuple[Life, Life]:
    node = lab.spec.preferred
    return apache_life(_text(lab, node, APACHE_LOG) or ""), heartbeat_life(_text(lab, node, commands.SYSLOG) or "")


def _stopped(lab: Lab) -> Found:
    node = lab.spec.preferred
    now = lab.status(node)
    if not now.heartbeat or now.apache2:
        apache, heartbeat = _lives(lab)
        if now.heartbeat and not heartbeat.starts:
            return _NO_LOG
        done = stopped_by_hand(apache, heartbeat) is not None
        return Found("right", Text("done, and over", "hecho, y terminado")) if done else Found("missing", NOTHING)
    page = _client_page(lab, lab.vip)
    if page == heading(lab.spec.peer_of(node)):
        return Found("right", Text("the VIP now shows {page}", "la IP virtual muestra ahora {page}").filled(page=page))
    text = Text(
        "done; the VIP does not move ({page}), because Heartbeat does not watch apache2: see claim C5",
        "hecho; la IP virtual no se mueve ({page}), porque Heartbeat no vigila apache2: vea la afirmación C5",
    )
    return Found("right", text.filled(page=page))


def _returned(lab: Lab) -> Found:
    node = lab.spec.preferred
    now = lab.status(node)
    if now.heartbeat and not now.apache2:
        return Found("missing", Text("apache2 does not run on {node}", "apache2 no corre en {node}").filled(node=node))
    apache, heartbeat = _lives(lab)
    if now.heartbeat and not heartbeat.starts:
        return _NO_LOG
    stop = stopped_by_hand(apache, heartbeat)
    if stop is None:
        return Found("missing", Text("S14 comes first", "S14 va primero"))
    if not any(start > stop for start in heartbeat.starts):
        text = Text("Heartbeat was not restarted on {node}", "Heartbeat no se reinició en {node}")
        return Found("missing", text.filled(node=node))
    owners = lab.owners()
    text = Text("the VIP belongs to {owners}", "la IP virtual pertenece a {owners}")
    return Found("right" if owners == [node] else "wrong", text.filled(owners=", ".join(owners) or "-"))


_NO_LOG = Found(
    "unknown",
    Text(
        "Heartbeat does not log to syslog, so nobody can tell what is over: keep the sample's line logfacility",
        "Heartbeat no escribe en syslog, así que no se sabe qué ya pasó: conserve la línea logfacility del ejemplo",
    ),
)
