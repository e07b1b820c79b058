"""Who may do what at the same time, where several pairs share a machine.

What disturbs an outage that is being measured is not the other pairs' probes but their work: a node that boots, and
the dozens of processes of a takeover. So nobody mends a pair, or starts one, while another one's outage is measured;
faults strike a little apart; and a pair whose turn has not come does not probe.
"""

import threading
from collections import Counter

from labkit.runner import Turn
from labkit.timing import SECOND, now_ns, pause_until

MEASURED_PER_CPU = 2  # outages at once: most of an outage is Heartbeat's waiting
MENDED_PER_CPU = 2
TAKEOVER_CPU_S = 1.4  # between two strikes, on one CPU: what a takeover costs, with as much again for the probes


class Turns:
    """The turns of all pairs of a run. Safe to use from several threads."""

    def __init__(self, cpus: int) -> None:
        """cpus: of the engine's host."""
        self._most: dict[Turn, int] = {"measure": MEASURED_PER_CPU * cpus, "mend": MENDED_PER_CPU * cpus}
        self._apart_ns = int(TAKEOVER_CPU_S / cpus * SECOND)
        self._changed = threading.Condition()
        self._busy: Counter[Turn] = Counter()
        self.hurt = 0  # pairs that wait for mending; they go first, because they probe as long as they wait
        self._strike_ns = 0

    def take(self, kind: Turn) -> None:
        """Returns when the pair may measure a trial, or start or mend itself."""
        with self._changed:
            self.hurt += kind == "mend"
            try:
                self._changed.wait_for(lambda: self._free(kind))
            finally:
                self.hurt -= kind == "mend"
            self._busy[kind] += 1
            if kind == "mend":
                return
            strike_ns = self._strike_ns = max(now_ns(), self._strike_ns + self._apart_ns)
        pause_until(strike_ns)

    def give(self, kind: Turn) -> None:
        """Gives back what was taken."""
        with self._changed:
            self._busy[kind] -= 1
            self._changed.notify_all()

    def _free(self, kind: Turn) -> bool:
        if self._busy[kind] >= self._most[kind]:
            return False
        return not self._busy["measure"] if kind == "mend" else not (self._busy["mend"] or self.hurt)
