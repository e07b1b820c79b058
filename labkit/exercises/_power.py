"""A power switch for the nodes, and the STONITH plug-in that asks it.

No container may command the engine. So the switch in the client only takes requests and passes them on to whoever
attends it, a process of labkit outside: that one cuts the node's power, says so, and lets it boot.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from labkit.cluster import Lab
from labkit.engine import Placed, Process
from labkit.errors import LabkitError
from labkit.timing import wait_until

SWITCH_PATH = "/usr/local/bin/power-switch"
LOG = "/var/log/power-switch"
PORT = 8694
PLUGIN_PATH = "/usr/lib/stonith/plugins/external/labkit"

SWITCH = rf'''#!/usr/bin/env python3
"""A switch that nodes ask over HTTP to cut another node's power. It has no arm of its own.

usage: power-switch NODE=ADDRESS NODE=ADDRESS
It prints `reset NODE` for each request, and answers it when it reads `done NODE`. It ends with its input.
"""

import http.server
import os
import socketserver
import sys
import threading
import time

PATIENCE_S = 15
outlets = dict(one.split("=") for one in sys.argv[1:])
names = {{address: node for node, address in outlets.items()}}
turn, done = threading.Lock(), threading.Event()
cut_at = {{}}


class Switch(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True


class Request(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        arrived = time.monotonic()
        word, _, node = self.path.strip("/").partition("/")
        if word == "outlets":
            self.say(200, "".join(one + "\n" for one in outlets))
        elif word == "reset" and node in outlets:
            with turn:
                self.say(*self.reset(node, names.get(self.client_address[0], "somebody"), arrived))
        else:
            self.say(404, "no such outlet\n")

    def reset(self, node, by, arrived):
        if cut_at.get(by, 0) > arrived:  # who was shot meanwhile shoots no more
            return self.note(409, node, by, "not done: " + by + " had its own power cut first")
        done.clear()
        print("reset", node, flush=True)
        if not done.wait(PATIENCE_S):
            return self.note(503, node, by, "not done: nobody has cut it")
        cut_at[node] = time.monotonic()
        return self.note(200, node, by, "done")

    def note(self, status, node, by, outcome):
        with open("{LOG}", "a") as log:
            log.write("%s reset %s, asked by %s: %s\n" % (time.strftime("%H:%M:%S"), node, by, outcome))
        return status, outcome + "\n"

    def say(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def hear():
    for line in sys.stdin:
        done.set()
    os._exit(0)


switch = Switch(("", {PORT}), Request)
threading.Thread(target=hear, daemon=True).start()
switch.serve_forever()
'''

PLUGIN = rf"""#!/bin/sh
# STONITH plug-in for the lab's power switch. It gets its subcommand as an argument, and its one parameter, the address
# of the switch, in the environment.
ask() {{ curl -sf -m 20 "http://$switch:{PORT}/$1"; }}

case $1 in
getconfignames) echo switch ;;
gethosts) ask outlets ;;
status) ask outlets >/dev/null ;;
reset) ask "reset/$2" >/dev/null ;;
getinfo-devid) printf 'power switch of the lab' ;;
getinfo-devname) echo 'power switch of the lab' ;;
getinfo-devdescr) echo 'cuts the power of a node for a moment, so that it boots anew' ;;
getinfo-devurl) echo 'http://$switch:{PORT}/' ;;
getinfo-xml) echo '<parameters><parameter name="switch"><content type="string"/></parameter></parameters>' ;;
*) exit 1 ;; # on and off: this switch has neither
esac
"""


def place(lab: Lab) -> None:
    """Puts the switch into the client, and the plug-in onto the nodes."""
    lab.client.put([Placed(SWITCH_PATH, SWITCH.encode(), 0o755), Placed(LOG, b"")])
    for node in lab.nodes.values():
        node.put([Placed(PLUGIN_PATH, PLUGIN.encode(), 0o755)])


@contextmanager
def attended(lab: Lab) -> Iterator[None]:
    """Somebody stands at the switch: what it is asked for is done. Harmless where somebody does already.

    Who leaves it first does what is being done: no node stays without power.
    """
    standing: list[Process] = []
    at_work = Lock()

    def heard(lines: list[str]) -> None:
        for line in lines:
            _, name = line.split()
            node = lab.node(name)
            with at_work:
                try:
                    with suppress(LabkitError):  # it may have no power, or nobody may wait for the answer any more
                        node.kill()
                        standing[0].send(f"done {name}")
                finally:
                    node.start()

    outlets = [f"{name}={node.address}" for name, node in lab.spec.nodes.items()]
    standing.append(lab.client.talk(SWITCH_PATH, *outlets, heard=heard))
    try:
        asked = ("curl", "-sf", "-m", "1", f"http://127.0.0.1:{PORT}/outlets")
        wait_until(lambda: lab.client.run(*asked).exit_code, lambda code: code == 0, 10, "the power switch answers")
        yield
    finally:
        with at_work:
            standing[0].close()
