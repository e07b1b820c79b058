"""The lab by hand: doctor, build, up, status, check, logs, shell, ssh, down, gc, platforms, compose, schema."""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from labkit import compose as compose_file
from labkit import platforms as found_platforms
from labkit import spec as specs
from labkit.campaign import several
from labkit.campaign.several import MOST
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
    auto_subnet,
    complain,
    lab_name,
    leave,
    out,
    progress,
    read_spec,
    worst,
)
from labkit.cli.show import findings, in_language, markup, status_document, status_in_words
from labkit.cluster import lifecycle, lock
from labkit.cluster.doctor import examine
from labkit.cluster.look import look
from labkit.cluster.making import image_samples
from labkit.engine import Engine, contents, grants, images
from labkit.errors import BadInput, NotAvailable
from labkit.language import choose
from labkit.resources import compose_dir, images_dir
from labkit.spec import Spec

NodeArgument = Annotated[str, typer.Argument(help="A node, by its host name; `labkit status` lists them.")]


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
    browser: Annotated[
        bool, typer.Option("--browser", help="Also the browser that `labkit guide --figures` uses.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every line of the build.")] = False,
    write_lock: Annotated[
        Path | None, typer.Option("--write-lock", help="Write down what the images are made of, to compare with later.")
    ] = None,
    locked: Annotated[
        Path | None, typer.Option("--locked", help="Say what differs from such a file; exit code 1 if anything does.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Builds the images of a platform where they are missing or stale.

    Example: labkit build --platform debian-12
    """
    spec = read_spec(file, platform=platform)
    wanted = contents.read(locked) if locked else None
    engine = Engine.connect()
    with progress(as_json, verbose) as shown:
        built = images.ensure(engine, spec.platform, shown, mirror, rebuild)
        digests = dict(built.digests)
        if browser:
            digests[images.BROWSER] = images.ensure_browser(engine, built, shown, rebuild)
        found = contents.contents(engine, built) if write_lock or wanted is not None else {}
    if write_lock:
        contents.write(write_lock, found)
    sizes = images.sizes_mb(engine)
    document = [
        {"name": name, "digest": digest, "size_mb": round(sizes[name], 1)}
        for role, digest in digests.items()
        for name in [built.platform.image(role)]
    ]
    if as_json:
        answer(document)
    for one in () if as_json else document:
        out.print(f"{one['name']}  {one['size_mb']} MB  [dim]{one['digest']}[/dim]")
    if wanted is not None and (differs := contents.changes(wanted, found)):
        complain("\n".join([f"the images are not those of {locked}:", *differs]))
        leave("fail")


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
    pairs: Annotated[
        int | None,
        typer.Option("--pairs", min=1, max=MOST, help="So many at once, NAME-1 and so on, on free subnets and ports."),
    ] = None,
    mirror: MirrorOption = "",
    as_json: JsonOption = False,
) -> None:
    """Starts the pair and waits until its pages are served. Harmless if it is up already.

    With --pairs each pair has a subnet, a bridge and ports of its own. `labkit down --name NAME --pairs` removes all.

    Example: labkit up --keepalive 200ms --deadtime 1
    """
    spec = read_spec(file, name, platform, profile, keepalive, deadtime, subnet, least)
    options = lifecycle.Options(
        staged=not together,
        bare=bare,
        auto_ports=auto("--ports", ports),
        auto_subnet=auto_subnet(subnet),
        mirror=mirror,
    )
    engine = Engine.connect()
    if pairs is not None:
        _up_many(engine, spec, options, pairs, as_json)
        return
    with progress(as_json) as shown, lifecycle.changing(engine, spec.name, shown):
        start = lifecycle.up(engine, spec, options, shown)
        # looked at before the next command may remove it
        found = status_document(start.lab) if as_json else status_in_words(start.lab, choose(None, os.environ))
    if isinstance(found, dict):
        answer(found | {"milestones_ms": start.milestones_ms})
        return
    for milestone, ms in start.milestones_ms.items():
        out.print(f"{milestone} after {ms / 1000:.1f} s")
    out.print(found)


def _up_many(engine: Engine, spec: Spec, options: lifecycle.Options, count: int, as_json: bool) -> None:
    with progress(as_json) as shown:
        labs = several.up(engine, spec, options, count, shown)
        documents = [status_document(lab) for lab in labs]
    if as_json:
        answer(documents)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("lab", "subnet", "the VIP's page", "VIP"):
        table.add_column(column, overflow="fold")
    for one in documents:
        url = f"http://127.0.0.1:{one['ports']['vip_http']}/"
        table.add_row(one["name"], one["subnet"], url, " and ".join(one["vip_owners"]) or "nobody")
    out.print(table)
    out.print(
        f"labkit status --name {labs[0].name} tells all of one; labkit down --name {spec.name} --pairs removes all"
    )


def status(name: NameOption = None, lang: LangOption = None, as_json: JsonOption = False) -> None:
    """The pair as it is: each node's state, who has the VIP, ports.

    Example: labkit status --json
    """
    language = choose(lang, os.environ)
    lab = lifecycle.require(Engine.connect(), lab_name(name))
    if as_json:
        answer(status_document(lab))
    else:
        out.print(status_in_words(lab, language))


def check(name: NameOption = None, lang: LangOption = None, as_json: JsonOption = False) -> None:
    """Gets index.html from both nodes and the VIP, inside the lab and through the host's ports; one owner of the VIP?

    Example: labkit check
    """
    language = choose(lang, os.environ)
    sights = look(lifecycle.require(Engine.connect(), lab_name(name)))
    if as_json:
        answer([{"check": one.check.en, "verdict": one.verdict, "detail": one.detail.en} for one in sights])
    else:
        out.print(findings(in_language(sights, language), language))
    leave(worst([one.verdict for one in sights]))


def logs(
    node: NodeArgument,
    name: NameOption = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 50,
) -> None:
    """The end of a node's log.

    Example: labkit logs master-cluster -n 100
    """
    print(lifecycle.require(Engine.connect(), lab_name(name)).node(node).log_tail(lines))


def shell(node: NodeArgument, name: NameOption = None) -> None:
    """A root shell in a node, as at its own console. Takes its commands from a pipe, too.

    Example: labkit shell master-cluster
    """
    lab = lifecycle.require(Engine.connect(), lab_name(name))
    container = lab.node(node)
    if shutil.which("docker") is None:
        raise NotAvailable(f"the docker command is not installed here; use `labkit ssh {node}` instead")
    login = ["/bin/bash", "-l"]
    command = grants.given_up(login) if lab.grant == "privileged" else login
    way = lab.engine_of(node).way.options
    how = "-it" if sys.stdin.isatty() else "-i"
    # not in our place: the way to an engine by SSH ends with us
    raise typer.Exit(subprocess.run(["docker", *way, "exec", how, container.name, *command], check=False).returncode)


def ssh(
    node: NodeArgument,
    command: Annotated[list[str] | None, typer.Argument(help="What to run there; nothing for a shell.")] = None,
    name: NameOption = None,
) -> None:
    """Into a node by SSH, with the lab's own key. A command that has options of its own stands behind --.

    Example: labkit ssh slave-cluster -- ip -4 addr show eth0
    """
    lab = lifecycle.require(Engine.connect(), lab_name(name))
    lab.node(node)
    config = lifecycle.open_doors(lab)  # somebody may have brought the lab up elsewhere, or by another way
    if shutil.which("ssh") is None:
        raise NotAvailable(f"ssh is not installed here; use `labkit shell {node}` instead")
    os.execvp("ssh", ["ssh", "-F", str(config), node, *(command or [])])


def down(
    name: NameOption = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="All that `up --pairs` has made of that name: NAME-1 and so on.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Removes the lab: containers, networks, links, keys. Nothing is left.

    Example: labkit down
    """
    engine = Engine.connect()
    name = lab_name(name)
    with progress(as_json) as shown, ExitStack() as stack:
        names = several.names_of(engine, name) if pairs else [name]
        for one in names:
            stack.enter_context(lifecycle.changing(engine, one, shown))
        removed = [gone for one in names for gone in lifecycle.remove(engine, one, shown)]
    if as_json:
        answer(removed)
    elif not removed:
        out.print(f"there is no lab {name!r}{' with a number' if pairs else ''}; nothing to remove")


def gc(
    name: Annotated[str | None, typer.Option("--name", help="All of this lab, even if it is up.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Labs that are up, too.")] = False,
    everybody: Annotated[bool, typer.Option("--everybody", help="What other users of the engine made, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Removes what killed runs left behind, found by label alone: containers, networks, links on the host, keys.

    Labs that are up and whole stay, those that another command is changing, other users', images and stored runs.

    Example: labkit gc --dry-run
    """
    engine = Engine.connect()
    spare = not everything and name is None
    with progress(as_json) as shown, ExitStack() as stack:
        found = [one for one in lifecycle.leftovers(engine, name, spare) if one.is_ours or everybody]
        busy = {one.lab for one in found if spare and lock.holder(one.lab, engine.identity)}
        labs = {one.lab for one in found} - busy
        if labs and not dry_run:
            for lab in sorted(labs):
                stack.enter_context(lock.held(lab, engine.identity, shown))
            found = [one for one in lifecycle.leftovers(engine, name, spare) if one.is_ours or everybody]
        found = [one for one in found if one.lab in labs]
        elsewhere = [
            both for lab in sorted({one.lab for one in found}) for both in lifecycle.guests(engine, lab, shown)
        ]
        parts = [(other, [one for one in there if one.is_ours or everybody]) for other, there in elsewhere]
        for where, there in () if dry_run else (*parts, (engine, found)):  # what leads elsewhere goes last
            lifecycle.clear(where, there, shown)
        found += [one for _, there in parts for one in there]
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
    if spec.service.given:
        raise BadInput("service: the Compose file has the guide's page alone; leave it out, or use `labkit up`")
    if spec.contexts:
        raise BadInput("nodes.*.engine: a Compose file is for one engine; leave `engine` out")
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
