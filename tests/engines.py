"""A second Docker engine, in a network namespace of its own: another host as far as an engine can tell, whose
127.0.0.1, links and firewall are not this host's. It takes root, and the engine's own programs."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import docker.errors

from labkit.engine import Engine
from labkit.timing import wait_until

STARTS_S = 120.0


def can_run() -> bool:
    """Whether such an engine can be started here."""
    return os.geteuid() == 0 and all(map(shutil.which, ("dockerd", "ip", "nsenter")))


class SecondEngine:
    """dockerd with everything of its own under one folder.

    url: what DOCKER_HOST has to be; netns: the name of its namespace.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.netns = f"lkt{secrets.token_hex(3)}"
        self.url = f"unix://{folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers; fails with the end of its log if it does not."""
        options = {
            "--data-root": self.folder / "data",
            "--exec-root": self.folder / "exec",
            "--pidfile": self.folder / "pid",
            "--host": self.url,
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["nsenter", f"--net=/var/run/netns/{self.netns}", "dockerd", *(f"{k}={v}" for k, v in options.items())],
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
        engine.inside("ip", "link", "set", "lo", "up")
        engine.start()
        try:
            _copy_images(source, engine)
            yield engine
        finally:
            engine.stop()
    finally:
        subprocess.run(["ip", "netns", "delete", engine.netns], check=True)
        for mount in reversed(_mounts(folder)):
            subprocess.run(["umount", mount], check=True)
        shutil.rmtree(folder)


def _copy_images(source: Engine, to: SecondEngine) -> None:
    with to.client() as client:
        for image in source.client.images.list("labkit/*"):
            for tag in image.tags:
                if "/browser:" not in tag:  # big, and no test needs it there
                    client.images.load(image.save(named=tag))  # type: ignore[arg-type] # the stubs know no stream


def _mounts(folder: Path) -> list[str]:
    points = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return [point for point in points if point.startswith(f"{folder}/")]
