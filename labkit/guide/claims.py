"""What the guide claims, C1 to C9, each judged from what was seen on one pair. Pure: no lab, no clock.

What was not seen is None, and a claim about it could not be judged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from labkit.guide.shell import REFUSED
from labkit.language import Text, listed, same
from labkit.render import heading
from labkit.spec import Profile, Spec

Verdict = Literal["pass", "fail", "unknown"]
PROFILE: Mapping[Profile, Text] = {
    "as-printed": Text("as printed", "tal como está impreso"),
    "corrected": Text("corrected", "corregido"),
}

FEW_SECONDS = 2  # times deadtime: the longest that "within a few seconds" is taken to mean
NIC_OF_THE_GUIDE = "ens18"
# Figure 9: a listing of /etc/ha.d after the edits, in bytes, on the first and on the second node.
SIZES: Mapping[str, tuple[int, int]] = {
    "ha.cf": (10525, 10525),
    "haresources": (5941, 5940),
    "authkeys": (658, 658),
    "harc": (745, 745),
    "README.config": (692, 692),
    "shellfuncs": (2064, 2064),
}
TASKS = 10  # figure 11


@dataclass(frozen=True)
class FileSeen:
    """A file of /etc/ha.d. bytes: its size; of_the_guide: the size that the same edits give with the guide's own
    addresses, network card and times; right: whether it is, byte for byte, what the profile's edits make of the
    package's sample."""

    node: str
    name: str
    bytes: int
    of_the_guide: int
    right: bool


@dataclass(frozen=True)
class Seen:
    """What was seen on one pair. Pages are headings, or what curl said; a trial is one of a run's result.

    tasks, media: node -> Heartbeat's processes, and the media of its ha.cf. owners, vip_page: in step S13.
    struck: the node on which S14 stopped apache2; refused: what its own address then said. moved_page, moved_owners:
    the VIP's page then, and the nodes that have the VIP; those are not asked by ARP, from which the client would learn.
    returned_page, returned_owners: the same after S15. trials: fault -> its only trial. troubles: why anything was not
    seen.
    """

    spec: Spec
    files: tuple[FileSeen, ...] | None = None
    tasks: Mapping[str, int] | None = None
    media: Mapping[str, int] | None = None
    own_pages: Mapping[str, str] | None = None
    vip_page: str | None = None
    owners: tuple[str, ...] | None = None
    struck: str | None = None
    refused: str | None = None
    moved_page: str | None = None
    moved_owners: tuple[str, ...] | None = None
    returned_page: str | None = None
    returned_owners: tuple[str, ...] | None = None
    trials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """pass: the claim holds; fail: it does not; unknown: it could not be judged. figures_ms: None if not measured."""

    verdict: Verdict
    detail: Text
    figures_ms: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """One claim. holds_as_printed: what is known of it; with the corrected profile all hold. why, cure: for one that
    does not hold as printed, the reason and what corrects it. faults: those whose runs are evidence."""

    id: str
    title: Text
    judge: Callable[[Seen], Judgement]
    holds_as_printed: bool = True
    why: Text | None = None
    cure: Text | None = None
    faults: tuple[str, ...] = ()

    def known(self, profile: Profile) -> Verdict:
        """The outcome that is known."""
        return "pass" if profile == "corrected" or self.holds_as_printed else "fail"


@dataclass(frozen=True)
class Finding:
    """A claim judged on one profile."""

    claim: Claim
    profile: Profile
    judgement: Judgement

    @property
    def as_known(self) -> bool:
        return self.judgement.verdict == self.claim.known(self.profile)


def judge(seen: Seen) -> list[Finding]:
    """Every claim, judged on one pair."""
    return [Finding(claim, seen.spec.profile, claim.judge(seen)) for claim in CLAIMS]


def _judged(holds: bool, detail: Text, **figures_ms: float | None) -> Judgement:
    return Judgement("pass" if holds else "fail", detail, figures_ms)


def _unseen(seen: Seen) -> Judgement:
    why = same("; ".join(one.splitlines()[0] for one in seen.troubles))
    text = Text("it was not seen: {why}", "no se vio: {why}") if seen.troubles else Text("it was not seen", "no se vio")
    return Judgement("unknown", text.filled(why=why))


def seconds(ms: float | None) -> Text:
    """A duration in words."""
    return Text("not measured", "sin medir") if ms is None else same(f"{ms / 1000:.2f} s")


def _names(nodes: tuple[str, ...]) -> Text:
    if not nodes:
        return Text("nobody", "nadie")
    return listed([same(one) for one in nodes], Text(" and ", " y "))


def _files(seen: Seen) -> Judgement:
    if seen.files is None:
        return _unseen(seen)
    wrong = [one for one in seen.files if not one.right]
    nodes = list(seen.spec.nodes)
    unlike = [one for one in seen.files if one.of_the_guide != SIZES[one.name][nodes.index(one.node)]]
    if wrong:
        which = ", ".join(f"{one.name} ({one.node})" for one in wrong)
        return _judged(False, Text("not the samples with those edits: {which}", "no son los ejemplos con esos cambios:"
                                   " {which}").filled(which=which))  # fmt: skip
    if unlike and seen.spec.profile == "as-printed":
        which = ", ".join(f"{one.name} ({one.of_the_guide} bytes)" for one in unlike)
        return _judged(False, Text("not the sizes of figure 9: {which}", "no son los tamaños de la figura 9:"
                                   " {which}").filled(which=which))  # fmt: skip
    sizes = "; ".join(
        f"{node}: " + ", ".join(f"{one.name} {one.bytes}" for one in seen.files if one.node == node) for node in nodes
    )
    if seen.spec.profile == "as-printed":
        text = Text(
            "byte for byte the samples with the guide's edits; with the guide's addresses and network card ({card})"
            " they have the sizes of figure 9. Here, with {nic} and {vip}: {sizes} bytes",
            "byte por byte los ejemplos con los cambios de la guía; con las direcciones y la tarjeta de red de la guía"
            " ({card}) tienen los tamaños de la figura 9. Aquí, con {nic} y {vip}: {sizes} bytes",
        )
    else:
        text = Text(
            "byte for byte the samples with the guide's edits and the corrections: haresources alike on both nodes,"
            " sha1 in place of crc, no udp line. So the sizes differ from figure 9: {sizes}",
            "byte por byte los ejemplos con los cambios de la guía y las correcciones: haresources igual en ambos"
            " nodos, sha1 en vez de crc, sin la línea udp. Por eso sus tamaños no son los de la figura 9: {sizes}",
        )
    network = seen.spec.network
    return _judged(True, text.filled(card=NIC_OF_THE_GUIDE, nic=network.interface, vip=network.vip, sizes=sizes))


def _runs(seen: Seen) -> Judgement:
    if seen.tasks is None or seen.media is None:
        return _unseen(seen)
    counts = ", ".join(f"{node} {count}" for node, count in seen.tasks.items())
    # The control process, the FIFO's reader, and a writer and a reader for each medium.
    right = all(count == 2 + 2 * seen.media[node] for node, count in seen.tasks.items())
    if seen.spec.profile == "as-printed":
        right = right and set(seen.tasks.values()) == {TASKS}
        text = Text("processes: {counts}", "procesos: {counts}")
    else:
        text = Text(
            "processes: {counts}. Two fewer than the guide's 10, because the line udp, a second broadcast, is gone",
            "procesos: {counts}. Dos menos que los 10 de la guía, porque ya no está la línea udp, una segunda difusión",
        )
    return _judged(right, text.filled(counts=counts))


def _own_pages(seen: Seen) -> Judgement:
    if seen.own_pages is None:
        return _unseen(seen)
    shown = "; ".join(f"{node}: {page or '-'}" for node, page in seen.own_pages.items())
    return _judged(all(page == heading(node) for node, page in seen.own_pages.items()), same(shown))


def _vip(seen: Seen) -> Judgement:
    if seen.owners is None or seen.vip_page is None:
        return _unseen(seen)
    preferred = seen.spec.preferred
    text = Text(
        "the page of {vip} is {page}, and by ARP it belongs to {owners}",
        "la página de {vip} es {page}, y según ARP pertenece a {owners}",
    )
    holds = seen.owners == (preferred,) and seen.vip_page == heading(preferred)
    return _judged(holds, text.filled(vip=seen.spec.network.vip, page=seen.vip_page or "-", owners=_names(seen.owners)))


def _apache_stop(seen: Seen) -> Judgement:
    trial = seen.trials.get("apache-stop")
    if trial is None or seen.moved_owners is None:
        return _unseen(seen)
    outage_ms = trial["outage_ms"]
    before, after = trial["server_before"], trial["server_after"]
    if before is None or (outage_ms is None and not _failed(trial)):
        return Judgement("unknown", Text("the service was not measured", "el servicio no se midió"), {"outage": None})
    if outage_ms is None or after == before or after is None:
        text = Text(
            "nothing moved: {failed} requests to the VIP failed until apache2 was started by hand; the VIP belongs to"
            " {owners}",
            "nada se movió: {failed} peticiones a la IP virtual fallaron hasta que apache2 se arrancó a mano; la IP"
            " virtual pertenece a {owners}",
        )
        said = text.filled(failed=_failed(trial), owners=_names(seen.moved_owners))
        return _judged(False, said, outage=outage_ms)
    text = Text(
        "{after} serves instead of {before}, after {outage} without an answer",
        "{after} sirve en lugar de {before}, tras {outage} sin respuesta",
    )
    said = text.filled(after=after, before=before, outage=seconds(outage_ms))
    return _judged(outage_ms < seen.spec.timing.deadtime_ms, said, outage=outage_ms)


def _refused(seen: Seen) -> Judgement:
    if seen.refused is None or seen.struck is None:
        return _unseen(seen)
    address = seen.spec.nodes[seen.struck].address
    return _judged(seen.refused == REFUSED, same(f"http://{address}/: {seen.refused or '-'}"))


def _control_returns(seen: Seen) -> Judgement:
    trial = seen.trials.get("apache-stop")
    if trial is None or seen.returned_owners is None or seen.returned_page is None:
        return _unseen(seen)
    preferred = seen.spec.preferred
    back_ms = trial["failback_outage_ms"]
    left = trial["server_after"] == seen.spec.peer_of(preferred)
    right = seen.returned_owners == (preferred,) and seen.returned_page == heading(preferred)
    text = Text(
        "{moved}; afterwards the VIP belongs to {owners}. Without an answer on the way: {outage}",
        "{moved}; después la IP virtual pertenece a {owners}. Sin respuesta en el camino: {outage}",
    )
    moved = (
        Text("control had gone to the peer", "el control se había ido al otro nodo")
        if left
        else Text(
            "control had never gone to the peer, so it cannot return", "el control nunca se fue, así que no vuelve"
        )
    )
    said = text.filled(moved=moved, owners=_names(seen.returned_owners), outage=seconds(back_ms))
    return _judged(left and right and back_ms is not None, said, failback=back_ms)


def _few_seconds(seen: Seen) -> Judgement:
    trials = {fault: seen.trials.get(fault) for fault in ("apache-stop", "node-kill")}
    outages_ms = {fault: None if trial is None else trial["outage_ms"] for fault, trial in trials.items()}
    limit_ms = FEW_SECONDS * seen.spec.timing.deadtime_ms
    parts = [
        Text("{fault}: {outage}, {failed} requests failed", "{fault}: {outage}, {failed} peticiones fallidas").filled(
            fault=fault,
            outage=seconds(trial["outage_ms"])
            if trial["outage_ms"] is not None
            else Text("no answer until it was mended", "sin respuesta hasta repararlo"),
            failed=_failed(trial),
        )
        for fault, trial in trials.items()
        if trial is not None
    ]
    hurt = [one for one in trials.values() if one is not None]
    if any(_too_long(one, limit_ms) for one in hurt):
        return _judged(False, listed(parts, same("; ")), **_named(outages_ms))
    if len(hurt) < len(trials) or any(one["outage_ms"] is None for one in hurt):
        return Judgement("unknown", listed([*parts, _unseen(seen).detail], same("; ")), _named(outages_ms))
    tail = Text(
        "deadtime is {deadtime}. A user who asks in that time does notice",
        "deadtime es {deadtime}. Quien pide la página en ese tiempo sí lo nota",
    )
    parts.append(tail.filled(deadtime=seconds(seen.spec.timing.deadtime_ms)))
    return _judged(True, listed(parts, same("; ")), **_named(outages_ms))


def _failed(trial: Mapping[str, Any]) -> int:
    """Requests that failed before anything was healed."""
    return int(trial["requests_failed"] - (trial["failback_requests_failed"] or 0))


def _too_long(trial: Mapping[str, Any], limit_ms: float) -> bool:
    """Whether the service was seen to be away for longer; that nothing was measured is no such thing."""
    outage_ms = trial["outage_ms"]
    if outage_ms is None:
        return trial["server_before"] is not None and _failed(trial) > 0
    return bool(outage_ms > limit_ms)


def _named(outages_ms: Mapping[str, float | None]) -> dict[str, float | None]:
    return {fault.replace("-", "_"): ms for fault, ms in outages_ms.items()}


def _maintenance(seen: Seen) -> Judgement:
    trial = seen.trials.get("standby")
    if trial is None or trial["server_before"] is None or (trial["outage_ms"] is None and not _failed(trial)):
        return _unseen(seen)
    outage_ms, back_ms = trial["outage_ms"], trial["failback_outage_ms"]
    moved = trial["server_after"] not in (None, trial["server_before"])
    back_ms = back_ms if seen.spec.profile == "corrected" else None  # as printed nobody brings it back
    figures = {"outage": outage_ms, "failback": back_ms}
    if not moved or outage_ms is None:
        text = Text("the peer did not serve instead", "el otro nodo no sirvió en su lugar")
        return _judged(False, text, **figures)
    in_time = outage_ms <= FEW_SECONDS * seen.spec.timing.deadtime_ms
    text = (
        Text(
            "{after} serves after hb_standby on {before}, after {outage} without an answer; the way back: {back}",
            "{after} sirve tras hb_standby en {before}, después de {outage} sin respuesta; la vuelta: {back}",
        )
        if in_time
        else Text(
            "{after} does not serve until {outage} after hb_standby on {before}",
            "{after} no sirve hasta {outage} después de hb_standby en {before}",
        )
    )
    said = text.filled(
        after=trial["server_after"], before=trial["server_before"], outage=seconds(outage_ms), back=seconds(back_ms)
    )
    return _judged(in_time, said, **figures)


_TWO_OWNERS = Text(
    "haresources differs: each node names itself, so each takes the address for its own, and two MAC addresses answer"
    " for it. The sample file says that it must be the same on all nodes.",
    "haresources difiere: cada nodo se nombra a sí mismo, así que cada uno toma la dirección por suya, y responden por"
    " ella dos direcciones MAC. El archivo de ejemplo dice que debe ser igual en todos los nodos.",
)
_SAME_FILE = Text(
    "The same haresources on both nodes, naming the preferred one: one owner.",
    "El mismo haresources en ambos nodos, con el nodo preferido: un solo dueño.",
)

CLAIMS: tuple[Claim, ...] = (
    Claim("C1", Text("The edited files are those of figures 6 to 9",
                     "Los archivos editados son los de las figuras 6 a 9"), _files),
    Claim("C2", Text("Heartbeat runs, with 10 tasks", "Heartbeat funciona, con 10 tareas"), _runs),
    Claim("C3", Text("Each node's own page answers on its own address",
                     "La página de cada nodo responde en su propia dirección"), _own_pages),
    Claim(
        "C4",
        Text("The virtual address answers, from the master", "La dirección virtual responde, desde el maestro"),
        _vip, False, _TWO_OWNERS, _SAME_FILE,
    ),
    Claim(
        "C5",
        Text("When apache2 stops on the master, the virtual address shows the slave's page at once, by itself",
             "Al detener apache2 en el maestro, la dirección virtual muestra enseguida y sola la página del esclavo"),
        _apache_stop,
        False,
        Text(
            "Heartbeat with haresources starts a service and never looks at it again. It watches nodes, not services:"
            " apache2 is gone, Heartbeat is not, so nothing moves.",
            "Heartbeat con haresources arranca un servicio y no lo vuelve a mirar. Vigila nodos, no servicios: apache2"
            " ya no está, Heartbeat sí, así que nada se mueve.",
        ),
        Text(
            "A monitor watches apache2 and calls hb_standby when it does not serve.",
            "Un monitor vigila apache2 y llama a hb_standby cuando no sirve.",
        ),
        ("apache-stop",),
    ),
    Claim("C6", Text("The master's own address then refuses",
                     "La dirección propia del maestro rechaza entonces la conexión"),
          _refused, faults=("apache-stop",)),
    Claim(
        "C7",
        Text("Starting apache2 and restarting Heartbeat on the master returns control",
             "Arrancar apache2 y reiniciar Heartbeat en el maestro devuelve el control"),
        _control_returns,
        False,
        Text(
            "Control never left the master (C5), and after the restart two nodes own the address as before (C4).",
            "El control nunca dejó al maestro (C5), y tras el reinicio dos nodos poseen la dirección como antes (C4).",
        ),
        Text(
            "With one owner and auto_failback on, the node that haresources names takes all back.",
            "Con un solo dueño y auto_failback activado, el nodo que nombra haresources lo recupera todo.",
        ),
        ("apache-stop",),
    ),
    Claim(
        "C8",
        Text("The service comes back within a few seconds of a fault, and users need not notice",
             "El servicio vuelve pocos segundos después de un fallo, sin que los usuarios deban notarlo"),
        _few_seconds,
        False,
        Text(
            "After the stop of apache2 nothing comes back (C5). When a node dies, the other one has the address already"
            " and announces nothing: clients go on asking the dead node until their ARP entry is old.",
            "Tras detener apache2 nada vuelve (C5). Cuando un nodo muere, el otro ya tiene la dirección y no anuncia"
            " nada: los clientes siguen preguntando al nodo muerto hasta que su entrada ARP envejece.",
        ),
        Text(
            "With one owner, the survivor brings the address up and announces it when deadtime has passed.",
            "Con un solo dueño, el superviviente levanta la dirección y la anuncia cuando ha pasado deadtime.",
        ),
        ("apache-stop", "node-kill"),
    ),
    Claim(
        "C9",
        Text("A node can be taken out for maintenance while the other serves",
             "Se puede retirar un nodo para mantenimiento mientras el otro sirve"),
        _maintenance,
        False,
        Text(
            "The other node has the address already and announces nothing when its peer lets go: clients ask the wrong"
            " one until their ARP entry is old.",
            "El otro nodo ya tiene la dirección y no anuncia nada cuando su par la suelta: los clientes preguntan al"
            " equivocado hasta que su entrada ARP envejece.",
        ),
        Text(
            "With one owner, hb_standby moves all in about 2 s, and hb_takeover brings it back.",
            "Con un solo dueño, hb_standby lo mueve todo en unos 2 s, y hb_takeover lo trae de vuelta.",
        ),
        ("standby",),
    ),
)  # fmt: skip
