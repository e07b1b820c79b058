"""Making a lab, finding it again by its labels, and leaving nothing behind."""

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from labkit.cluster import access, lock, service
from labkit.cluster.lab import Lab, joined, network_name
from labkit.cluster.making import (
    AUTO,
    BARE,
    GRANT,
    NETWORK,
    PLATFORM,
    SERVICE,
    SPEC,
    Host,
    Options,
    Start,
    await_ready,
    configure,
    make,
    open_doors,
    samples,
    start,
)
from labkit.engine import GUEST, LABEL, USER, Container, Engine, Leftover, create, images, network
from labkit.errors import BadInput, NotAvailable
from labkit.progress import Progress, Silent
from labkit.spec import Spec

__all__ = [
    "Options",
    "Start",
    "changing",
    "clear",
    "configure",
    "find",
    "guests",
    "helper_image",
    "is_bare",
    "leftovers",
    "open_doors",
    "remove",
    "require",
    "resume",
    "samples",
    "up",
]


SUBNET_TRIES = 5
NIC = "eth0"  # what the engine calls the interface of a container that has one network


@contextmanager
def changing(engine: Engine, name: str, progress: Progress) -> Iterator[None]:
    """For as long as the `with` lasts, no other command of this user changes the lab. See lock.held.

    Raises NotAvailable where the lab is another user's, whom it names, or that of another engine.
    """
    with lock.held(name, engine.identity, progress):
        _require_ours(engine, name)
        yield


def _require_ours(engine: Engine, name: str) -> None:
    there = _in_engine(engine, name)
    theirs = {one.user for one in there if not one.is_ours}
    if theirs:
        raise NotAvailable(
            f"the lab {name!r} on this engine is that of {' and '.join(sorted(theirs))}: take another name, with"
            f" --name, or ask them to remove it; `labkit gc --name {name} --everybody` removes it unasked"
        )
    if any(one.guest_of for one in there):
        raise NotAvailable(
            f"of the lab {name!r} this engine has a part alone, and its client is on another engine: choose that one's"
            f" Docker context, or take another name, with --name; if that engine is gone for good,"
            f" `labkit gc --name {name}` removes the part"
        )


def _require_room_for_guests(engine: Engine, others: Iterable[Engine], name: str) -> None:
    """Raises NotAvailable where another engine of the lab has something of that name which is not the lab's."""
    for other in others:
        if strange := [one for one in _in_engine(other, name) if one.guest_of != engine.identity or not one.is_ours]:
            listed = ", ".join(one.name for one in strange)
            raise NotAvailable(
                f"the engine at {other.where} has a lab {name!r} of its own ({listed}): take another name, with --name,"
                f" or remove that one, with that engine's Docker context"
            )


def up(engine: Engine, spec: Spec, options: Options, progress: Progress) -> Start:
    """Brings a lab up, or finds that it is. Returns when the nodes hear each other and all pages are served.

    One that is up with other settings is removed first, unless its ports or subnet cannot be had. Whatever goes wrong,
    Ctrl-C included, nothing is left behind. Raises Unsettled with the nodes' logs on time-out, NotAvailable for another
    user's lab or one of another engine, and BadInput for a name of the nodes' interface that the engine would not give.
    """
    _require_ours(engine, spec.name)
    others = _others(engine, spec)
    _require_room_for_guests(engine, others.values(), spec.name)
    if spec.network.interface != NIC:
        raise BadInput(
            f"network.interface: {spec.network.interface} cannot be had, because the engine calls the nodes' interface"
            f" {NIC}; leave it out"
        )
    if options.bare and spec.service.given:
        raise BadInput("service: a lab whose Heartbeat is configured by hand serves the guide's page; leave it out")
    found = images.ensure(engine, spec.platform, progress, options.mirror, options.rebuild)
    hosts = {
        context: Host(other, images.ensure(other, found.platform.name, progress, options.mirror, options.rebuild))
        for context, other in others.items()
    }
    first = spec.nodes[spec.preferred].engine
    digests = {"node": (hosts[first].images if first else found).node, "client": found.client}
    present = find(engine, spec.name)
    options = _with_choices(present, spec, options)
    if present is not None and _is(present, spec, digests, options):
        progress.step(f"the lab {spec.name!r} is up already")
        statuses = present.statuses()
        if options.bare or (joined(statuses) and not present.idle(statuses)):
            await_ready(present, options, progress)
        else:
            progress.step("something is broken in it: it is brought to its starting state")
            present.restore()
        return Start(present)
    if present is not None:
        _require_room(engine, others.values(), spec, options)
        progress.step(f"the lab {spec.name!r} is up with other settings, or not whole: it is made anew")
    remove(engine, spec.name, progress)
    _remove_guests(engine, others.values(), spec.name, progress)  # those of an `up` that was killed have no client yet
    try:
        return start(_make_somewhere(Host(engine, found), hosts, spec, options, progress), options, progress)
    except BaseException:
        progress.step("removing what was made so far")
        _remove_all(engine, others.values(), spec.name, progress)
        raise


def _with_choices(present: Lab | None, spec: Spec, options: Options) -> Options:
    """What `auto` chose for the lab that is up stays automatic, unless --subnet or lab.yaml now ask for something else.

    The label AUTO keeps in place of which ports and which subnet others were chosen; null for none.
    """
    before = json.loads(present.client.labels.get(AUTO, "{}")) if present else {}
    ports, subnet = spec.ports.model_dump(), str(spec.network.pool)
    if present and spec.network.pool == present.spec.network.pool:
        subnet = before.get("subnet") or subnet
    auto_ports = options.auto_ports or before.get("ports") == ports
    auto_subnet = before.get("subnet") == subnet if options.auto_subnet is None else options.auto_subnet
    chosen = {"ports": ports if auto_ports else None, "subnet": subnet if auto_subnet else None}
    labels = {**options.labels, AUTO: json.dumps(chosen)}
    return replace(options, auto_ports=auto_ports, auto_subnet=auto_subnet, labels=labels)


def _require_room(engine: Engine, others: Iterable[Engine], spec: Spec, options: Options) -> None:
    """Raises NotAvailable, as making it would, where ports or the subnet are another's, before a lab goes for it."""
    if not options.auto_ports:
        create.require_free_ports(engine, list(spec.ports.model_dump().values()), spec.name)
    if not options.auto_subnet and spec.network.subnet != "auto":
        for one in (engine, *others):
            network.require_free_subnet(one, spec.network.pool, network_name(spec.name))


def _others(engine: Engine, spec: Spec) -> dict[str, Engine]:
    """Docker context -> engine, of the nodes that name one. Raises BadInput if two of a lab's are the same engine."""
    others = {context: Engine.connect(context) for context in sorted(spec.contexts)}
    if len({engine.identity, *(other.identity for other in others.values())}) <= len(others):
        raise BadInput(
            f"nodes.*.engine: {' and '.join(others)} and the engine of the rest of the lab ({engine.where}) must all be"
            f" different engines; leave `engine` out for nodes that run there"
        )
    return others


def _make_somewhere(host: Host, others: Mapping[str, Host], spec: Spec, options: Options, progress: Progress) -> Lab:
    """On the spec's subnet, or with `auto` on one that is free on all engines; somebody else may take that at the same
    moment, on the one or the other."""
    if not options.auto_subnet and spec.network.subnet != "auto":
        return make(host, others, spec, options, progress)
    engines = [other.engine for other in others.values()]
    for _ in range(SUBNET_TRIES):
        try:
            free = network.free_subnet(host.engine, spec.network.pool, engines)
            return make(host, others, spec.on_subnet(free), options, progress)
        except network.SubnetTaken as error:
            taken = error
            _remove_all(host.engine, engines, spec.name, progress)  # what came before it is on that subnet
    raise taken


def is_bare(lab: Lab) -> bool:
    """Whether it came up without labkit's configuration of Heartbeat."""
    return lab.client.labels[BARE] == "yes"


def _is(lab: Lab, spec: Spec, digests: dict[str, str], options: Options) -> bool:
    """Whether the lab that is up is the one asked for, and all of it runs."""
    asked = spec.on_subnet(lab.spec.network.pool) if options.auto_subnet or spec.network.subnet == "auto" else spec
    same = lab.spec == asked and lab.client.labels.get(SERVICE, "") == service.digest(spec)
    return same and lab.images() == digests and is_bare(lab) == options.bare and lab.whole


def find(engine: Engine, name: str) -> Lab | None:
    """The lab of that name, from the labels alone; None if there is none, or if parts of it are missing."""
    parts: dict[str, list[Container]] = {}
    for container in create.find_containers(engine, name):
        if GUEST not in container.labels:
            parts.setdefault(container.role, []).append(container)
    clients, gateways, found = (parts.get(role, []) for role in ("client", "gateway", "node"))
    if len(clients) != 1 or len(gateways) != 1:
        return None
    about = clients[0].labels
    try:
        spec = Spec.model_validate(json.loads(about[SPEC]))
    except ValueError:
        return None  # made by another version; up and gc replace it
    engines = {context: Engine.connect(context) for context in spec.contexts}
    elsewhere = {node: engines[of.engine] for node, of in spec.nodes.items() if of.engine}
    there = (container for other in engines.values() for container in create.find_containers(other, name))
    found += [container for container in there if container.labels.get(GUEST) == engine.identity]
    by_name = {container.host_name: container for container in found}
    if set(by_name) != set(spec.nodes):
        return None
    nodes = {node: by_name[node] for node in spec.nodes}
    return Lab(
        engine,
        spec,
        about[PLATFORM],
        about[NETWORK],
        about[GRANT],
        nodes,
        clients[0],
        gateways[0],
        elsewhere=elsewhere,
    )


def require(engine: Engine, name: str) -> Lab:
    """Like find(), but raises NotAvailable where there is none, or where parts of it are missing."""
    lab = find(engine, name)
    if lab is None:
        there = "parts of the lab {!r} are missing" if leftovers(engine, name) else "no lab {!r} is up"
        raise NotAvailable(f"{there.format(name)}; `labkit up` starts it")
    return lab


def resume(lab: Lab) -> None:
    """Starts what of a lab has stopped, as after a reboot of the engine's host, with all that is on its nodes."""
    if not any(part.state() in ("running", "paused") for part in (*lab.nodes.values(), lab.client, lab.gateway)):
        network.restore(lab.engine, lab.client.image, lab.name)
    for part in (lab.client, lab.gateway):
        part.start()
    for name in lab.nodes:
        lab.start(name)
    for name, node in lab.spec.nodes.items():
        lab.await_page(str(node.address), f"{name} serves its own page")
    open_doors(lab)


def remove(engine: Engine, name: str | None, progress: Progress) -> list[Leftover]:
    """Removes everything with the lab's label, and with None with any lab's. Returns what was removed.

    Nothing but labels is needed: no file, no earlier success. The client's lead to what a lab has on other engines.
    What another user made stays, and so do labs of that name whose own engine is another one. Raises NotAvailable, with
    nothing removed, where one of the other engines does not answer.
    """
    contexts = _contexts(create.find_containers(engine, name))
    others = [_connect_to_remove(context, name) for context in sorted(contexts)] if name else []
    guests = _remove_guests(engine, others, name, progress) if name else []
    return [*guests, *_remove_here(engine, name, progress)]


def _connect_to_remove(context: str, name: str) -> Engine:
    try:
        return Engine.connect(context)
    except NotAvailable as error:
        raise NotAvailable(
            f"a part of the lab {name!r} is on the engine of the Docker context {context!r}, and nothing is removed,"
            f" because there is no way to it now; if it is gone for good, `labkit gc --name {name}` removes what is"
            f" here\n({error})"
        ) from error


def _remove_here(engine: Engine, name: str | None, progress: Progress) -> list[Leftover]:
    found = [one for one in leftovers(engine, name) if one.is_ours and not one.guest_of]
    clear(engine, found, progress)
    return found


def _remove_guests(engine: Engine, others: Iterable[Engine], name: str, progress: Progress) -> list[Leftover]:
    """Removes what a lab of `engine` has on others."""
    removed = []
    for other in others:
        found = [one for one in _guests_of(engine, other, name) if one.is_ours]
        clear(other, found, progress)
        removed += found
    return removed


def _guests_of(engine: Engine, other: Engine, name: str) -> list[Leftover]:
    return [one for one in _in_engine(other, name) if one.guest_of == engine.identity]


def _remove_all(engine: Engine, others: Iterable[Engine], name: str, progress: Progress) -> None:
    """Removes what was made of a lab whose parts do not lead to each other yet. Says so where an engine does not let
    it, and goes on, for there is an error already that tells more."""
    for each in (engine, *others):
        try:
            if each is engine:
                _remove_here(engine, name, Silent())
            else:
                _remove_guests(engine, [each], name, Silent())
        except NotAvailable as error:
            progress.step(
                f"what is on the engine at {each.where} stays until `labkit gc --name {name}` with that engine's Docker"
                f" context ({error})"
            )


def _contexts(containers: list[Container]) -> set[str]:
    """The Docker contexts of the other engines that these containers' labs are on."""
    told = [json.loads(one.labels[SPEC]) for one in containers if SPEC in one.labels]
    return {node["engine"] for spec in told for node in spec.get("nodes", {}).values() if node.get("engine")}


def clear(engine: Engine, found: list[Leftover], progress: Progress) -> None:
    """Removes what was found; what is gone by now is no error."""
    if not found:
        return
    progress.step(f"removing {', '.join(one.name for one in found)}")
    of_kind: dict[str, list[str]] = {}
    for one in found:
        of_kind.setdefault(one.kind, []).append(one.name)
    with ThreadPoolExecutor() as pool:
        list(pool.map(partial(create.remove_container, engine), of_kind.get("container", ())))
    for name in of_kind.get("network", ()):
        network.remove_network(engine, name)
    for name in of_kind.get("volume", ()):
        create.remove_volume(engine, name)
    network.remove_links(engine, helper_image(engine), of_kind.get("host link", ()))
    for name in of_kind.get("folder", ()):
        access.forget(name)


def leftovers(engine: Engine, name: str | None, spare_whole_labs: bool = False) -> list[Leftover]:
    """Everything with the lab's label, or with None with any lab's.

    spare_whole_labs: leaves out labs that are up with all their parts running, so that what remains was left by a
    command that was killed, or belongs to one that is at work this very moment.
    """
    image = helper_image(engine)  # without any of labkit's images no link was ever made
    found = [
        *_in_engine(engine, name),
        *(network.host_links(engine, image, name) if image else ()),
        *access.folders(name, engine.identity),
    ]
    if spare_whole_labs:
        found = [one for one in found if not one.guest_of]  # their own engines' gc knows of them
        whole = {lab: _is_whole(engine, lab) for lab in {one.lab for one in found}}
        found = [one for one in found if not whole[one.lab]]
    return found


def guests(engine: Engine, name: str, progress: Progress) -> list[tuple[Engine, list[Leftover]]]:
    """What a lab has on other engines, by its client's labels. One that does not answer is said, and left out."""
    found = []
    for context in sorted(_contexts(create.find_containers(engine, name))):
        try:
            other = Engine.connect(context)
            found.append((other, _guests_of(engine, other, name)))
        except NotAvailable as error:
            progress.step(f"what the lab {name!r} has on the engine of the context {context!r} stays: {error}")
    return found


def _in_engine(engine: Engine, name: str | None) -> list[Leftover]:
    """What the engine itself has of a lab, or with None of any."""
    containers = create.find_containers(engine, name)
    return [
        *(
            Leftover("container", one.name, one.labels[LABEL], one.labels.get(USER, ""), one.labels.get(GUEST, ""))
            for one in containers
        ),
        *network.find_networks(engine, name),
        *create.find_volumes(engine, name),
    ]


def _is_whole(engine: Engine, name: str) -> bool:
    """Whether a lab is up with all its parts running; in doubt it is, where another engine of its is out of reach."""
    try:
        lab = find(engine, name)
    except NotAvailable:
        return True
    return lab is not None and lab.whole


def helper_image(engine: Engine) -> str:
    """Any of labkit's client images, for short-lived helpers; empty where none is built."""
    return next(iter(images.built(engine, "client")), "")
