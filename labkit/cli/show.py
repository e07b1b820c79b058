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
from labkit.live.steps import Kind, Steps
from labkit.plot import duration
from labkit.report import clocks_in_words, headline

SIGN = {
    "pass": ("green", Text("pass", "bien")),
    "ok": ("green", Text("ok", "bien")),
    "unknown": ("yellow", Text("unknown", "no se sabe")),
    "note": ("yellow", Text("note", "nota")),
    "fail": ("red", Text("FAIL", "MAL")),
    "missing": ("red", Text("MISSING", "FALTA")),
    "error": ("red", Text("ERROR", "fallo")),
}
STEP: Mapping[Kind, str] = {"fault": "red", "healed": "green", "good": "green", "bad": "yellow"}  # in which colour
markup = escape


class Timeline:
    """Prints a trial's steps as they happen. Told every event of the run."""

    def __init__(self, console: Console, trials: int, macs: dict[str, str]) -> None:
        self._console = console
        self._trials = trials
        self._macs = macs
        self._steps = Steps(macs)

    def watch(self, event: Event) -> None:
        """Takes one event."""
        if event["event"] == "trial-start":
            self._steps = Steps(self._macs)
            self._console.print(f"[bold]trial {event['trial']} of {self._trials}[/bold]")
        elif event["event"] == "interrupted":
            self._console.print(f"  [yellow]interrupted:[/yellow] {escape(event['reason'].splitlines()[0])}")
        for step in self._steps.take(event):
            line = in_line(step.after_ms, step.kind, step.what.en, step.detail)
            self._console.print(line, no_wrap=True, overflow="ellipsis", crop=True)


def in_line(after_ms: float, kind: Kind, what: str, detail: str) -> str:
    """A step of a trial as a line of a terminal."""
    colour = STEP.get(kind)
    told = f"[{colour}]{escape(what)}[/{colour}]" if colour else escape(what)
    return f"  {after_ms:+10.1f} ms  {told}{f'  [dim]{escape(detail)}[/dim]' if detail else ''}"


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
        f" {status.service} {'funciona' if status.apache2 else 'detenido'}",
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
    """A run's trials as a table, with the median where there are several. Those of a busy machine are marked."""
    table = Table(title=f"{result['fault']}, {_conditions(result)}", title_justify="left")
    table.caption = clocks_in_words(result) or None
    for column in ("trial", "outage", "detection", "takeover", "two owners", "failback", "failed"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("served by")
    for trial in result["trials"]:
        table.add_row(
            f"{'[yellow]busy[/yellow] ' if trial.get('flags') else ''}{trial['number']}",
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
