"""SSH into the nodes: a key of the lab's own, and a configuration that pins the nodes' host keys.

Where the engine's 127.0.0.1 is not ours, the way there is part of the configuration: through the ssh that leads to the
engine's host, or through the engine itself, by the docker command.
"""

import os
import shlex
import shutil
import tempfile
from pathlib import Path

from labkit.engine import Container, Engine, Leftover, Placed
from labkit.engine.way import SSH, ssh_host
from labkit.language import Text
from labkit.resources import state_dir

KEY_IN_CLIENT = "/root/.ssh/id_ed25519"
AUTHORIZED = "/root/.ssh/authorized_keys"
ELSEWHERE = Text(
    "these ports are those of the engine's host ({where})", "estos puertos son los de la máquina del motor ({where})"
)


def folder(lab: str, engine: str) -> Path:
    """Where a lab's key and SSH configuration lie on this machine. engine: its identity."""
    return state_dir() / f"{lab}@{engine}"


def make_key(client: Container, nodes: dict[str, Container]) -> None:
    """Makes the lab's key in the client and lets it into the nodes. Needs the client running, the nodes created."""
    client.must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "labkit", "-f", KEY_IN_CLIENT)
    public = client.get(KEY_IN_CLIENT + ".pub")
    for node in nodes.values():
        node.put([Placed(AUTHORIZED, public, 0o600)])


def write_config(
    engine: Engine, lab: str, client: Container, gateway: Container, nodes: dict[str, Container], ports: dict[str, int]
) -> Path:
    """Writes key, known hosts and ssh_config for this user; returns the ssh_config.

    ports: node -> the gateway's port for it. Needs the nodes running, for their host keys.
    """
    place = folder(lab, engine.identity)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    key, known, config = place / "id_ed25519", place / "known_hosts", place / "ssh_config"
    _write(key, client.get(KEY_IN_CLIENT))
    outside = gateway.published()
    hosts, sections = [], []
    for name, node in nodes.items():
        kind, public = node.get("/etc/ssh/ssh_host_ed25519_key.pub").decode().split()[:2]
        hosts.append(f"{name} {kind} {public}\n")
        port = ports[name]
        sections.append(
            f"Host {name}\n  HostName 127.0.0.1\n  Port {outside.get(port, port)}\n{_way(engine, gateway, port)}"
            f"  HostKeyAlias {name}\n  User root\n  IdentityFile {key}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n  StrictHostKeyChecking yes\n"
        )
    _write(known, "".join(hosts).encode())
    _write(config, "".join(sections).encode())
    return config


def _write(path: Path, content: bytes) -> None:
    """For this user alone, and at once: an ssh that starts this moment reads the old file or the new one."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as new:
        new.write(content)
    os.replace(new.name, path)


def _way(engine: Engine, gateway: Container, port: int) -> str:
    """The line that brings ssh to a port of the gateway where the engine's 127.0.0.1 is not ours; empty where it is."""
    if engine.is_local:
        return ""
    if engine.where.startswith(SSH):  # not ProxyJump, which would not read the user's own configuration
        return f"  ProxyCommand ssh -W %h:%p {shlex.join(ssh_host(engine.where))}\n"
    docker = ["docker", *engine.way.options, "exec", "-i", gateway.name, "socat", "-", f"TCP:127.0.0.1:{port}"]
    return f"  ProxyCommand {shlex.join(docker)}\n"


def remark(engine: Engine) -> Text | None:
    """Where the gateway's published ports are; None where they are here."""
    return None if engine.is_local else ELSEWHERE.filled(where=engine.where)


def folders(lab: str | None, engine: str) -> list[Leftover]:
    """The lab's folder, or with None those of all labs of that engine, and what a killed build left beside them."""
    there = sorted(state_dir().iterdir()) if state_dir().is_dir() else []
    ours = [(place, *place.name.rpartition("@")[::2]) for place in there]
    return [
        Leftover("folder", str(place), name or place.name)
        for place, name, where in ours
        if (where == engine and lab in (None, name)) or (lab is None and place.name.startswith("."))
    ]


def forget(path: str) -> None:
    """Removes such a folder."""
    shutil.rmtree(path, ignore_errors=True)
