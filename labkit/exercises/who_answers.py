"""Who answers for the VIP, and how the link learns of a new owner: gratuitous ARP, in the student's own capture."""

import re
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from labkit.checks import Verdict
from labkit.errors import BadInput
from labkit.exercises import NO_ANSWER, Facts, Judged, Pair, Seen, Shape
from labkit.heartbeat import commands, markers
from labkit.language import Text, same
from labkit.timing import SECOND, wait_until
from labkit.wire import announcements

name = "who-answers"
order = 50
minutes = 20
needs = ("identical-haresources",)
title = Text("Who answers for the VIP", "Quién responde por la IP virtual")
shape = Shape()
task = Text(
    """
This pair is in order: {first} has {vip}. Clients on the link do not know that. They know the MAC address that they were
told for {vip}, and send there. So at a takeover somebody must tell them a new one.

1. From {second}, find out which MAC address answers for {vip}. Write it down (question `before`).
2. On {first}, let tcpdump record all ARP on {nic} into the file `/root/takeover.pcap`, and leave it running.
3. In a second session on {first}, hand everything over:

       /usr/share/heartbeat/hb_standby all

   Wait until {second} has {vip}, and some seconds more.
4. End tcpdump with Ctrl-C. The file must stay where it is.
5. From {first}, find out which MAC address answers for {vip} now (question `after`).
6. Read the capture. How many frames did the new owner send by which it announces {vip}, without having been asked
   (question `announcements`)? In such a frame both addresses of the protocol, the sender's and the target's, are {vip}.
   Requests and replies count alike.
""",
    """
Esta pareja está en orden: {first} tiene {vip}. Los clientes de la red no lo saben. Conocen la dirección MAC que les
dijeron para {vip} y envían allí. Así que en un relevo alguien tiene que decirles una nueva.

1. Desde {second}, averigüe qué dirección MAC responde por {vip}. Anótela (pregunta `before`).
2. En {first}, haga que tcpdump grabe todo el ARP de {nic} en el archivo `/root/takeover.pcap` y déjelo funcionando.
3. En una segunda sesión en {first}, entregue todo:

       /usr/share/heartbeat/hb_standby all

   Espere hasta que {second} tenga {vip}, y unos segundos más.
4. Termine tcpdump con Ctrl-C. El archivo debe quedarse donde está.
5. Desde {first}, averigüe qué dirección MAC responde ahora por {vip} (pregunta `after`).
6. Lea la captura. ¿Cuántas tramas envió el nuevo dueño con las que anuncia {vip} sin que nadie se lo preguntara
   (pregunta `announcements`)? En una trama así las dos direcciones del protocolo, la del emisor y la del destino, son
   {vip}. Cuentan tanto las solicitudes (request) como las respuestas (reply).
""",
)
hints = (
    Text(
        "`arping -c 3 -I {nic} {vip}` asks the link, as any client does, and shows the MAC address that answers. A node"
        " does not answer itself: ask from the one that does not have {vip}.",
        "`arping -c 3 -I {nic} {vip}` pregunta a la red, como lo hace cualquier cliente, y muestra la dirección MAC que"
        " responde. Un nodo no se responde a sí mismo: pregunte desde el que no tiene {vip}.",
    ),
    Text(
        "`tcpdump -i {nic} -w /root/takeover.pcap arp` records. `tcpdump -nn -e -r /root/takeover.pcap` shows what it"
        " recorded, `-e` with the MAC addresses.",
        "`tcpdump -i {nic} -w /root/takeover.pcap arp` graba. `tcpdump -nn -e -r /root/takeover.pcap` muestra lo"
        " grabado, `-e` con las direcciones MAC.",
    ),
    Text(
        "Look for frames to ff:ff:ff:ff:ff:ff from the new owner's MAC address: `Request who-has {vip} tell {vip}` and"
        " `Reply {vip} is-at ...`. They follow each other at a tenth of a second. Count all of one takeover.",
        "Busque tramas hacia ff:ff:ff:ff:ff:ff desde la dirección MAC del nuevo dueño: `Request who-has {vip} tell"
        " {vip}` y `Reply {vip} is-at ...`. Se siguen a una décima de segundo. Cuente todas las de un relevo.",
    ),
)
solution = Text(
    """
On {second}, who answers while {first} has the VIP:

    arping -c 3 -I {nic} {vip}

On {first}, in two sessions:

    tcpdump -i {nic} -w /root/takeover.pcap arp          # the first; Ctrl-C at the end
    /usr/share/heartbeat/hb_standby all                  # the second

On {first} again, when {second} has the VIP:

    arping -c 3 -I {nic} {vip}
    tcpdump -nn -e -r /root/takeover.pcap

Then write the three answers down on your own machine, as `labkit exercise answer before` and the address, and so on.

An IP address has no place on a link; a MAC address has. Each client keeps for some time what it was last told, and
would go on sending to the old owner. So the new owner announces itself to everybody, unasked: a gratuitous ARP. The
resource script IPaddr2 runs `send_arp -i 200 -r 5` (see `/var/log/syslog`): five times, 200 ms apart, because a frame
may be lost. And each time twice, as a request and as a reply, because not every system takes in both: that makes ten
frames. Nothing on the wire says that the old owner agrees. Who speaks last is believed, and so two owners
take the clients from each other.
""",
    """
En {second}, quién responde mientras {first} tiene la IP virtual:

    arping -c 3 -I {nic} {vip}

En {first}, en dos sesiones:

    tcpdump -i {nic} -w /root/takeover.pcap arp          # la primera; Ctrl-C al final
    /usr/share/heartbeat/hb_standby all                  # la segunda

Otra vez en {first}, cuando {second} tiene la IP virtual:

    arping -c 3 -I {nic} {vip}
    tcpdump -nn -e -r /root/takeover.pcap

Después anote las tres respuestas en su propia máquina: `labkit exercise answer before` y la dirección, etcétera.

Una dirección IP no tiene lugar en la red local; una dirección MAC sí. Cada cliente guarda por un tiempo lo último que
le dijeron, y seguiría enviando al dueño anterior. Por eso el nuevo dueño se anuncia a todos sin que le pregunten: un
ARP gratuito. El script de recursos IPaddr2 ejecuta `send_arp -i 200 -r 5` (vea `/var/log/syslog`): cinco veces, cada
200 ms, porque una trama puede perderse. Y cada vez por partida doble, como solicitud y como respuesta, porque no todos
los sistemas hacen caso de ambas: son diez tramas. Nada en la red dice que el dueño anterior esté de acuerdo. Se le cree
al último que habla, y por eso dos dueños se quitan los clientes el uno al otro.
""",
)
questions = {
    "before": Text(
        "Which MAC address answers for {vip} while {first} has it?",
        "¿Qué dirección MAC responde por {vip} mientras la tiene {first}?",
    ),
    "after": Text(
        "Which MAC address answers for {vip} after the takeover?",
        "¿Qué dirección MAC responde por {vip} después del relevo?",
    ),
    "announcements": Text(
        "How many frames did the new owner send to announce {vip}, requests and replies together?",
        "¿Cuántas tramas envió el nuevo dueño para anunciar {vip}, entre solicitudes y respuestas?",
    ),
}

CAPTURE = "/root/takeover.pcap"
MOST_BYTES = 8 << 20
APART_NS = 3 * SECOND  # announcements of one takeover follow each other much faster
LATE_NS = 3 * SECOND  # the first follows the log line at once
MAC = re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b")


def configure(pair: Pair) -> None:
    """The pair is in order."""


def prepare(pair: Pair) -> None:
    pair.await_owner(pair.first)


def look(pair: Pair) -> Facts:
    """The nodes' MAC addresses, when the second took the VIP by its log, and what the capture holds."""
    lines = (markers.parse(line) for line in (pair.read(pair.second, commands.SYSLOG) or "").splitlines())
    return {
        "macs": {node: mac for mac, node in pair.lab.macs().items()},
        "takeovers": [line.wall_ns for line in lines if line and line.marker == "address-up"],
        "capture": _capture(pair),
    }


def _capture(pair: Pair) -> Facts:
    """bursts: of each takeover that was recorded, when it began, whose MAC address announced the VIP, and how often.
    trouble: why there are none."""
    told = pair.ask(pair.first, f"stat -c %s {CAPTURE}").output.strip()
    if not told.isdigit():
        return {"trouble": "missing", "bursts": []}
    if int(told) > MOST_BYTES:
        return {"trouble": "too large", "bursts": []}
    with TemporaryDirectory() as folder:
        here = Path(folder, "capture.pcap")
        here.write_bytes(pair.lab.node(pair.first).get(CAPTURE))
        try:
            found = announcements(here, pair.lab.vip)
        except BadInput:
            return {"trouble": "no capture", "bursts": []}
    return {"trouble": None, "bursts": _bursts(found)}


def _bursts(found: list[tuple[int, str]]) -> list[dict[str, Any]]:
    bursts = []
    for mac in sorted({mac for _, mac in found}):
        times = sorted(wall_ns for wall_ns, whose in found if whose == mac)
        starts = [0, *(at for at, (one, next_) in enumerate(pairwise(times), 1) if next_ - one > APART_NS)]
        ends = [*starts[1:], len(times)]
        bursts += [
            {"wall_ns": times[start], "mac": mac, "frames": end - start}
            for start, end in zip(starts, ends, strict=True)
        ]
    return bursts


def judge(seen: Seen) -> list[Judged]:
    macs, first, second = seen.facts["macs"], *seen.spec.nodes
    caught = _caught(seen)
    return [
        _address(seen, "before", macs.get(first), first),
        _address(seen, "after", macs.get(second), second),
        _captured(seen, bool(caught)),
        _counted(seen, caught),
    ]


def _caught(seen: Seen) -> list[int]:
    """How many frames of each takeover by the second node were recorded, of those that its own log tells of."""
    mac = seen.facts["macs"].get(seen.spec.peer_of(seen.spec.preferred))
    took = seen.facts["takeovers"]
    return [
        burst["frames"]
        for burst in seen.facts["capture"]["bursts"]
        if burst["mac"] == mac and any(-SECOND < burst["wall_ns"] - at < LATE_NS for at in took)
    ]


def _address(seen: Seen, key: str, mac: str | None, node: str) -> Judged:
    given = seen.answers.get(key, "").strip()
    plain = given.lower().replace("-", ":")
    expected = Text(
        "the MAC address that answers while {node} has {vip}", "la MAC que responde mientras {node} tiene {vip}"
    )
    return Judged(
        key,
        _verdict(mac is not None and plain == mac),
        expected.filled(node=node, vip=seen.spec.network.vip),
        same(given) if given else NO_ANSWER,
        same(f"arping -c 3 -I {seen.spec.network.interface} {seen.spec.network.vip}"),
    )


def _captured(seen: Seen, caught: bool) -> Judged:
    first, second = seen.spec.nodes
    capture = seen.facts["capture"]
    if capture["trouble"]:
        what = TROUBLES[capture["trouble"]].filled(file=CAPTURE, node=first)
    elif not capture["bursts"]:
        what = Text(
            "a capture without announcements of {vip} (does tcpdump still run?)",
            "una captura sin anuncios de {vip} (¿tcpdump sigue funcionando?)",
        ).filled(vip=seen.spec.network.vip)
    elif not caught:
        what = Text(
            "announcements by {macs}; none of them goes with a takeover in the log of {node}",
            "anuncios de {macs}; ninguno corresponde a un relevo en el registro de {node}",
        ).filled(macs=", ".join(sorted({burst["mac"] for burst in capture["bursts"]})), node=second)
    else:
        what = Text("a takeover by {node} is in it", "contiene un relevo de {node}").filled(node=second)
    expected = Text(
        "{file} on {first} has the ARP of a takeover of this pair by {second}",
        "{file} en {first} tiene el ARP de un relevo de esta pareja por {second}",
    )
    return Judged(
        "capture",
        _verdict(caught),
        expected.filled(file=CAPTURE, first=first, second=second),
        what,
        same(f"tcpdump -nn -e -r {CAPTURE}"),
    )


def _counted(seen: Seen, caught: list[int]) -> Judged:
    given = seen.answers.get("announcements", "").strip()
    return Judged(
        "announcements",
        _verdict(given.isdecimal() and int(given) in caught),
        Text(
            "how many frames of the capture announce the VIP's new owner",
            "cuántas tramas de la captura anuncian al nuevo dueño de la IP virtual",
        ),
        same(given) if given else NO_ANSWER,
        same(f"tcpdump -nn -e -r {CAPTURE}"),
    )


def _verdict(right: bool) -> Verdict:
    return "pass" if right else "fail"


TROUBLES = {
    "missing": Text("there is no {file} on {node}", "no hay {file} en {node}"),
    "too large": Text("{file} is too large; record ARP alone", "{file} es demasiado grande; grabe solo ARP"),
    "no capture": Text(
        "{file} is no capture, or not complete yet: if tcpdump still runs, end it with Ctrl-C",
        "{file} no es una captura, o aún no está completa: si tcpdump sigue funcionando, termínelo con Ctrl-C",
    ),
}


def solve(pair: Pair) -> None:
    nic, vip = pair.lab.spec.network.interface, pair.lab.vip
    asked = f"arping -c 3 -I {nic} {vip}"
    pair.answers["before"] = MAC.findall(pair.sh(pair.second, asked))[0]
    pair.sh(pair.first, f"setsid tcpdump -U -i {nic} -w {CAPTURE} arp >/dev/null 2>&1 &")
    wait_until(
        lambda: pair.ask(pair.first, f"test -s {CAPTURE}").exit_code, lambda code: code == 0, 10, "tcpdump listens"
    )
    pair.sh(pair.first, f"{commands.HB_STANDBY} all")
    pair.await_owner(pair.second)
    wait_until(
        lambda: pair.ask(pair.second, "pgrep -f '[s]end_arp '").output,
        lambda told: not told,
        10,
        "it has been announced",
    )
    pair.settle(60)
    after = MAC.findall(pair.sh(pair.first, asked))[0]
    pair.answers["after"] = after
    pair.sh(pair.first, "pkill -INT -x tcpdump; while pgrep -x tcpdump >/dev/null; do sleep 0.1; done")
    shown = pair.sh(pair.first, f"tcpdump -nn -e -r {CAPTURE} arp")
    pair.answers["announcements"] = str(
        sum(
            f"{after} > ff:ff:ff:ff:ff:ff" in line and (f"who-has {vip} tell {vip}," in line or f"{vip} is-at" in line)
            for line in shown.splitlines()
        )
    )
