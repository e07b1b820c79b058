"""One container: its life, its files, commands in it, and processes that one talks with."""

import io
import json
import socket
import ssl
import struct
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import docker.errors
from docker.models.containers import Container as SdkContainer

from labkit.engine.client import ROLE, translated
from labkit.errors import LabkitError


class Done(NamedTuple):
    """A finished command: its exit code and its output, standard error included."""

    exit_code: int
    output: str


class Usage(NamedTuple):
    """CPU time that was used, for how long it was held back by the container's limit, and memory that is in use."""

    cpu_ns: int
    throttled_us: int
    memory_mib: float


class Placed(NamedTuple):
    """A file to put into a container: absolute path, content, permission bits. It will belong to root."""

    path: str
    content: bytes
    mode: int = 0o644


class Container:
    """A container of a lab."""

    def __init__(self, sdk: SdkContainer) -> None:
        self.sdk = sdk

    @property
    def name(self) -> str:
        return str(self.sdk.name)

    @property
    def host_name(self) -> str:
        """What `uname -n` says inside: for a node, its name in the cluster."""
        return str(self.sdk.attrs["Config"]["Hostname"])

    @property
    def role(self) -> str:
        return str(self.sdk.labels.get(ROLE, ""))

    @property
    def image(self) -> str:
        """Digest of the image that it was made from."""
        return str(self.sdk.attrs["Image"])

    @property
    def labels(self) -> Mapping[str, str]:
        return dict(self.sdk.labels)

    def inspect(self) -> dict[str, Any]:
        """Everything that the engine knows of it, fresh."""
        with translated(f"looking at {self.name}"):
            self.sdk.reload()
        return dict(self.sdk.attrs)

    def state(self) -> str:
        """created, running, paused, exited or dead; `gone` if somebody removed it."""
        with translated(f"looking at {self.name}"):
            try:
                self.sdk.reload()
            except docker.errors.NotFound:
                return "gone"
        return str(self.sdk.status)

    def mac(self, network: str) -> str:
        """MAC address on one of its networks; empty if it does not run, or was cut off from that network."""
        joined = self.inspect()["NetworkSettings"]["Networks"].get(network)
        return str(joined["MacAddress"]) if joined else ""

    def published(self) -> dict[int, int]:
        """Container port -> port on the engine host's 127.0.0.1."""
        ports = self.inspect()["NetworkSettings"]["Ports"] or {}
        return {int(port.split("/")[0]): int(there[0]["HostPort"]) for port, there in ports.items() if there}

    def start(self) -> None:
        with translated(f"starting {self.name}"):
            self.sdk.start()

    def kill(self) -> None:
        """Ends it as a power cut would."""
        with translated(f"killing {self.name}"):
            self.sdk.kill()

    def pause(self) -> None:
        """Freezes all its processes."""
        with translated(f"pausing {self.name}"):
            self.sdk.pause()

    def unpause(self) -> None:
        with translated(f"unpausing {self.name}"):
            self.sdk.unpause()

    def usage(self) -> Usage | None:
        """What it has used; None if it does not run."""
        assert self.sdk.client is not None
        with translated(f"asking what {self.name} has used"):
            told = self.sdk.client.api.stats(str(self.sdk.id), stream=False, one_shot=True)
        cpu, memory = told["cpu_stats"], told["memory_stats"]
        if "usage" not in memory:
            return None
        return Usage(
            cpu["cpu_usage"]["total_usage"],
            cpu["throttling_data"]["throttled_time"] // 1000,
            memory["usage"] / 2**20,
        )

    def limit_cpus(self, cpu_period: int, cpu_quota: int) -> None:
        """How much of the CPU it gets from now on: so many us in each period of so many us."""
        with translated(f"changing the limits of {self.name}"):
            self.sdk.update(cpu_period=cpu_period, cpu_quota=cpu_quota)

    def remove(self) -> None:
        """Ends and removes it with its anonymous volumes; it may be gone already."""
        with translated(f"removing {self.name}"):
            try:
                self.sdk.remove(force=True, v=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                if error.status_code != 409:  # somebody else is removing it this very moment
                    raise
                self.sdk.wait(condition="removed")

    def run(self, *command: str) -> Done:
        """Runs a command in it and waits for its end."""
        with translated(f"running {' '.join(command)} in {self.name}"):
            assert self.sdk.client is not None
            identity, stream = self._exec(*command)
            output = b"".join(piece for _, piece in _pieces(stream))
            _hang_up(stream)
            code = self.sdk.client.api.exec_inspect(identity)["ExitCode"]
        return Done(code if code is not None else -1, output.decode("utf-8", "replace"))

    def must(self, *command: str) -> str:
        """Like run(), but anything but exit code 0 is a LabkitError with the command, the code and the output."""
        done = self.run(*command)
        if done.exit_code != 0:
            raise LabkitError(
                f"`{' '.join(command)}` on {self.name} ended with exit code {done.exit_code}:\n{done.output.strip()}"
            )
        return done.output

    def ask(self, *command: str) -> Any:
        """The JSON that a command prints. Raises LabkitError if it prints something else."""
        output = self.must(*command)
        try:
            return json.loads(output)
        except ValueError as error:
            raise LabkitError(f"`{' '.join(command)}` on {self.name} did not print JSON: {output!r}") from error

    def put(self, files: Iterable[Placed]) -> None:
        """Writes files into it, whether it runs or not."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for file in files:
                entry = tarfile.TarInfo(file.path.lstrip("/"))
                entry.size, entry.mode, entry.mtime = len(file.content), file.mode, int(time.time())
                tar.addfile(entry, io.BytesIO(file.content))
        with translated(f"writing files into {self.name}"):
            self.sdk.put_archive("/", archive.getvalue())

    def get(self, path: str) -> bytes:
        """Content of one file of it, whether it runs or not. Raises LabkitError if there is none."""
        with translated(f"reading {path} in {self.name}"):
            pieces, _ = self.sdk.get_archive(path)
            archive = io.BytesIO(b"".join(pieces))
        with tarfile.open(fileobj=archive) as tar:
            file = tar.extractfile(tar.getmembers()[0])
            return b"" if file is None else file.read()

    def log_tail(self, lines: int = 15) -> str:
        """The end of its output."""
        with translated(f"reading the output of {self.name}"):
            told = self.sdk.logs(tail=lines, stream=False)
        assert isinstance(told, bytes)
        return told.decode("utf-8", "replace").rstrip()

    def follow(self, since: float) -> Iterator[str]:
        """Lines of its output from an instant (seconds since the epoch, engine's clock) until it stops."""
        rest = b""
        with translated(f"following the output of {self.name}"):
            for piece in self.sdk.logs(stream=True, follow=True, since=since):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line.decode("utf-8", "replace")

    def talk(self, *command: str, heard: Callable[[list[str]], None]) -> "Process":
        """Starts a command whose lines go to `heard` (on a thread of its own; those that came together, together) and
        which takes lines from send()."""
        with translated(f"starting {command[0]} in {self.name}"):
            _, stream = self._exec(*command, stdin=True)
        return Process(stream, heard, f"{command[0]} in {self.name}")

    def _exec(self, *command: str, stdin: bool = False) -> tuple[str, Any]:
        """Starts a command; its identity in the engine, and the stream to talk with it."""
        assert self.sdk.client is not None
        api = self.sdk.client.api
        identity = str(api.exec_create(self.sdk.id, list(command), stdin=stdin)["Id"])
        stream: Any = api.exec_start(identity, socket=True)
        getattr(stream, "_sock", stream).settimeout(None)  # a command may take as long as it likes
        return identity, stream


def _pieces(stream: Any) -> Iterator[tuple[int, bytes]]:
    """What a command says until its end: 1 for standard output or 2 for standard error, and some bytes.

    Read through the buffer of the engine's answer. The SDK reads the socket beneath it, and so loses what came in one
    packet with the answer's head: the whole output of one short command in several hundred on a busy host.
    """
    answer = stream._response.raw._fp.fp
    while len(head := answer.read(8)) == 8:
        kind, length = struct.unpack(">BxxxL", head)
        yield kind, answer.read(length)


def _hang_up(stream: Any) -> None:
    """Closes the connection, of which the SDK's stream is a part: the rest would wait for the garbage collector."""
    stream._response.close()


class Process:
    """A running command that one talks with, line by line."""

    def __init__(self, stream: Any, heard: Callable[[list[str]], None], name: str) -> None:
        self._stream = stream
        self._socket: socket.socket = getattr(stream, "_sock", stream)
        self._heard = heard
        self._name = name
        self.errors = ""
        self._thread = threading.Thread(target=self._listen, name=name, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        rest = b""
        try:
            for kind, piece in _pieces(self._stream):
                if kind == 2:
                    self.errors += piece.decode("utf-8", "replace")
                    continue
                *lines, rest = (rest + piece).split(b"\n")
                self._heard([line.decode("utf-8", "replace") for line in lines])
        except (OSError, ValueError) as error:
            self.errors += f"the connection to it broke: {error}"
        finally:
            _hang_up(self._stream)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def send(self, line: str) -> None:
        """Raises LabkitError if the process is gone."""
        try:
            self._socket.sendall(line.encode() + b"\n")
        except OSError as error:
            raise LabkitError(f"{self._name} is gone: {error}\n{self.errors}") from error

    def close(self, timeout_s: float = 5.0) -> None:
        """Ends its input, which ends the process, and waits until its last line was heard.

        One that does not end then is cut off, and so is one over TLS, where the input cannot end alone.
        """
        if not isinstance(self._socket, ssl.SSLSocket):
            self._shut(socket.SHUT_WR)
        self._thread.join(timeout_s)
        if self.alive:
            self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        with suppress(OSError):  # it may have gone already
            self._socket.shutdown(how)
