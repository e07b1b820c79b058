"""A monitoring station in the client, for exercises in which a student compares outages. Its Python may be 3.6."""

from typing import Any

from labkit.engine import Placed
from labkit.exercises._pair import Pair
from labkit.render import heading

PATH = "/usr/local/bin/watch-page"
OUTAGES = "/var/log/outages"
SCRIPT = r'''#!/usr/bin/env python3
"""Asks an address for its page all the time, and writes down each time without an answer.

usage: watch-page ADDRESS FILE NODE=MARK NODE=MARK    (a page with MARK in it came from NODE)
Each line of FILE: when the outage ended, how long it was in seconds, who answered before it and who after it.
"""

import http.client
import sys
import time

EVERY_S = 0.05
PATIENCE_S = 0.5
COUNTS_S = 0.3  # a shorter silence is a busy machine

address, path = sys.argv[1:3]
marks = dict(one.split("=", 1) for one in sys.argv[3:])


def server():
    """Who answers now, or None."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/")
        page = connection.getresponse().read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return next((node for node, mark in marks.items() if mark in page), None)


before, answered_at = None, None
while True:
    now = server()
    if now is not None:
        at = time.monotonic()
        if before is not None and at - answered_at > COUNTS_S:
            with open(path, "a") as file:
                file.write("%s %.2f s: %s -> %s\n" % (time.strftime("%H:%M:%S"), at - answered_at, before, now))
        before, answered_at = now, at
    time.sleep(EVERY_S)
'''


def place(pair: Pair) -> None:
    """Puts it into the client."""
    pair.lab.client.put([Placed(PATH, SCRIPT.encode(), 0o755), Placed(OUTAGES, b"")])


def ensure(pair: Pair) -> None:
    """Starts it if it does not run, as after a reboot of the engine's host."""
    marks = " ".join(f"'{node}={heading(node)}'" for node in pair.lab.nodes)
    watch = f"setsid {PATH} {pair.lab.vip} {OUTAGES} {marks} >/dev/null 2>&1 &"
    if pair.client("pgrep -f 'python3 [/]usr/local/bin/watch-page'").exit_code != 0:
        pair.client(watch)


def outages(pair: Pair) -> list[dict[str, Any]]:
    """What it has written down: seconds, before, after; the oldest first."""
    found = []
    for line in pair.client(f"cat {OUTAGES}").output.splitlines():
        _, seconds, _, before, _, after = line.split()
        found.append({"seconds": float(seconds), "before": before, "after": after})
    return found
