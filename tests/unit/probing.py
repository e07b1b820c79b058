"""The measuring agent as a process of its own, and HTTP servers for it that behave well and badly.

Servers listen on the loopback interface, each on a port that nobody else gets.
"""

import json
import queue
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from labkit.history import Event
from labkit.resources import images_dir
from labkit.timing import now_ns

LOOPBACK = "127.0.0.1"
PATIENCE_S = 60  # how long to wait for an event that has to come
SOURCE = images_dir() / "shared" / "agent.c"
# As an image is built, but for what finds mistakes: each warning is an error, and so is a wrong use of memory.
STRICT = "-std=gnu11 -O1 -g -Wall -Wextra -Wconversion -Wshadow -Werror -fsanitize=address,undefined"
STRICT += " -fno-sanitize-recover=all"

Behaviour = Callable[[socket.socket], bool]
"""What a server does with a connection that has asked for a page; whether to close it."""


def compiled(folder: Path) -> Path:
    """The agent, made by this host's C compiler (`scripts/bootstrap compiler`)."""
    program = folder / "agent"
    subprocess.run(["cc", *STRICT.split(), "-o", str(program), str(SOURCE)], check=True)
    return program


def answers(status: str, body: str) -> Behaviour:
    """Sends an answer in two pieces."""

    def behave(connection: socket.socket) -> bool:
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\n\r\n".encode())
        connection.sendall(body.encode())
        return True

    return behave


def hangs(connection: socket.socket) -> bool:
    """Says nothing, and keeps the connection."""
    return False


def hangs_up(connection: socket.socket) -> bool:
    """Closes the connection without a word."""
    return True


def resets(connection: socket.socket) -> bool:
    """Closes it as a server does that died."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return True


GOOD = answers("200 OK", "<h1>MASTER-CLUSTER ON</h1>")


def bound(port: int = 0) -> socket.socket:
    """A socket on a port of this host, which others may have too until one of them listens."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((LOOPBACK, port))
    return one


class Server:
    """An HTTP server on a port of its own, which can be taken away and brought back; nobody else gets the port."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.accepted_ns: list[int] = []
        self._held: list[socket.socket] = []
        self._reservation = bound()
        self.port: int = self._reservation.getsockname()[1]

    def __enter__(self) -> "Server":
        self.bring_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.take_away()
        for one in (*self._held, self._reservation):
            one.close()

    def bring_back(self) -> None:
        self._listener = bound(self.port)
        self._listener.listen(1024)
        self._thread = threading.Thread(target=self._serve, args=(self._listener,), daemon=True)
        self._thread.start()

    def take_away(self) -> None:
        """From now on connections are refused."""
        with suppress(OSError):  # it is away already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # taken away
                return
            self.accepted_ns.append(now_ns())
            connection.settimeout(PATIENCE_S)
            with suppress(OSError):  # the client gave up
                asked = b""
                while not asked.endswith(b"\r\n\r\n") and (piece := connection.recv(4096)):
                    asked += piece
                if not self.behave(connection):
                    self._held.append(connection)
                    continue
            connection.close()


class Agent:
    """A running agent. `events` are all that it has told so far, in that order."""

    def __init__(self, *command: str) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.events: list[Event] = []
        self._told: queue.Queue[Event | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._told.put(json.loads(line))
        self._told.put(None)

    def send(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def until(self, right: Callable[[Event], bool], times: int = 1) -> list[Event]:
        """Waits for so many more events that are right, and returns them."""
        found: list[Event] = []
        while len(found) < times:
            event = self._told.get(timeout=PATIENCE_S)
            assert event is not None, "the agent ended"
            self.events.append(event)
            found += [event] if right(event) else []
        return found

    def until_outcome(self, outcome: str, times: int = 1) -> list[Event]:
        """Waits for so many more requests that ended like that."""
        return self.until(lambda event: event.get("outcome") == outcome, times)

    def requests(self) -> list[Event]:
        """All requests so far, by slot."""
        return sorted((e for e in self.events if e["event"] == "request"), key=lambda event: int(event["slot"]))

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(OSError):
            self.process.stdin.close()  # the end of its input is the end of the agent
        self.process.wait(PATIENCE_S)
        self._thread.join()
        self.process.stdout.close()
        while not self._told.empty():
            event = self._told.get()
            self.events += [event] if event else []
