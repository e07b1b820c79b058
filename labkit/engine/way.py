"""Which engine is meant, and the way to it: DOCKER_HOST, a Docker context, and for ssh:// a tunnel of our own.

The SDK's own reader of contexts finds none where Docker has no config.json, which `docker context create` does not
write, and takes no certificate of the server alone. Its ssh transport cannot end the input of a command and go on
reading its output, which the probe needs. So the `ssh` of this host brings the engine's socket to one of ours, and to
the SDK every engine by SSH is a local one.
"""

import hashlib
import json
import os
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import docker
import docker.errors
from docker.tls import TLSConfig

from labkit.errors import NotAvailable

DEFAULT_CONTEXT = "default"
DEFAULT = "unix:///var/run/docker.sock"
SSH, UNIX = "ssh://", "unix://"
SSH_ANSWERS_S = 20
# $0: the folder of our socket, which goes away with the tunnel, however labkit ends.
SSH_AND_SWEEP = 'ssh "$@"; rm -rf "$0"'
SSH_OPTIONS = (
    *("-T", "-o", "LogLevel=ERROR", "-o", f"ConnectTimeout={SSH_ANSWERS_S}"),
    *("-o", "BatchMode=yes"),  # a question would disturb the output, and nobody may be there to answer
    *("-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes"),  # a shared connection would keep the tunnel for ever
)


@dataclass(frozen=True)
class Way:
    """where: the engine's address as its user gave it; address: what the SDK connects to; tls: as the SDK takes it.

    options: by which the docker command finds the same engine while we live. tunnel: the process that keeps it.
    """

    where: str
    address: str
    tls: Any
    options: tuple[str, ...]
    tunnel: "subprocess.Popen[bytes] | None" = None

    @property
    def shares_loopback(self) -> bool:
        """Whether the engine's 127.0.0.1 is ours. False in doubt, for then nothing relies on it."""
        return self.where.startswith("npipe://") or (
            self.where.startswith(UNIX) and _listens_here(self.where.removeprefix(UNIX))
        )

    def trouble(self) -> str:
        """What ssh has said, for errors; empty for nothing, and without a tunnel."""
        if self.tunnel is None or self.tunnel.stderr is None:
            return ""
        os.set_blocking(self.tunnel.stderr.fileno(), False)
        return (self.tunnel.stderr.read() or b"").decode("utf-8", "replace").strip()

    def forwarding(self, ports: Iterable[int]) -> str | None:
        """The command that brings ports of the engine's 127.0.0.1 to ours; None if the engine has no host name."""
        host = " ".join(ssh_host(self.where)) if self.where.startswith(SSH) else urlsplit(self.where).hostname
        return f"ssh -N {' '.join(f'-L {port}:127.0.0.1:{port}' for port in ports)} {host}" if host else None


def find(context: str | None = None) -> Way:
    """The engine of that Docker context; by default that of DOCKER_HOST if it is set, else of the context that
    DOCKER_CONTEXT or Docker's own configuration names. Raises NotAvailable where there is no such context, or no way.
    """
    host = os.environ.get("DOCKER_HOST") if context is None else None
    try:
        if host:
            return _opened(host, _tls_of_environment(), ("--host", host))
        name = context or os.environ.get("DOCKER_CONTEXT") or _current_context()
        if name == DEFAULT_CONTEXT:
            return _opened(DEFAULT, False, ("--context", name))
        return _opened(*_context(name), ("--context", name))
    except (docker.errors.DockerException, OSError, ValueError) as error:
        raise NotAvailable(f"no way to the Docker engine{f' {host}' if host else ''}: {error}") from error


def _docker_folder() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _current_context() -> str:
    config = _docker_folder() / "config.json"
    there = json.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
    return str(there.get("currentContext") or DEFAULT_CONTEXT)


def _context(name: str) -> "tuple[str, TLSConfig | Literal[False]]":
    """Address and TLS of a Docker context, from where the docker command keeps them. Raises NotAvailable for none."""
    place = hashlib.sha256(name.encode()).hexdigest()
    contexts = _docker_folder() / "contexts"
    try:
        about = json.loads((contexts / "meta" / place / "meta.json").read_text(encoding="utf-8"))["Endpoints"]["docker"]
    except (FileNotFoundError, KeyError) as error:
        raise NotAvailable(f"there is no Docker context {name!r}; `docker context ls` lists them") from error
    certificates = contexts / "tls" / place / "docker"
    return about.get("Host") or DEFAULT, (
        _tls(certificates, not about.get("SkipTLSVerify")) if certificates.is_dir() else False
    )


def _tls_of_environment() -> "TLSConfig | Literal[False]":
    verify, folder = (os.environ.get(name) for name in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"))
    return _tls(Path(folder) if folder else _docker_folder(), bool(verify)) if verify or folder else False


def _tls(folder: Path, verify: bool) -> TLSConfig:
    """From the files that Docker keeps in such a folder, those of them that are there."""
    ca, cert, key = (
        str(path) if path.exists() else None for path in (folder / f"{kind}.pem" for kind in ("ca", "cert", "key"))
    )
    return _Tls(client_cert=(cert, key) if cert and key else None, ca_cert=ca, verify=verify)


class _Tls(TLSConfig):
    def configure_client(self, client: docker.APIClient) -> None:
        super().configure_client(client)
        client.trust_env = False  # REQUESTS_CA_BUNDLE would take the place of the engine's own CA


def ssh_host(url: str) -> list[str]:
    """The arguments by which ssh finds the host of an address such as ssh://ana@server:2222. Raises ValueError."""
    parts = urlsplit(url)
    if not parts.hostname or parts.hostname.startswith("-") or (parts.username or "").startswith("-"):
        raise ValueError(f"{url!r} names no host; write ssh://USER@HOST")
    at = parts.netloc.lower().rindex(parts.hostname)
    host = parts.netloc[at : at + len(parts.hostname)]  # as it was written: it may be a name of the user's own for ssh
    port = ["-p", str(parts.port)] if parts.port else []
    return [*port, f"{parts.username}@{host}" if parts.username else host]


def _opened(where: str, tls: Any, options: tuple[str, ...]) -> Way:
    if not where.startswith(SSH):
        return Way(where, where, tls, options)
    address, tunnel = _tunnel(where)
    return Way(where, address, False, ("--host", address), tunnel)


@cache
def _tunnel(where: str) -> "tuple[str, subprocess.Popen[bytes]]":
    """A socket of ours that leads to the engine's, and the process that keeps it, until we end: it ends with its
    standard input. Raises NotAvailable with what ssh says."""
    theirs = urlsplit(where).path.rstrip("/") or DEFAULT.removeprefix(UNIX)
    host = ssh_host(where)
    folder = tempfile.mkdtemp(prefix="labkit-")
    ours = f"{folder}/docker.sock"
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        ["sh", "-c", SSH_AND_SWEEP, folder, *SSH_OPTIONS, "-L", f"{ours}:{theirs}", *host, "cat"],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        bufsize=0,
        start_new_session=True,  # Ctrl-C is for labkit, which still needs the engine to clean up
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    if not process.stdout.read(1):  # ssh forwards before it runs the command, so an echo means that the way is open
        _, said = process.communicate()
        told = said.decode("utf-8", "replace").strip()
        raise NotAvailable(
            f"no way to the Docker engine {where}: {told}\n`ssh {' '.join(host)} true` must work without a question:"
            f" put the key into ssh-agent, and log in once by hand to accept the host's key"
        )
    return f"{UNIX}{ours}", process


def _listens_here(path: str) -> bool:
    """Whether whoever listens on a socket file is in our network namespace, as far as we may look."""
    if not hasattr(socket, "SO_PEERCRED") or not Path("/proc/self/ns/net").exists():
        return True  # no Linux: Docker Desktop, which brings the ports here
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        process, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if process == 0:
        return False  # it is none of the processes that we can see: we are in a container, and the engine is outside
    try:
        return os.readlink(f"/proc/{process}/ns/net") == os.readlink("/proc/self/ns/net")
    except OSError:
        return True  # an ordinary user, for whom the engine is root's
