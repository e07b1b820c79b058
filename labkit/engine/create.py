"""Creating the containers and networks of a lab."""

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import docker.errors
from docker.types import Ulimit

from labkit.engine.client import LABEL, USER, Engine, Leftover, translated
from labkit.engine.container import Container
from labkit.errors import NotAvailable

LOOPBACK = "127.0.0.1"
CPU_PERIOD_US = 100_000  # the engine's own default: a limit is kept over each tenth of a second


def container(
    engine: Engine,
    image: str,
    name: str,
    network: str,
    address: str | None,
    labels: Mapping[str, str],
    hostname: str,
    command: Sequence[str] = (),
    entrypoint: Sequence[str] = (),
    ports: Mapping[int | str, Any] | None = None,
    hidden: Sequence[str] = (),
    read_only: Sequence[str] = (),
    watched: bool = True,
    **options: Any,
) -> Container:
    """A container on one network, created and not started. address: its address there; None lets the engine choose.

    entrypoint: in place of the image's. ports: see loopback(). hidden, read_only: paths in it, in place of the engine's
    own choice; those that do not exist do not matter. watched: the engine looks after its health. options: as
    docker-py's create_host_config() takes them.
    Raises NotAvailable, with the reason, if the engine refuses.
    """
    with translated(f"creating {name}"):
        api = engine.client.api
        place: Any = {network: api.create_endpoint_config(ipv4_address=address)}
        host = api.create_host_config(network_mode=network, port_bindings=ports or {}, **options)
        # The SDK has no words for these two.
        host |= {key: list(paths) for key, paths in (("MaskedPaths", hidden), ("ReadonlyPaths", read_only)) if paths}
        made = api.create_container(
            image,
            list(command) or None,
            name=name,
            hostname=hostname,
            labels=dict(labels),
            entrypoint=list(entrypoint) or None,
            ports=[tuple(str(port).split("/")) for port in ports or ()],
            healthcheck=None if watched else {"test": ["NONE"]},
            host_config=host,
            networking_config=api.create_networking_config(place),
        )
        return Container(engine.client.containers.get(made["Id"]))


def find_containers(engine: Engine, lab: str | None) -> list[Container]:
    """All containers of a lab, running or not; with None those of all labs."""
    with translated("listing containers"):
        found = engine.client.containers.list(all=True, filters=engine.filters(lab), ignore_removed=True)
    return [Container(one) for one in found]


def remove_container(engine: Engine, name: str) -> None:
    """Ends and removes it; it may be gone already."""
    with translated(f"removing {name}"), suppress(docker.errors.NotFound):
        Container(engine.client.containers.get(name)).remove()


def find_volumes(engine: Engine, lab: str | None) -> list[Leftover]:
    """The volumes of one lab or of all: plain Compose makes one."""
    with translated("listing volumes"):
        found = engine.client.volumes.list(filters=engine.filters(lab))
    labels = ((one.name, one.attrs["Labels"]) for one in found)
    return [Leftover("volume", str(name), there[LABEL], there.get(USER, "")) for name, there in labels]


def remove_volume(engine: Engine, name: str) -> None:
    """Removes it; it may be gone already."""
    with translated(f"removing the volume {name}"), suppress(docker.errors.NotFound):
        engine.client.volumes.get(name).remove()


def join(engine: Engine, network: str, joined: Container, address: str) -> None:
    """Gives a container a second network, with a fixed address there."""
    with translated(f"joining {joined.name} to {network}"):
        engine.client.networks.get(network).connect(joined.sdk, ipv4_address=address)


def loopback(ports: Mapping[int, int | None]) -> dict[int | str, Any]:
    """The engine's option that publishes container ports on 127.0.0.1; a None there lets the engine choose."""
    return {f"{inside}/tcp": (LOOPBACK, outside) for inside, outside in ports.items()}


def descriptors(most: int) -> Ulimit:
    """The engine's option for the number of open files of a process."""
    return Ulimit(name="nofile", soft=most, hard=most)


def limits(engine: Engine, cpus: float, memory_mib: int) -> dict[str, Any]:
    """The engine's options for a node's limits, no more than its host has."""
    return {**cpu_limit(engine, cpus), "mem_limit": f"{memory_mib}m"}


def cpu_limit(engine: Engine, cpus: float) -> dict[str, int]:
    """The engine's options for so many CPUs; unlike `nano_cpus` these can be changed while the container runs."""
    return {"cpu_period": CPU_PERIOD_US, "cpu_quota": int(min(cpus, engine.facts.cpus) * CPU_PERIOD_US)}


def require_free_ports(engine: Engine, ports: Sequence[int], but_for: str = "") -> None:
    """Raises NotAvailable naming each port of the engine's host that is taken, and by whom.

    but_for: a lab whose own ports do not count.
    """
    if taken := taken_ports(engine, ports, but_for):
        listed = ", ".join(f"{LOOPBACK}:{port} (by {holder})" for port, holder in taken.items())
        raise NotAvailable(f"ports are taken: {listed}; change `ports` in lab.yaml, or use `--ports auto`")


def taken_ports(engine: Engine, ports: Sequence[int], but_for: str = "") -> dict[int, str]:
    """Those of these ports that are taken on the engine's host, and by whom; but_for: see above."""
    with translated("listing containers"):
        running = engine.client.containers.list(ignore_removed=True)
    holders: dict[int, str] = {}
    for one in running:
        for bindings in (one.attrs["NetworkSettings"]["Ports"] or {}).values():
            holders.update({int(binding["HostPort"]): str(one.name) for binding in bindings or ()})
    ours = {f"labkit-{but_for}_gateway"}
    taken = {port: f"the container {holders[port]}" for port in ports if holders.get(port, "") not in {"", *ours}}
    if engine.is_local:
        others = (port for port in ports if port not in holders and not _can_listen(port))
        taken.update(dict.fromkeys(others, "another program on this host"))
    return taken


def _can_listen(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
