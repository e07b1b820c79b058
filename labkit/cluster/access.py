"""SSH into the nodes: a key of the lab's own, and a configuration that pins the nodes' host keys."""

import shutil
from pathlib import Path

from labkit.engine import Container, Leftover, Placed
from labkit.resources import state_dir

KEY_IN_CLIENT = "/root/.ssh/id_ed25519"
AUTHORIZED = "/root/.ssh/authorized_keys"


def folder(lab: str) -> Path:
    """Where a lab's key and SSH configuration lie on this machine."""
    return state_dir() / lab


def make_key(client: Container, nodes: dict[str, Container]) -> None:
    """Makes the lab's key in the client and lets it into the nodes. Needs the client running, the nodes created."""
    client.must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "labkit", "-f", KEY_IN_CLIENT)
    public = client.get(KEY_IN_CLIENT + ".pub")
    for node in nodes.values():
        node.put([Placed(AUTHORIZED, public, 0o600)])


def write_config(lab: str, client: Container, nodes: dict[str, Container], ports: dict[str, int]) -> Path:
    """Writes key, known hosts and ssh_config for this user; returns the ssh_config.

    ports: node -> port on 127.0.0.1. Needs the nodes running, for their host keys.
    """
    place = folder(lab)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    key, known, config = place / "id_ed25519", place / "known_hosts", place / "ssh_config"
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)
    key.write_bytes(client.get(KEY_IN_CLIENT))
    hosts, sections = [], []
    for name, node in nodes.items():
        port = ports[name]
        kind, public = node.get("/etc/ssh/ssh_host_ed25519_key.pub").decode().split()[:2]
        hosts.append(f"[127.0.0.1]:{port} {kind} {public}\n")
        sections.append(
            f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  User root\n  IdentityFile {key}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n  StrictHostKeyChecking yes\n"
        )
    known.write_text("".join(hosts))
    config.write_text("".join(sections))
    return config


def folders(lab: str | None) -> list[Leftover]:
    """The lab's folder, or with None every lab's, and what a killed build left beside them."""
    there = sorted(state_dir().iterdir()) if state_dir().is_dir() else []
    return [Leftover("folder", str(place), place.name) for place in there if lab in (None, place.name)]


def forget(path: str) -> None:
    """Removes such a folder."""
    shutil.rmtree(path, ignore_errors=True)
