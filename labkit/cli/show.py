"""What a person sees: of a pair its status; of a run the timeline while it happens, and the table at its end."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from labkit.cluster import Lab, NodeStatus, access
from labkit.cluster.look import Sight
from labkit.history import Event
from labkit.language import Language, Text, listed, same
from labkit.plot import duration
from labkit.report import headline
from labkit.timing import MS

SIGN = {
    "pass": ("green", Text("pass", "bien")),
    "ok": ("green", Text("ok", "bien")),
    "unknown": ("yellow", Text("unknown", "no se sabe")),
    "note": ("yellow", Text("note", "nota")),
    "fail": ("red", Text("FAIL", "MAL")),
    "missing": ("red", Text("MISSING", "FALTA")),
    "error": ("red", Text("ERROR", "fallo")),
}
markup = escape


class Timeline:
    """Prints a trial's steps as they happen, in ms after the fault. Told every event of the run.

    A fault's own instant is known when injecting has ended, so what came in meanwhile is kept until then. A step that
    repeats (a monitor that trips every second) is shown once.
    """

    def __init__(self, console: Console, trials: int, macs: dict[str, str]) -> None:
        self._console = console
        self._trials = trials
        self._macs = macs
        self._zero_ns: int | None = None
        self._kept: list[tuple[int, str]] = []
        self._said: set[str] = set()
        self._client = ""
        self._good_due_ns = 0

    def watch(self, event: Event) -> None:
        """Takes one event."""
        kind = event["event"]
        if kind == "trial-start":
            self._zero_ns, self._kept, self._said, self._client = None, [], set(), ""
            self._console.print(f"[bold]trial {event['trial']} of {self._trials}[/bold]")
        elif kind == "fault":
            self._fault(event)
        elif kind == "log" and event["marker"]:
            self._once(event["t_ns"], f"{event['node']}: {event['marker']}", event["text"])
        elif kind == "request":
            self._answer(event)
        elif kind == "arp" and event["kind"] == "reply":
            self._once(event["t_ns"], f"ARP: {self._macs.get(event['mac'], event['mac'])} answers for the VIP")
        elif kind == "interrupted":
            self._console.print(f"  [yellow]interrupted:[/yellow] {escape(event['reason'].splitlines()[0])}")

    def _fault(self, event: Event) -> None:
        if event["stage"] == "inject":
            self._zero_ns = event["before_ns"]
            width = (event["after_ns"] - event["before_ns"]) / MS
            kept = [(t_ns, text) for t_ns, text in self._kept if t_ns >= event["before_ns"]]
            self._kept = []
            self._print(
                self._zero_ns, f"[red]{event['fault']}[/red] on {event['node']} [dim](took {width:.0f} ms)[/dim]"
            )
            for t_ns, text in sorted(kept):
                self._print(t_ns, text)
        else:
            self._said.clear()
            self._print(event["after_ns"], f"[green]healed[/green]: {event['fault']} on {event['node']}")

    def _answer(self, event: Event) -> None:
        good = event["outcome"] == "good"
        if good:
            self._good_due_ns = max(self._good_due_ns, event["t_ns"])
        elif event["t_ns"] < self._good_due_ns:
            return  # a time-out, known only now, of a request that was due before service came back
        state = f"good, {event['server']}" if good else str(event["outcome"])
        if state == self._client or (not good and f"client: {state}" in self._said):
            return
        if good and self._client:  # service is back: the next failure is news again
            self._said = {said for said in self._said if not said.startswith("client: ")}
        self._client = state
        colour = "green" if good else "yellow"
        self._once(event["t_ns"] + event["took_us"] * 1000, f"client: {state}", colour=colour)

    def _once(self, t_ns: int, what: str, detail: str = "", colour: str = "") -> None:
        if what in self._said:
            return
        self._said.add(what)
        text = f"[{colour}]{escape(what)}[/{colour}]" if colour else escape(what)
        self._print(t_ns, f"{text}  [dim]{escape(detail)}[/dim]" if detail else text)

    def _print(self, t_ns: int, text: str) -> None:
        if self._zero_ns is None:
            self._kept.append((t_ns, text))
            return
        after_ms = (t_ns - self._zero_ns) / MS
        self._console.print(f"  {after_ms:+10.1f} ms  {text}", no_wrap=True, overflow="ellipsis", crop=True)


RESOURCES = {  # what `cl_status rscstatus` says, and `stopping`
    "none": "ninguno",
    "local": "los suyos",
    "foreign": "los ajenos",
    "all": "todos",
    "transition": "en transición",
    "stopping": "deteniéndose",
}
PEER = {"active": "activo", "dead": "muerto", "up": "arriba", "joining": "uniéndose", "init": "arrancando"}


def in_words(status: NodeStatus) -> Text:
    """A node's state. Heartbeat's own word stands beside the Spanish one, because its commands say it."""
    if not status.running:
        return Text(str(status), "no está en marcha")
    daemon = "sin heartbeat"
    if status.heartbeat:
        resources = _both(status.resources, RESOURCES) if status.resources else "arrancando"
        daemon = f"heartbeat: recursos {resources}, par {_both(status.peer, PEER) if status.peer else '?'}"
    return Text(
        str(status),
        f"{daemon}, IP virtual {'aquí' if status.vip else 'no está aquí'},"
        f" apache2 {'funciona' if status.apache2 else 'detenido'}",
    )


def _both(word: str, spanish: dict[str, str]) -> str:
    return f"{spanish[word]} ({word})" if word in spanish else word


GRANT = {"privileged": "plenos", "granted": "concedidos", "least": "los mínimos"}
PROFILE = {"corrected": "corregido", "as-printed": "tal como está impreso"}
NETWORK = {"bridge": "en puente"}
AND = Text(" and ", " y ")
NOBODY = Text("nobody answers", "nadie responde")
HERE = Text("here they are after", "aquí están después de")
VIP_PAGE = Text("the VIP's page", "la página de la IP virtual")
COLUMNS = (
    Text("node", "nodo"),
    Text("address", "dirección"),
    Text("CPUs", "CPU"),
    Text("memory", "memoria"),
    Text("state", "estado"),
)


def status_document(lab: Lab) -> dict[str, Any]:
    """What `status --json` answers."""
    published = lab.gateway.published()
    return {
        "name": lab.name,
        "engine": lab.engine.where,
        "platform": lab.platform,
        "profile": lab.spec.profile,
        "network": lab.network,
        "privileges": lab.grant,
        "subnet": str(lab.spec.network.pool),
        "vip": lab.vip,
        "vip_owners": lab.owners(),
        "nodes": [
            {"name": name, "address": str(lab.spec.nodes[name].address), **vars(status)}
            for name, status in lab.statuses().items()
        ],
        "ports": {name: published.get(port) for name, port in lab.spec.ports.model_dump().items()},
        "limits": {"cpus": lab.spec.limits.cpus, "memory_mib": lab.spec.limits.memory_mib},
    }


def status_in_words(lab: Lab, language: Language) -> Group:
    """The pair as it is, for people."""
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column.within(language), overflow="fold")
    cpus = f"{min(lab.spec.limits.cpus, lab.engine.facts.cpus):g}"
    for name, status in lab.statuses().items():
        state = in_words(status).within(language)
        table.add_row(name, str(lab.spec.nodes[name].address), cpus, f"{lab.spec.limits.memory_mib} MiB", state)
    there = lab.owners()
    owners = listed([same(owner) for owner in there], AND) if there else NOBODY
    vip = Text("VIP {vip}: {owners}", "IP virtual {vip}: {owners}")
    lines = [vip.filled(vip=lab.vip, owners=owners).within(language), _conditions_of(lab).within(language)]
    ports = lab.gateway.published()
    inside = lab.spec.ports
    pages = {inside.vip_http: VIP_PAGE.within(language)}
    pages.update(zip((inside.first_http, inside.second_http), lab.nodes, strict=True))
    for port, what in pages.items():
        lines.append(f"  http://127.0.0.1:{ports.get(port, '?')}/  {what}")
    if remark := access.remark(lab.engine):
        lines.append(f"    {remark.within(language)}")
        if command := lab.engine.way.forwarding(ports[port] for port in pages if port in ports):
            lines.append(f"    {HERE.within(language)}: {command}")
    lines.append(f"  ssh -F {access.folder(lab.name, lab.engine.identity) / 'ssh_config'} {lab.spec.preferred}")
    return Group(table, *lines)


def _conditions_of(lab: Lab) -> Text:
    """labkit's own words stand beside the Spanish ones, because its options take them."""
    subnet = lab.spec.network.pool
    return Text(
        f"{lab.platform}, {lab.spec.profile} profile, {lab.network} network {subnet}, {lab.grant} privileges",
        f"{lab.platform}, perfil {_both(lab.spec.profile, PROFILE)}, red {_both(lab.network, NETWORK)} {subnet},"
        f" privilegios {_both(lab.grant, GRANT)}",
    )


def findings(rows: Iterable[tuple[str, str, str]], language: Language = "en") -> Table:
    """Checks as a table: what, verdict or state, detail."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for what, verdict, detail in rows:
        table.add_row(sign(verdict, language), escape(what), escape(detail))
    return table


def sign(verdict: str, language: Language = "en") -> str:
    """A verdict or a state in its colour."""
    colour, word = SIGN[verdict]
    return f"[{colour}]{word.within(language)}[/{colour}]"


def in_language(sights: Iterable[Sight], language: Language) -> Iterator[tuple[str, str, str]]:
    """What `labkit check` saw, as findings."""
    for one in sights:
        yield one.check.within(language), one.verdict, one.detail.within(language)


def trials(result: dict[str, Any]) -> Table:
    """A run's trials as a table, with the median where there are several."""
    table = Table(title=f"{result['fault']}, {_conditions(result)}", title_justify="left")
    for column in ("trial", "outage", "detection", "takeover", "two owners", "failback", "failed"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("served by")
    for trial in result["trials"]:
        table.add_row(
            str(trial["number"]),
            duration(trial["outage_ms"]),
            *(duration(trial[f"{name}_ms"]) for name in ("detection", "takeover", "dual_owner", "failback_outage")),
            f"{trial['requests_failed']}/{trial['requests']}",
            f"{trial['server_before'] or 'nobody'} -> {trial['server_after'] or 'nobody'}",
        )
    if len(result["trials"]) > 1:
        table.add_section()
        medians = [
            result["summary"][f"{name}_ms"]["median"] for name in ("outage", "detection", "takeover", "dual_owner")
        ]
        failback = result["summary"]["failback_outage_ms"]["median"]
        table.add_row("median", *map(duration, medians), duration(failback), "", "")
        table.add_row("95 % interval", interval(result["summary"]["outage_ms"]), *[""] * 6)
    return table


def interval(summary: Mapping[str, Any]) -> str:
    """The interval of a median, or a dash where so few trials have none."""
    ends_ms = summary["ci95"]
    return f"{duration(ends_ms[0])} to {duration(ends_ms[1])}" if ends_ms else "-"


def _conditions(result: dict[str, Any]) -> str:
    timing = result["timing"]
    said = (
        f"{result['platform']}, {result['network']} network, {result['profile']} profile,"
        f" keepalive {duration(timing['keepalive_ms'])}, deadtime {duration(timing['deadtime_ms'])}"
    )
    band = result["predicted"]["outage_ms"]
    return f"{said}, predicted outage {duration(band[0])} to {duration(band[1])}" if band else said


def outcome(console: Console, result: dict[str, Any], report: str) -> None:
    """The end of a run: table, checks, the sentence that sums it up, and where the rest lies."""
    console.print(trials(result))
    console.print(findings((one["check"], one["verdict"], one["detail"]) for one in result["checks"]))
    console.print(f"[bold]{escape(headline(result))}[/bold]", soft_wrap=True)
    console.print(f"report: {escape(report)}", soft_wrap=True)
