"""A second Docker engine, in a network namespace of its own: another host as far as an engine can tell, whose
127.0.0.1, links and firewall are not this host's. A cable leads there, and TLS. It takes root, and the engine's own
programs."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from labkit.engine import Engine
from labkit.timing import wait_until

STARTS_S = 120.0


PROGRAMS = ("dockerd", "docker", "ip", "nsenter", "openssl")


def can_run() -> bool:
    """Whether such an engine can be started here."""
    return os.geteuid() == 0 and all(map(shutil.which, PROGRAMS))


takes_one = pytest.mark.skipif(not can_run(), reason=f"a second engine takes root, and {', '.join(PROGRAMS)}")


class SecondEngine:
    """dockerd with everything of its own under one folder.

    url: what DOCKER_HOST has to be on this machine; netns: the name of its namespace. address: where it is on the
    cable; tcp: what DOCKER_HOST has to be elsewhere, with the certificate, for either side, of certificates/.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.netns = f"lkt{secrets.token_hex(3)}"
        self.url = f"unix://{folder}/docker.sock"
        self.certificates = folder / "certificates"
        net = f"198.18.{secrets.randbelow(256)}.{4 * secrets.randbelow(64)}"  # addresses that are set aside for tests
        self._here, self.address = (str(IPv4Address(net) + number) for number in (1, 2))
        self.tcp = f"tcp://{self.address}:2376"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers; fails with the end of its log if it does not."""
        options = {
            "--data-root": self.folder / "data",
            "--exec-root": self.folder / "exec",
            "--pidfile": self.folder / "pid",
            "--tlscacert": self.certificates / "ca.pem",
            "--tlscert": self.certificates / "cert.pem",
            "--tlskey": self.certificates / "key.pem",
        }
        hosts = ("--tlsverify", f"--host={self.url}", f"--host={self.tcp}")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "nsenter",
                    f"--net=/var/run/netns/{self.netns}",
                    "dockerd",
                    *(f"{k}={v}" for k, v in options.items()),
                    *hosts,
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C of the tests is none to it
            )
        wait_until(self._answers, bool, STARTS_S, "the second engine answers", self._tail)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it and waits for its end; with SIGTERM its containers are stopped, with SIGKILL they run on."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(STARTS_S)
        self._process = None
        containerd = self.folder / "exec/containerd/containerd.pid"
        if containerd.exists():  # what a killed engine leaves, in whose way the next one would be
            with suppress(ProcessLookupError):
                os.kill(int(containerd.read_text()), signal.SIGKILL)
            containerd.unlink()
            (self.folder / "pid").unlink(missing_ok=True)

    def plug_in(self) -> None:
        """Lays the cable from this machine's namespace to the engine's, and makes the certificate for its address."""
        here, there = f"{self.netns}h", f"{self.netns}e"
        for command in (
            f"ip link add {here} type veth peer name {there} netns {self.netns}",
            f"ip address add {self._here}/30 dev {here}",
            f"ip link set {here} up",
            f"ip -n {self.netns} address add {self.address}/30 dev {there}",
            f"ip -n {self.netns} link set {there} up",
            f"ip -n {self.netns} link set lo up",
        ):
            subprocess.run(command.split(), check=True)
        self.certificates.mkdir()
        ca, cert, key = (self.certificates / f"{name}.pem" for name in ("ca", "cert", "key"))
        made = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=labkit -keyout {key} -out {cert}"
        subprocess.run(
            [*made.split(), "-addext", f"subjectAltName=IP:{self.address}"], check=True, stderr=subprocess.DEVNULL
        )
        shutil.copy(cert, ca)

    def end(self) -> None:
        """Stops it for good. On a busy machine it would not wait long enough for its containers."""
        with self.client() as client:
            for one in client.containers.list(all=True, ignore_removed=True):
                one.remove(force=True)
        self.stop()

    @contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        """A connection, closed afterwards."""
        client = docker.DockerClient(base_url=self.url, timeout=120)
        try:
            yield client
        finally:
            client.close()

    def inside(self, *command: str) -> str:
        """What a command prints that runs in the engine's network namespace."""
        return subprocess.run(
            ["ip", "netns", "exec", self.netns, *command], check=True, capture_output=True, text=True
        ).stdout

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _tail(self) -> str:
        return self._log.read_text()[-2000:]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the second engine ended:\n{self._tail()}"
        try:
            with self.client() as client:
                return bool(client.ping())
        except docker.errors.DockerException:
            return False


@contextmanager
def second_engine(folder: Path, source: Engine) -> Iterator[SecondEngine]:
    """A running second engine with the images of labkit that `source` has. Afterwards nothing of it is left."""
    engine = SecondEngine(folder)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ip", "netns", "add", engine.netns], check=True)
    try:
        engine.plug_in()
        engine.start()
        try:
            _copy_images(source, engine)
            yield engine
        finally:
            engine.end()
    finally:
        subprocess.run(["ip", "netns", "delete", engine.netns], check=True)
        for mount in reversed(_mounts(folder)):
            subprocess.run(["umount", mount], check=True)
        shutil.rmtree(folder)


@contextmanager
def shared_network(*hosts: SecondEngine) -> Iterator[str]:
    """A switch with a port for each of the hosts; the name of the interface that they have there."""
    switch, link = f"lkt{secrets.token_hex(3)}", "lan0"
    # In a namespace of its own, because the rules of this machine's firewall hold for its bridges, too.
    subprocess.run(["ip", "netns", "add", switch], check=True)
    try:
        inside = ["ip", "-n", switch, "link"]
        subprocess.run([*inside, "add", "switch", "type", "bridge"], check=True)
        subprocess.run([*inside, "set", "switch", "up"], check=True)
        for number, host in enumerate(hosts):
            port = f"port{number}"
            peer = ["peer", "name", link, "netns", host.netns]
            subprocess.run([*inside, "add", port, "type", "veth", *peer], check=True)
            subprocess.run([*inside, "set", port, "master", "switch", "up"], check=True)
            host.inside("ip", "link", "set", link, "up")
        yield link
    finally:
        subprocess.run(["ip", "netns", "delete", switch], check=True)


def _copy_images(source: Engine, to: SecondEngine) -> None:
    with to.client() as client:
        for image in source.client.images.list("labkit/*"):
            for tag in image.tags:
                if "/browser:" not in tag:  # big, and no test needs it there
                    stream: Any = image.save(named=tag)  # load() takes pieces, but its types do not say so
                    client.images.load(stream)


def _mounts(folder: Path) -> list[str]:
    points = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return [point for point in points if point.startswith(f"{folder}/")]
