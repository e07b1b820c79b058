"""Looks at a lab that is up, and runs the trials that are asked for.

Looking is gentle and takes no lock: the probe of a run at a tenth of its pace, ARP, the wire, and the nodes' own word,
for which they are asked between trials only. A trial is what `labkit failover` does, beside all that.
"""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue

from labkit import faults, runner
from labkit.cluster import Lab, lifecycle, lock
from labkit.errors import LabkitError, NotAvailable
from labkit.history import Event
from labkit.judging import REPORT, judged
from labkit.language import Said, Text, same
from labkit.live.view import View
from labkit.probe import Agent, Heartbeats, Settings
from labkit.progress import Silent
from labkit.store import RunFolder

GENTLE = Settings(cadence_ms=100, arp_ms=100)
LOOK_S = 0.5  # between two looks at the containers
ASK_EVERY = 4  # looks: so often the nodes are asked, which costs them some CPU time
TURN_S = 0.2  # the longest time until the main loop notices that the lab is gone

UNKNOWN = Text("there is no fault {fault!r}", "no existe el fallo {fault!r}")
INTERRUPTED = Text("interrupted", "interrumpido")
BUSY = Text("a trial is going on; wait until it is measured", "hay un ensayo en curso; espere a que se mida")
HELD = Text("another command is changing the lab: {holder}", "otro comando está cambiando el laboratorio: {holder}")


class Watcher:
    """A lab that is watched; a context manager. close() leaves nothing in the lab but what was there."""

    def __init__(self, lab: Lab, root: Path, heard: Callable[[Text], None]) -> None:
        """root: folder of the stored runs. heard: told each piece of news.

        Raises NotAvailable if the lab does not run.
        """
        if lab.client.state() != "running":
            raise NotAvailable(f"the lab {lab.name!r} does not run; `labkit up` starts it")
        self.lab = lab
        self.view = View(lab.spec, lab.macs(), heard)
        self.reports: dict[str, Path] = {}  # name of a run's folder -> the folder, of the trials that were run here
        self._root = root
        self._asked: Queue[str] = Queue()
        self._pressing = threading.Lock()
        self._busy = False
        self._trouble: Exception | None = None
        self._closing = threading.Event()
        self._agent = Agent(lab, GENTLE, self._heard)
        self._heartbeats = Heartbeats(lab, lambda: self._agent.offset_ns, self.view.take)
        self._thread = threading.Thread(target=self._look, name="looking at the nodes", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _heard(self, events: list[Event]) -> None:
        for event in events:
            self.view.take(event)

    # From any thread

    def press(self, name: str) -> None:
        """Asks for a trial of a fault. Raises Said if there is none of that name, or if it cannot be now."""
        with self._pressing:
            if name not in faults.all_faults():
                raise Said(UNKNOWN.filled(fault=name))
            if self._busy:
                raise Said(BUSY)
            if holder := lock.holder(self.lab.name, self.lab.engine.identity):
                raise Said(HELD.filled(holder=holder))
            self._busy = True
        self.view.pressed(name)
        self._asked.put(name)

    # On the main thread, so that Ctrl-C ends a trial as it ends `labkit failover`: healed

    def run(self) -> None:
        """Runs trials as they are asked for, for ever. Raises NotAvailable once the lab, or a part of it, is gone."""
        while True:
            self._check()
            with suppress(Empty):
                self._trial(self._asked.get(timeout=TURN_S))

    def _check(self) -> None:
        if isinstance(self._trouble, LabkitError) or not (self._agent.alive and self._heartbeats.alive):
            why = f": {self._trouble}" if self._trouble else ""
            raise NotAvailable(
                f"the lab {self.lab.name!r} is no longer there to be watched{why}; `labkit up` starts it"
            )
        if self._trouble:
            raise self._trouble

    def _trial(self, name: str) -> None:
        """One trial. That it fails is told, and ends nothing as long as the lab is there."""
        lab, fault = self.lab, faults.fault(name)
        try:
            with lifecycle.changing(lab.engine, lab.name, Silent()):
                folder = RunFolder.create(self._root, name)
                scenario = runner.Scenario(fault, seed=random.randrange(2**31))

                def run() -> None:
                    self._make_ready()
                    runner.run(lab, scenario, folder, self.view.follow)

                result = judged(folder, run)
            self.reports[folder.path.name] = folder.path
            self.view.measured(result, f"runs/{folder.path.name}/{REPORT}")
        except BaseException as error:
            reason = str(error).partition("\n")[0]
            self.view.failed(name, same(reason) if reason else INTERRUPTED)
            if not isinstance(error, LabkitError):
                raise
        finally:
            self._busy = False

    def _make_ready(self) -> None:
        """What `labkit failover` does with a lab that is up and broken. One configured by hand is taken as it is."""
        faults.heal_left(self.lab)
        if lifecycle.is_bare(self.lab):
            return
        if not all(status.joined and status.apache2 for status in self.lab.statuses().values()):
            self.lab.restore()

    # On a thread of its own

    def _look(self) -> None:
        turn = 0
        try:
            while not self._closing.is_set():
                states = {name: node.state() for name, node in self.lab.nodes.items()}
                if gone := [name for name, state in states.items() if state == "gone"]:
                    raise NotAvailable(f"{' and '.join(gone)} was removed")
                self.view.looked(states, self.lab.macs(), lock.holder(self.lab.name, self.lab.engine.identity))
                if self._busy:
                    self.view.told(None)
                elif turn % ASK_EVERY == 0:
                    with suppress(LabkitError):  # one may be stopping this very moment
                        self.view.told(self.lab.statuses())
                turn += 1
                self._closing.wait(LOOK_S)
        except Exception as error:  # told by the main loop
            self._trouble = error

    def close(self) -> None:
        """Ends all that looks. The lab may be gone."""
        self._closing.set()
        self._thread.join()
        with suppress(LabkitError):
            self._agent.close()
        self._heartbeats.close()
