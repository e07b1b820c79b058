"""The client's measuring agent: open-loop HTTP probe, ARP watcher and the run's clock, in one process.

Not imported by the driver, which sends this file into the client container and starts it there: so both are of one
version. It speaks JSON Lines: events on standard output, commands on standard input. Every instant is CLOCK_MONOTONIC
in nanoseconds (`*_ns`), which all containers of one engine share, so its stamps can be set beside those taken in the
nodes. It needs nothing but the standard library and runs on Python 3.6, the one that Ubuntu 18.04 ships.

Twenty of them may share a machine with what they measure, and on a quiet machine waking up costs more than what is then
done. So there is one turn of the loop for each slot: it asks, and reads what came since the last one. The kernel has
stamped that when it came, so nothing is lost by reading late. Events are told in batches for the same reason.

Events
    {"event": "clock", "id": str, "t_ns": int, "wall_ns": int}      answer to "stamp", and now and then unasked
    {"event": "request", "slot": int, "t_ns": int, "late_us": int, "took_us": int,
     "outcome": "good|timeout|refused|reset|unreachable|http-error|wrong-page", "server": str|null, "status": int|null}
        t_ns is the scheduled instant, late_us how much later the request really started, took_us runs from t_ns.
    {"event": "arp", "t_ns": int, "mac": str, "kind": "reply|gratuitous"}  somebody says that he has the VIP
    {"event": "arp-probe", "t_ns": int}                                      the question was asked
    {"event": "cpu", "t_ns": int, "idle_ms": int, "steal_ms": int, "all_ms": int, "waited_us": int|null}
        the engine's host since its boot, five times a second: CPU time that nobody used, that its own host took
        away, and all of it; and for how long some task had to wait for a CPU (PSI), null where the kernel has none
    {"event": "end", "t_ns": int, "requests": int}

Commands
    stamp ID        print a clock event at once
    rest            ask nothing more, and let the slots pass
    work            go on asking; it does so from the beginning
    quit            leave; requests that are still open are not reported
"""

import argparse
import errno
import gc
import json
import os
import select
import socket
import struct
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

MILLISECOND = 1000000
CLOCK_EVERY_NS = 1000 * MILLISECOND
CPU_EVERY_NS = 200 * MILLISECOND
TELL_EVERY_NS = 100 * MILLISECOND
BURST = 50  # requests at once, after a stall, before answers are read again: select() has no more than 1024 places
ETH_P_ARP = 0x0806
LONGEST_ANSWER = 65536
AT_ONCE = struct.pack("ii", 1, 0)  # of SO_LINGER: closing leaves nothing behind
JIFFY_MS = 1000 // os.sysconf("SC_CLK_TCK")


LOOK_EVERY_NS = 10 * MILLISECOND  # for answers, where the slots are further apart
SO_TIMESTAMPNS = 35  # of asm-generic/socket.h; the socket module has no name for it
STAMP = struct.Struct("@qq")
ROOM_FOR_STAMP = socket.CMSG_SPACE(STAMP.size)
REQUEST = '{"event":"request","slot":%d,"t_ns":%d,"late_us":%d,"took_us":%d,"outcome":"%s","server":%s,"status":%s}'

if hasattr(time, "monotonic_ns"):
    now_ns, wall_ns = time.monotonic_ns, time.time_ns
else:  # Python 3.6

    def now_ns() -> int:
        return int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e9)

    def wall_ns() -> int:
        return int(time.time() * 1e9)


def received(sock: socket.socket, most: int) -> Tuple[bytes, int]:
    """What a socket has, and when it came, brought to CLOCK_MONOTONIC; now, where the kernel has not stamped it.

    Raises BlockingIOError if there is nothing, and OSError if the connection broke.
    """
    piece, more, _, _ = sock.recvmsg(most, ROOM_FOR_STAMP)
    now = now_ns()
    for level, kind, data in more:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) == STAMP.size:
            seconds, rest_ns = STAMP.unpack(data)
            return piece, min(now, seconds * 1000000000 + rest_ns + now - wall_ns())
    return piece, now


class Output:
    """JSON Lines to standard output, some at a time: what costs is the way of each piece through the engine."""

    def __init__(self) -> None:
        self.lines: List[str] = []
        self.next_ns = 0

    def emit(self, **event: Any) -> None:
        self.lines.append(json.dumps(event, separators=(",", ":")))

    def flush(self) -> None:
        if self.lines:
            sys.stdout.write("\n".join(self.lines) + "\n")
            sys.stdout.flush()
            del self.lines[:]
        self.next_ns = now_ns() + TELL_EVERY_NS


class Request:
    """One GET on a connection of its own."""

    __slots__ = ("answer", "came_ns", "deadline_ns", "due_ns", "late_us", "slot", "sock")

    def __init__(self, slot: int, due_ns: int, late_us: int, sock: socket.socket, deadline_ns: int) -> None:
        self.slot = slot
        self.due_ns = due_ns
        self.late_us = late_us
        self.sock = sock
        self.answer = b""
        self.came_ns = 0
        self.deadline_ns = deadline_ns


class Prober:
    """Starts a request in each slot of a fixed schedule, whether or not the earlier ones were answered.

    connecting, answering: the open requests by file descriptor, those that wait for a connection, and for its answer.
    """

    def __init__(
        self,
        out: Output,
        address: str,
        port: int,
        path: str,
        cadence_ns: int,
        limit_ns: int,
        markers: List[List[str]],
    ) -> None:
        self.out = out
        self.target = (address, port)
        self.request = (
            f"GET {path} HTTP/1.0\r\nHost: {address}\r\nUser-Agent: labkit\r\nConnection: close\r\n\r\n"
        ).encode()
        self.cadence_ns = cadence_ns
        self.limit_ns = limit_ns
        self.markers = [(text.encode(), json.dumps(name)) for name, text in markers]
        self.connecting: Dict[int, Request] = {}
        self.answering: Dict[int, Request] = {}
        self.slot = 0
        self.due_ns = now_ns()  # of that slot

    def start_due(self) -> None:
        for _ in range(BURST):
            now = now_ns()
            if self.due_ns > now:
                return
            self.start(self.slot, self.due_ns, now)
            self.slot += 1
            self.due_ns += self.cadence_ns

    def skip_due(self) -> None:
        late_ns = now_ns() - self.due_ns
        if late_ns >= 0:
            slots = late_ns // self.cadence_ns + 1
            self.slot += slots
            self.due_ns += slots * self.cadence_ns

    def start(self, slot: int, due_ns: int, now: int) -> None:
        if now - due_ns >= self.limit_ns:
            return  # after a stall of our own: nothing was asked, so nothing is told; the gap in the slots shows it
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        request = Request(slot, due_ns, (now - due_ns) // 1000, sock, due_ns + self.limit_ns)
        self.connecting[sock.fileno()] = request
        code = sock.connect_ex(self.target)
        if code not in (0, errno.EINPROGRESS):
            self.finish(request, self.name_of(code))
            return
        self.ask(request)  # nobody is far away: the connection is often there already

    @staticmethod
    def name_of(code: Optional[int]) -> str:
        if code == errno.ECONNREFUSED:
            return "refused"
        if code in (errno.ECONNRESET, errno.EPIPE):
            return "reset"
        if code == errno.ETIMEDOUT:
            return "timeout"
        return "unreachable"

    def ask(self, request: Request) -> None:
        try:
            request.sock.send(self.request)
        except BlockingIOError:
            return  # not connected yet
        except OSError as error:
            self.finish(request, self.name_of(error.errno))
            return
        number = request.sock.fileno()
        del self.connecting[number]
        self.answering[number] = request

    def readable(self, request: Request) -> None:
        try:
            while len(request.answer) < LONGEST_ANSWER:
                piece, came_ns = received(request.sock, LONGEST_ANSWER)
                if not piece:
                    break
                request.answer += piece
                request.came_ns = came_ns
        except BlockingIOError:
            return
        except OSError as error:
            request.came_ns = 0
            self.finish(request, self.name_of(error.errno))
            return
        self.judge(request)

    def judge(self, request: Request) -> None:
        """The whole answer is here: who sent it, and is it the page?"""
        if request.came_ns > request.deadline_ns:
            self.finish(request, "timeout")
            return
        head = request.answer.split(b"\r\n", 1)[0].split()
        if len(head) < 2 or not head[1].isdigit():
            request.came_ns = 0
            self.finish(request, "reset")
            return
        status = int(head[1])
        server = next((name for text, name in self.markers if text in request.answer), None)
        if status >= 400:
            self.finish(request, "http-error", status=status)
        elif server is None:
            self.finish(request, "wrong-page", status=status)
        else:
            self.finish(request, "good", server=server, status=status)

    def finish(
        self, request: Request, outcome: str, server: Optional[str] = None, status: Optional[int] = None
    ) -> None:
        took_us = ((request.came_ns or now_ns()) - request.due_ns) // 1000
        number = request.sock.fileno()
        self.connecting.pop(number, None)
        self.answering.pop(number, None)
        request.sock.close()
        self.out.lines.append(
            REQUEST
            % (
                request.slot,
                request.due_ns,
                request.late_us,
                max(took_us, request.late_us),
                outcome,
                server or "null",
                status or "null",
            )
        )

    def deadline_ns(self) -> int:
        """When the next open request is given up; far away if there is none. Each was started after the one before."""
        firsts = (next(iter(found.values()), None) for found in (self.connecting, self.answering))
        return min((first.deadline_ns for first in firsts if first is not None), default=sys.maxsize)

    def expire(self) -> None:
        now = now_ns()
        if self.deadline_ns() > now:
            return
        for request in [*self.connecting.values(), *self.answering.values()]:
            if request.deadline_ns <= now:
                request.came_ns = 0
                self.finish(request, "timeout")


class ArpWatcher:
    """Asks who has the VIP on a fixed schedule and reports every answer, asked for or not.

    It asks as RFC 5227 has it, without an address of its own, on a link that the probe does not use: the kernel learns
    from each answer that comes in on a link, and two owners' answers would lead the probe now to one, now to the other.
    """

    def __init__(self, out: Output, interface: str, address: str, every_ns: int, start_ns: int) -> None:
        self.out = out
        self.every_ns = every_ns
        self.next_ns = start_ns
        self.vip = socket.inet_aton(address)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ARP))
        self.sock.bind((interface, ETH_P_ARP))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        own = self.sock.getsockname()[4]
        header = b"\xff" * 6 + own + struct.pack("!H", ETH_P_ARP)
        self.question = header + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + b"\0" * 10 + self.vip
        self.own = own

    def due_ns(self) -> int:
        return self.next_ns

    def ask_due(self) -> None:
        now = now_ns()
        if self.next_ns > now:
            return
        self.next_ns += self.every_ns * ((now - self.next_ns) // self.every_ns + 1)
        try:
            self.sock.send(self.question)
        except OSError:
            return  # the link is down: an unanswered question says so in the history
        self.out.emit(event="arp-probe", t_ns=now)

    def readable(self) -> None:
        try:
            while True:
                self.heard(*received(self.sock, 128))
        except OSError:
            return  # nothing more

    def heard(self, frame: bytes, stamp: int) -> None:
        if len(frame) < 42 or frame[28:32] != self.vip or frame[22:28] == self.own:
            return  # somebody else's address, or our own question
        kind = "gratuitous" if frame[38:42] == self.vip else "reply"
        mac = ":".join(f"{byte:02x}" for byte in frame[22:28])
        self.out.emit(event="arp", t_ns=stamp, mac=mac, kind=kind)


class Commands:
    """Lines from standard input; the end of input means that the driver is gone, so the agent leaves too."""

    def __init__(self, out: Output) -> None:
        self.out = out
        self.rest = b""
        self.resting = False
        self.done = False

    def readable(self) -> None:
        piece = os.read(0, 4096)
        if not piece:
            self.done = True
        lines = (self.rest + piece).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            words = line.decode("ascii", "replace").split()
            if words[:1] == ["stamp"] and len(words) == 2:
                clock(self.out, words[1])
                self.out.flush()
            elif words in (["rest"], ["work"]):
                self.resting = words == ["rest"]
            elif words == ["quit"]:
                self.done = True


def clock(out: Output, name: str) -> None:
    """Both clocks, read back to back: log lines carry wall time and are brought to the monotonic clock by this pair."""
    before = now_ns()
    wall = wall_ns()
    after = now_ns()
    out.emit(event="clock", id=name, t_ns=(before + after) // 2, wall_ns=wall)


class Cpu:
    """How busy the engine's host is: /proc tells it in a container, too."""

    def __init__(self, out: Output) -> None:
        self.out = out
        self.due_ns = 0
        self.stat = os.open("/proc/stat", os.O_RDONLY)
        try:
            self.pressure: Optional[int] = os.open("/proc/pressure/cpu", os.O_RDONLY)
        except OSError:
            self.pressure = None  # a kernel without PSI, or one that was started without

    def tell_due(self) -> None:
        now = now_ns()
        if self.due_ns > now:
            return
        self.due_ns = now + CPU_EVERY_NS
        jiffies = [int(word) for word in os.pread(self.stat, 200, 0).split(b"\n", 1)[0].split()[1:9]]
        idle, steal = jiffies[3] + jiffies[4], jiffies[7]
        self.out.emit(
            event="cpu",
            t_ns=now,
            idle_ms=idle * JIFFY_MS,
            steal_ms=steal * JIFFY_MS,
            all_ms=sum(jiffies) * JIFFY_MS,
            waited_us=self.waited_us(),
        )

    def waited_us(self) -> Optional[int]:
        if self.pressure is None:
            return None
        try:
            some = os.pread(self.pressure, 200, 0).split(b"\n", 1)[0]
        except OSError:
            return None
        return int(some.rpartition(b"total=")[2])


def come_first() -> None:
    """Highest ordinary priority, where that is allowed: the schedule must not wait for what it measures."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    except OSError:
        return  # the result says what cadence was kept


def read_all(prober: Prober, arp: ArpWatcher) -> None:
    """Everything that has come until now."""
    reading: List[Any] = [arp.sock, *prober.answering]
    ready, ready_out, _ = select.select(reading, list(prober.connecting), [], 0)
    for item in ready:
        if item is arp.sock:
            arp.readable()
        else:
            prober.readable(prober.answering[item])
    for item in ready_out:
        prober.ask(prober.connecting[item])


def run(arguments: argparse.Namespace) -> None:
    come_first()
    gc.disable()  # nothing here goes round in circles
    out = Output()
    commands = Commands(out)
    prober = Prober(
        out,
        arguments.vip,
        arguments.port,
        arguments.path,
        int(arguments.cadence_ms * MILLISECOND),
        int(arguments.limit_ms * MILLISECOND),
        [marker.split("=", 1) for marker in arguments.marker],
    )
    # From the same instant on as the requests, so that one turn of the loop does for both.
    arp = ArpWatcher(out, arguments.interface, arguments.vip, int(arguments.arp_ms * MILLISECOND), prober.due_ns)
    cpu = Cpu(out)
    next_clock_ns = 0
    while not commands.done:
        now = now_ns()
        if now >= next_clock_ns:
            clock(out, "")
            next_clock_ns = now + CLOCK_EVERY_NS
        if commands.resting:
            prober.skip_due()
        else:
            prober.start_due()
            arp.ask_due()
            cpu.tell_due()
        read_all(prober, arp)
        prober.expire()
        if now >= out.next_ns or commands.resting:
            out.flush()
        wakes = [now + CLOCK_EVERY_NS] if commands.resting else [prober.due_ns, arp.due_ns()]
        if prober.answering:
            wakes.append(now + LOOK_EVERY_NS)
        wake = min(wakes)
        # select, not epoll: epoll rounds its time-out up to a whole millisecond.
        ready, _, _ = select.select([0], list(prober.connecting), [], max(0.0, (wake - now_ns()) / 1e9))
        if ready:
            rested = commands.resting
            commands.readable()
            if rested:
                prober.skip_due()  # what passed meanwhile is not made up for
    out.emit(event="end", t_ns=now_ns(), requests=prober.slot)
    out.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="labkit's measuring agent (see the module's text)")
    parser.add_argument("--vip", required=True, help="address to probe and to watch")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--path", default="/")
    parser.add_argument("--interface", default="eth0")
    parser.add_argument("--cadence-ms", type=float, default=10.0)
    parser.add_argument("--limit-ms", type=float, default=800.0)
    parser.add_argument("--arp-ms", type=float, default=50.0)
    parser.add_argument("--marker", action="append", default=[], help="NODE=TEXT that its page holds; may be repeated")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
