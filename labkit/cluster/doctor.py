"""What this host can do for a lab, what is missing, and the command that mends it. Tried, not guessed."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labkit import platforms
from labkit.cluster.lifecycle import helper_image
from labkit.engine import Engine, create, grants, images, network
from labkit.errors import LabkitError, NotAvailable
from labkit.spec import Spec

ROOM_MB = 1500  # base, node and client image with their build steps, and a run


@dataclass(frozen=True)
class Symptom:
    """One thing looked at. state: ok; note: the lab runs with the restriction in the detail; missing: it will not."""

    check: str
    state: Literal["ok", "note", "missing"]
    detail: str


def examine(spec: Spec) -> list[Symptom]:
    """Everything in the order in which a lab needs it."""
    found = [Symptom("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")]
    try:
        engine = Engine.connect()
    except NotAvailable as error:
        return [*found, _room(), Symptom("engine", "missing", str(error))]
    facts = engine.facts
    found.append(_room() if engine.is_local else _room_elsewhere())
    found.append(
        Symptom("engine", "ok", f"Docker {facts.engine} at {facts.where}, {facts.system}, cgroup {facts.cgroup}")
    )
    found += [_platform(engine, platform) for platform in platforms.candidates(spec.platform)]
    found += [_subnet(engine, spec), _ports(engine, spec)]
    image = helper_image(engine)
    if not image:
        return [*found, Symptom("macvlan", "note", "not tried before the images are built (`labkit build`)")]
    return [*found, _macvlan(engine, image), _grant(engine, image)]


def _room() -> Symptom:
    free_mb = shutil.disk_usage(Path.cwd()).free / 1e6
    return Symptom(
        "disk",
        "ok" if free_mb >= ROOM_MB else "missing",
        f"{free_mb:.0f} MB free here; {ROOM_MB} MB are needed for images and a first run",
    )


def _room_elsewhere() -> Symptom:
    detail = f"not looked at: the images lie with the engine, where {ROOM_MB} MB are needed"
    return Symptom("disk", "ok", detail)


def _platform(engine: Engine, platform: platforms.Platform) -> Symptom:
    check = f"platform {platform.name}"
    if all(images.exists(engine, platform.image(role)) for role in images.ROLES):
        return Symptom(check, "ok", "images are built")
    way = images.way_to_base(engine, platform)
    return Symptom(check, "note" if way.startswith("no ") else "ok", way)


def _subnet(engine: Engine, spec: Spec) -> Symptom:
    pool = spec.network.pool
    ours = f"labkit-{spec.name}"
    taken = [name for subnet, name in network.taken_subnets(engine).items() if subnet.overlaps(pool) and name != ours]
    if taken:
        return Symptom("subnet", "note", f"{pool} is taken by {', '.join(taken)}; use `--subnet auto`")
    return Symptom("subnet", "ok", f"{pool} is free")


def _ports(engine: Engine, spec: Spec) -> Symptom:
    ports = list(spec.ports.model_dump().values())
    try:
        create.require_free_ports(engine, ports, but_for=spec.name)
    except LabkitError as error:
        return Symptom("ports", "note", str(error))
    where = "" if engine.is_local else " on the engine's host, as far as the engine knows"
    return Symptom("ports", "ok", f"127.0.0.1:{', '.join(map(str, ports))} are free{where}")


def _macvlan(engine: Engine, image: str) -> Symptom:
    try:
        network.make_links(engine, image, "doctor")
    except LabkitError as error:
        return Symptom("macvlan", "note", f"cannot be had, a bridge network takes its place: {error}")
    finally:
        links = network.host_links(engine, image, "doctor")
        network.remove_links(engine, image, [link.name for link in links])
    return Symptom("macvlan", "ok", "works")


def _grant(engine: Engine, image: str) -> Symptom:
    grant = grants.most(engine, image, "doctor")
    return Symptom("privileged", "ok" if not grant.remark else "note", grant.remark or "works")
