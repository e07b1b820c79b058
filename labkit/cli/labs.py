"""The lab by hand: doctor, build, up, status, check, logs, shell, ssh, down, gc, platforms, compose, schema."""

import os
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labkit import compose as compose_file
from labkit import platforms as found_platforms
from labkit import spec as specs
from labkit.cli.common import (
    DeadtimeOption,
    FileOption,
    JsonOption,
    KeepaliveOption,
    LangOption,
    LeastOption,
    MirrorOption,
    NameOption,
    PlatformOption,
    PortsOption,
    ProfileOption,
    SubnetOption,
    answer,
    auto,
    leave,
    out,
    progress,
    read_spec,
    worst,
)
from labkit.cli.show import findings, in_words, markup
from labkit.cluster import Lab, access, lifecycle
from labkit.cluster.doctor import examine
from labkit.cluster.look import look
from labkit.cluster.making import image_samples
from labkit.engine import Engine, grants, images
from labkit.errors import NotAvailable
from labkit.language import Language, Text, choose, listed, same
from labkit.resources import compose_dir, images_dir

NodeArgument = Annotated[str, typer.Argument(help="A node, by its host name; `labkit status` lists them.")]
AND = Text(" and ", " y ")
NOBODY = Text("nobody answers", "nadie responde")
VIP_PAGE = Text("the VIP's page", "la página de la IP virtual")
CONDITIONS = Text(
    "{platform}, {profile} profile, {network} network {subnet}, {privileges} privileges, {cpus} CPUs and {memory} MiB a"
    " node",
    "{platform}, perfil {profile}, red {network} {subnet}, privilegios {privileges}, {cpus} CPU y {memory} MiB por"
    " nodo",
)
UpName = Annotated[str, typer.Option("--name", help="The lab's name.")]


def doctor(file: FileOption = None, platform: PlatformOption = None, as_json: JsonOption = False) -> None:
    """What this host can do for a lab, what is missing, and the command that mends it.

    Example: labkit doctor
    """
    symptoms = examine(read_spec(file, platform=platform))
    if as_json:
        answer(symptoms)
    else:
        out.print(findings((one.check, one.state, one.detail) for one in symptoms))
    if any(one.state == "missing" for one in symptoms):
        raise typer.Exit(NotAvailable.exit_code)


def build(
    file: FileOption = None,
    platform: PlatformOption = None,
    mirror: MirrorOption = "",
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build anew what is there already.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every line of the build.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Builds the images of a platform where they are missing or stale.

    Example: labkit build --platform debian-12
    """
    spec = read_spec(file, platform=platform)
    engine = Engine.connect()
    with progress(as_json, verbose) as shown:
        built = images.ensure(engine, spec.platform, shown, mirror, rebuild)
    sizes = images.sizes_mb(engine)
    document = [
        {"name": name, "digest": built.digests[role], "size_mb": round(sizes[name], 1)}
        for role in images.ROLES
        for name in [built.platform.image(role)]
    ]
    if as_json:
        answer(document)
    for one in () if as_json else document:
        out.print(f"{one['name']}  {one['size_mb']} MB  [dim]{one['digest']}[/dim]")


def up(
    file: FileOption = None,
    name: NameOption = None,
    platform: PlatformOption = None,
    profile: ProfileOption = None,
    keepalive: KeepaliveOption = None,
    deadtime: DeadtimeOption = None,
    subnet: SubnetOption = None,
    ports: PortsOption = None,
    least: LeastOption = False,
    together: Annotated[
        bool, typer.Option("--together", help="Start both nodes at once: the VIP answers later, all is settled sooner.")
    ] = False,
    bare: Annotated[bool, typer.Option("--bare", help="Install Heartbeat, but do not configure it.")] = False,
    mirror: MirrorOption = "",
    as_json: JsonOption = False,
) -> None:
    """Starts the pair and waits until its pages are served. Harmless if it is up already.

    Example: labkit up --keepalive 200ms --deadtime 1
    """
    spec = read_spec(file, name, platform, profile, keepalive, deadtime, subnet, least)
    options = lifecycle.Options(
        staged=not together,
        bare=bare,
        auto_ports=auto("--ports", ports),
        auto_subnet=subnet == "auto",
        mirror=mirror,
    )
    engine = Engine.connect()
    with progress(as_json) as shown:
        start = lifecycle.up(engine, spec, options, shown)
    if as_json:
        answer(_status(start.lab) | {"milestones_ms": start.milestones_ms})
        return
    for milestone, ms in start.milestones_ms.items():
        out.print(f"{milestone} after {ms / 1000:.1f} s")
    _print_status(start.lab, choose(None, os.environ))


def _status(lab: Lab) -> dict[str, Any]:
    published = lab.gateway.published()
    return {
        "name": lab.name,
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


def _print_status(lab: Lab, language: Language) -> None:
    known = _status(lab)
    table = Table(box=None, pad_edge=False)
    for column in (Text("node", "nodo"), Text("address", "dirección"), Text("state", "estado")):
        table.add_column(column.within(language), overflow="fold")
    for name, status in lab.statuses().items():
        table.add_row(name, str(lab.spec.nodes[name].address), in_words(status).within(language))
    out.print(table)
    there = known["vip_owners"]
    owners = listed([same(owner) for owner in there], AND) if there else NOBODY
    out.print(
        Text("VIP {vip}: {owners}", "IP virtual {vip}: {owners}").filled(vip=lab.vip, owners=owners).within(language)
    )
    limits = {"cpus": f"{lab.spec.limits.cpus:g}", "memory": lab.spec.limits.memory_mib}
    out.print(CONDITIONS.filled(**known, **limits).within(language))
    ports = lab.gateway.published()
    pages = (("vip_http", VIP_PAGE.within(language)), *zip(("first_http", "second_http"), lab.nodes, strict=True))
    for port, what in pages:
        out.print(f"  http://127.0.0.1:{ports.get(getattr(lab.spec.ports, port), '?')}/  {what}")
    out.print(f"  ssh -F {access.folder(lab.name) / 'ssh_config'} {lab.spec.preferred}")


def status(name: UpName = "lab", lang: LangOption = None, as_json: JsonOption = False) -> None:
    """The pair as it is: each node's state, who has the VIP, ports.

    Example: labkit status --json
    """
    language = choose(lang, os.environ)
    lab = lifecycle.require(Engine.connect(), name)
    if as_json:
        answer(_status(lab))
    else:
        _print_status(lab, language)


def check(name: UpName = "lab", as_json: JsonOption = False) -> None:
    """Gets index.html from both nodes and the VIP, inside the lab and through the host's ports; one owner of the VIP?

    Example: labkit check
    """
    sights = look(lifecycle.require(Engine.connect(), name))
    if as_json:
        answer(sights)
    else:
        out.print(findings((one.check, one.verdict, one.detail) for one in sights))
    leave(worst([one.verdict for one in sights]))


def logs(
    node: NodeArgument,
    name: UpName = "lab",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 50,
) -> None:
    """The end of a node's log.

    Example: labkit logs master-cluster -n 100
    """
    print(lifecycle.require(Engine.connect(), name).node(node).log_tail(lines))


def shell(node: NodeArgument, name: UpName = "lab") -> None:
    """A root shell in a node, as at its own console.

    Example: labkit shell master-cluster
    """
    container = lifecycle.require(Engine.connect(), name).node(node)
    if shutil.which("docker") is None:
        raise NotAvailable(f"the docker command is not installed here; use `labkit ssh {node}` instead")
    os.execvp("docker", ["docker", "exec", "-it", container.name, "bash", "-l"])


def ssh(
    node: NodeArgument,
    command: Annotated[list[str] | None, typer.Argument(help="What to run there; nothing for a shell.")] = None,
    name: UpName = "lab",
) -> None:
    """Into a node by SSH, with the lab's own key. A command that has options of its own stands behind --.

    Example: labkit ssh slave-cluster -- ip -4 addr show eth0
    """
    lab = lifecycle.require(Engine.connect(), name)
    lab.node(node)
    if shutil.which("ssh") is None:
        raise NotAvailable(f"ssh is not installed here; use `labkit shell {node}` instead")
    os.execvp("ssh", ["ssh", "-F", str(access.folder(name) / "ssh_config"), node, *(command or [])])


def down(name: UpName = "lab", as_json: JsonOption = False) -> None:
    """Removes the lab: containers, networks, links, keys. Nothing is left.

    Example: labkit down
    """
    with progress(as_json) as shown:
        removed = lifecycle.remove(Engine.connect(), name, shown)
    if as_json:
        answer(removed)
    elif not removed:
        out.print(f"there is no lab {name!r}; nothing to remove")


def gc(
    name: Annotated[str | None, typer.Option("--name", help="All of this lab, even if it is up.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Labs that are up, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Removes what killed runs left behind, found by label alone: containers, networks, links on the host, keys.

    Labs that are up and whole stay, and so do images and stored runs.

    Example: labkit gc --dry-run
    """
    engine = Engine.connect()
    with progress(as_json) as shown:
        found = lifecycle.leftovers(engine, name, spare_whole_labs=not everything and name is None)
        if not dry_run:
            lifecycle.clear(engine, found, shown)
    if as_json:
        answer(found)
    elif dry_run or not found:
        for one in found:
            out.print(f"{one.kind} {markup(one.name)} (lab {markup(one.lab)})")
        if not found:
            out.print("nothing is left")


def platforms(as_json: JsonOption = False) -> None:
    """The platforms that a node can run on.

    Example: labkit platforms --json
    """
    document = [{"name": one.name, "title": one.title, "base": one.base} for one in found_platforms.discover().values()]
    if as_json:
        answer(document)
    for one in () if as_json else document:
        out.print(f"{one['name']:14} {one['title']}")


def compose(
    file: FileOption = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where to.")] = Path("compose"),
) -> None:
    """Writes the lab as a Compose file, for those who want plain `docker compose up`.

    Example: labkit compose --file lab.yaml --folder /tmp/mine
    """
    spec = read_spec(file, name=None if file else compose_file.NAME)
    engine = Engine.connect()
    with progress(False) as shown:
        built = images.ensure(engine, compose_file.PLATFORM, shown)
    samples = image_samples(engine, built.node, spec.name)
    context = os.path.relpath(images_dir(), folder.resolve())
    files = compose_file.files(spec, samples, built.platform.name, grants.LEAST, context)
    files["README.md"] = (compose_dir() / "README.md").read_text(encoding="utf-8")
    compose_file.write(folder, files)
    out.print(f"{len(files)} files written to {markup(str(folder))}; see its README.md")


def schema() -> None:
    """The JSON schema of lab.yaml, for editors.

    Example: labkit schema > lab.schema.json
    """
    answer(specs.json_schema())


def register(app: typer.Typer) -> None:
    """Adds the commands, in the order in which --help lists them."""
    for command in (doctor, build, up, status, check, logs, shell, ssh, down, gc, platforms, compose, schema):
        app.command()(command)
