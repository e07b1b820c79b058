#!/usr/bin/env python3
"""The client's measuring agent: open-loop HTTP probe, ARP watcher and the run's clock, in one process.

It runs in the client container and speaks JSON Lines: events on standard output, commands on standard input. Every
instant is CLOCK_MONOTONIC in nanoseconds (`*_ns`), which all containers of one engine share, so its stamps can be set
beside those taken in the nodes. It needs nothing but the standard library and runs on Python 3.6, the one that
Ubuntu 18.04 ships.

Events
    {"event": "clock", "id": str, "t_ns": int, "wall_ns": int}      answer to "stamp", and now and then unasked
    {"event": "request", "slot": int, "t_ns": int, "late_us": int, "took_us": int,
     "outcome": "good|timeout|refused|reset|unreachable|http-error|wrong-page", "server": str|null, "status": int|null}
        t_ns is the scheduled instant, late_us how much later the request really started, took_us runs from t_ns.
    {"event": "arp", "t_ns": int, "mac": str, "kind": "reply|gratuitous"}  somebody says that he has the VIP
    {"event": "arp-probe", "t_ns": int}                                      the question was asked
    {"event": "end", "t_ns": int, "requests": int}

Commands
    stamp ID        print a clock event at once
    quit            leave; requests that are still open are not reported
"""

import argparse
import errno
import json
import os
import select
import socket
import struct
import sys
import time

MILLISECOND = 1000000
CLOCK_EVERY_NS = 1000 * MILLISECOND
ETH_P_ARP = 0x0806
LONGEST_ANSWER = 65536


def now_ns():
    """CLOCK_MONOTONIC in nanoseconds (time.monotonic_ns needs Python 3.7)."""
    return int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e9)


def wall_ns():
    return int(time.time() * 1e9)


class Output:
    """JSON Lines to standard output, flushed once a turn of the loop so that a burst costs one write."""

    def __init__(self):
        self.lines = []

    def emit(self, **event):
        self.lines.append(json.dumps(event, separators=(",", ":")))

    def flush(self):
        if self.lines:
            sys.stdout.write("\n".join(self.lines) + "\n")
            sys.stdout.flush()
            del self.lines[:]


class Request:
    """One GET on a connection of its own."""

    __slots__ = ("answer", "deadline_ns", "due_ns", "late_us", "sent", "slot", "sock")

    def __init__(self, slot, due_ns, late_us, sock, deadline_ns):
        self.slot = slot
        self.due_ns = due_ns
        self.late_us = late_us
        self.sock = sock
        self.sent = False
        self.answer = b""
        self.deadline_ns = deadline_ns


class Prober:
    """Starts a request in each slot of a fixed schedule, whether or not the earlier ones were answered."""

    def __init__(self, out, address, port, path, cadence_ns, limit_ns, markers):
        self.out = out
        self.target = (address, port)
        self.request = (
            f"GET {path} HTTP/1.0\r\nHost: {address}\r\nUser-Agent: labkit\r\nConnection: close\r\n\r\n"
        ).encode()
        self.cadence_ns = cadence_ns
        self.limit_ns = limit_ns
        self.markers = [(text.encode(), name) for name, text in markers]
        self.open = {}
        self.slot = 0
        self.started_ns = now_ns()

    def due_ns(self):
        return self.started_ns + self.slot * self.cadence_ns

    def start_due(self):
        now = now_ns()
        while self.due_ns() <= now:
            self.start(self.slot, self.due_ns())
            self.slot += 1
            now = now_ns()

    def start(self, slot, due_ns):
        late_us = (now_ns() - due_ns) // 1000
        if late_us * 1000 >= self.limit_ns:
            return  # after a stall of our own: nothing was asked, so nothing is told; the gap in the slots shows it
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request = Request(slot, due_ns, late_us, sock, due_ns + self.limit_ns)
        code = sock.connect_ex(self.target)
        self.open[sock.fileno()] = request
        if code not in (0, errno.EINPROGRESS):
            self.finish(request, self.name_of(code))

    @staticmethod
    def name_of(code):
        if code == errno.ECONNREFUSED:
            return "refused"
        if code in (errno.ECONNRESET, errno.EPIPE):
            return "reset"
        if code == errno.ETIMEDOUT:
            return "timeout"
        return "unreachable"

    def writable(self, request):
        code = request.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.finish(request, self.name_of(code))
            return
        try:
            request.sock.send(self.request)
            request.sent = True
        except OSError as error:
            self.finish(request, self.name_of(error.errno))

    def readable(self, request):
        try:
            piece = request.sock.recv(LONGEST_ANSWER)
        except BlockingIOError:
            return
        except OSError as error:
            self.finish(request, self.name_of(error.errno))
            return
        if piece and len(request.answer) < LONGEST_ANSWER:
            request.answer += piece
            return
        self.judge(request)

    def judge(self, request):
        """The whole answer is here: who sent it, and is it the page?"""
        head = request.answer.split(b"\r\n", 1)[0].split()
        if len(head) < 2 or not head[1].isdigit():
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

    def finish(self, request, outcome, server=None, status=None):
        took_us = (now_ns() - request.due_ns) // 1000
        del self.open[request.sock.fileno()]
        request.sock.close()
        self.out.emit(
            event="request",
            slot=request.slot,
            t_ns=request.due_ns,
            late_us=request.late_us,
            took_us=took_us,
            outcome=outcome,
            server=server,
            status=status,
        )

    def expire(self):
        now = now_ns()
        for request in [r for r in self.open.values() if r.deadline_ns <= now]:
            self.finish(request, "timeout")


class ArpWatcher:
    """Asks who has the VIP on a fixed schedule and reports every answer, asked for or not.

    It asks as RFC 5227 has it, without an address of its own, on a link that the probe does not use: the kernel learns
    from each answer that comes in on a link, and two owners' answers would lead the probe now to one, now to the other.
    """

    def __init__(self, out, interface, address, every_ns):
        self.out = out
        self.every_ns = every_ns
        self.next_ns = now_ns()
        self.vip = socket.inet_aton(address)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ARP))
        self.sock.bind((interface, ETH_P_ARP))
        own = self.sock.getsockname()[4]
        header = b"\xff" * 6 + own + struct.pack("!H", ETH_P_ARP)
        self.question = header + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + b"\0" * 10 + self.vip
        self.own = own

    def due_ns(self):
        return self.next_ns

    def ask_due(self):
        now = now_ns()
        if self.next_ns > now:
            return
        self.next_ns += self.every_ns * ((now - self.next_ns) // self.every_ns + 1)
        try:
            self.sock.send(self.question)
        except OSError:
            return  # the link is down: an unanswered question says so in the history
        self.out.emit(event="arp-probe", t_ns=now)

    def readable(self):
        try:
            frame = self.sock.recv(128)
        except (BlockingIOError, OSError):
            return
        stamp = now_ns()
        if len(frame) < 42 or frame[28:32] != self.vip or frame[22:28] == self.own:
            return  # somebody else's address, or our own question
        kind = "gratuitous" if frame[38:42] == self.vip else "reply"
        mac = ":".join(f"{byte:02x}" for byte in frame[22:28])
        self.out.emit(event="arp", t_ns=stamp, mac=mac, kind=kind)


class Commands:
    """Lines from standard input; the end of input means that the driver is gone, so the agent leaves too."""

    def __init__(self, out):
        self.out = out
        self.rest = b""
        self.done = False

    def readable(self):
        piece = os.read(0, 4096)
        if not piece:
            self.done = True
        lines = (self.rest + piece).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            words = line.decode("ascii", "replace").split()
            if words[:1] == ["stamp"] and len(words) == 2:
                clock(self.out, words[1])
            elif words == ["quit"]:
                self.done = True


def clock(out, name):
    """Both clocks, read back to back: log lines carry wall time and are brought to the monotonic clock by this pair."""
    before = now_ns()
    wall = wall_ns()
    after = now_ns()
    out.emit(event="clock", id=name, t_ns=(before + after) // 2, wall_ns=wall)


def come_first():
    """Highest ordinary priority, where that is allowed: the schedule must not wait for what it measures."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    except OSError:
        return  # the result says what cadence was kept


def run(arguments):
    come_first()
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
    arp = ArpWatcher(out, arguments.interface, arguments.vip, int(arguments.arp_ms * MILLISECOND))
    next_clock_ns = 0
    while not commands.done:
        now = now_ns()
        if now >= next_clock_ns:
            clock(out, "")
            next_clock_ns = now + CLOCK_EVERY_NS
        prober.start_due()
        arp.ask_due()
        prober.expire()
        out.flush()
        wake = min([prober.due_ns(), arp.due_ns()] + [r.deadline_ns for r in prober.open.values()])
        reading = [0, arp.sock] + [fd for fd, r in prober.open.items() if r.sent]
        writing = [fd for fd, r in prober.open.items() if not r.sent]
        # select, not epoll: epoll rounds its time-out up to a whole millisecond.
        ready, ready_out, _ = select.select(reading, writing, [], max(0.0, (wake - now_ns()) / 1e9))
        for item in ready:
            if item == 0:
                commands.readable()
            elif item is arp.sock:
                arp.readable()
            elif item in prober.open:
                prober.readable(prober.open[item])
        for item in ready_out:
            if item in prober.open:
                prober.writable(prober.open[item])
    out.emit(event="end", t_ns=now_ns(), requests=prober.slot)
    out.flush()


def main():
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
