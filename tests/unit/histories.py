"""Builds histories by hand: a probe that asks on schedule, a watcher that asks on schedule, and what they heard.

All times given are milliseconds on the trial's own clock; `ZERO_NS` is its zero, so that no figure is right by chance.
"""

from labkit.history import Event

MASTER, SLAVE = "master-cluster", "slave-cluster"
MACS = {MASTER: "02:42:ac:17:13:2e", SLAVE: "02:42:ac:17:13:2f"}
VIP = "172.23.19.48"
ZERO_NS = 908_457_000_000
CADENCE_MS = 10.0
LIMIT_MS = 800.0
ARP_MS = 50.0
KEEPALIVE_MS = 200.0


def at_ns(ms: float) -> int:
    return ZERO_NS + round(ms * 1_000_000)


def run_event(trials: int = 1, **changes: object) -> Event:
    return {
        "event": "run",
        "labkit": "0.1.0",
        "started": "2024-05-01T10:00:00+00:00",
        "spec": {
            "timing": {"keepalive": "200ms", "deadtime": "1", "auto_failback": True, "udpport": 694},
            "network": {"vip": VIP},
            "nodes": {MASTER: {}, SLAVE: {}},
        },
        "platform": "debian-12",
        "network": "macvlan",
        "profile": "corrected",
        "fault": "node-kill",
        "expects_move": True,
        "takes_cpu": False,
        "trials": trials,
        "cadence_ms": CADENCE_MS,
        "limit_ms": LIMIT_MS,
        "arp_ms": ARP_MS,
        "macs": MACS,
        "config": {node: {"/etc/ha.d/haresources": "5f1e", "/etc/ha.d/authkeys": "c0de"} for node in MACS},
        "predicted": {"outage_ms": [900.0, 1900.0]},
        "images": {"node": "sha256:" + "a" * 64},
        "packages": {"heartbeat": "1:3.0.6-13+b2", "apache2": "2.4.62-1~deb12u2"},
        "host": {"kernel": "6.1.0", "cpus": 2},
    } | changes


class TrialBuilder:
    """Collects the events of one trial; `events` gives them."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.events: list[Event] = []

    def add(self, event: str, **fields: object) -> "TrialBuilder":
        self.events.append({"event": event, "trial": self.number, **fields})
        return self

    def start(self, ms: float = 0) -> "TrialBuilder":
        return self.add("trial-start", t_ns=at_ns(ms))

    def armed(self, ms: float) -> "TrialBuilder":
        return self.add("armed", t_ns=at_ns(ms))

    def end(self, ms: float) -> "TrialBuilder":
        begun_ns = min((event["t_ns"] for event in self.events if "t_ns" in event), default=at_ns(ms))
        self.cpu((begun_ns - ZERO_NS) / 1e6).cpu(ms)
        return self.throttled(begun_ns).throttled(at_ns(ms)).add("trial-end", t_ns=at_ns(ms))

    def cpu(self, ms: float, waited_ms: float = 0, **node: str) -> "TrialBuilder":
        """A reading of a host with two CPUs, half of them idle. waited_ms: for how long somebody waited for one. node:
        whose host it is, if not the client's."""
        told = {"idle_ms": int(ms), "steal_ms": 0, "all_ms": int(2 * ms), "waited_us": int(waited_ms * 1000)}
        return self.add("cpu", t_ns=at_ns(ms), **told, **node)

    def throttled(self, t_ns: int) -> "TrialBuilder":
        """The node that lives on never has to wait."""
        return self.add("throttled", t_ns=t_ns, node=SLAVE, throttled_us=0)

    def request(
        self,
        due_ms: float,
        outcome: str = "good",
        server: str | None = None,
        took_ms: float = 1.0,
        late_ms: float = 0.1,
    ) -> "TrialBuilder":
        return self.add(
            "request",
            slot=round(due_ms / CADENCE_MS),
            t_ns=at_ns(due_ms),
            late_us=round(late_ms * 1000),
            took_us=round(took_ms * 1000),
            outcome=outcome,
            server=server,
            status=200 if outcome == "good" else None,
        )

    def served(self, server: str, from_ms: float, to_ms: float, took_ms: float = 1.0) -> "TrialBuilder":
        """Good answers to the requests due from `from_ms` until before `to_ms`."""
        return self.asked(from_ms, to_ms, "good", server, took_ms)

    def asked(
        self, from_ms: float, to_ms: float, outcome: str, server: str | None = None, took_ms: float = 1.0
    ) -> "TrialBuilder":
        due_ms = from_ms
        while due_ms < to_ms:
            self.request(due_ms, outcome, server, took_ms)
            due_ms += CADENCE_MS
        return self

    def owned(self, from_ms: float, to_ms: float, *nodes: str) -> "TrialBuilder":
        """The watcher's questions from `from_ms` until before `to_ms`, answered by each of `nodes` 0.2 ms later."""
        asked_ms = from_ms
        while asked_ms < to_ms:
            self.add("arp-probe", t_ns=at_ns(asked_ms))
            for node in nodes:
                self.add("arp", t_ns=at_ns(asked_ms + 0.2), mac=MACS[node], kind="reply")
            asked_ms += ARP_MS
        return self

    def beating(self, node: str, from_ms: float, to_ms: float) -> "TrialBuilder":
        """A node's heartbeats on the wire from `from_ms` until before `to_ms`."""
        while from_ms < to_ms:
            self.wire(from_ms, node, "heartbeat")
            from_ms += KEEPALIVE_MS
        return self

    def wire(self, ms: float, node: str, kind: str) -> "TrialBuilder":
        return self.add("wire", t_ns=at_ns(ms), mac=MACS[node], kind=kind)

    def fault(self, stage: str, before_ms: float, after_ms: float, name: str = "node-kill") -> "TrialBuilder":
        times = {"before_ns": at_ns(before_ms), "after_ns": at_ns(after_ms)}
        return self.add("fault", stage=stage, fault=name, node=MASTER, **times)

    def log(self, ms: float, node: str, text: str, marker: str | None = None) -> "TrialBuilder":
        return self.add("log", node=node, t_ns=at_ns(ms), program="heartbeat", text=text, marker=marker)


def failover(number: int = 1, outage_ms: int = 1500, run_on: bool = True) -> list[Event]:
    """A node killed at 1,000 ms: the last good answer at 1,001 ms, time-outs, the slave's first one `outage_ms` later.

    The slave notices 70 % on, and has the address 95 % on. Healing from 4,000 ms on costs 300 ms in which the VIP
    refuses. `outage_ms` is a multiple of 100.
    """
    back_ms = 1000 + outage_ms
    trial = TrialBuilder(number).start()
    trial.served(MASTER, 0, 1010).asked(1010, back_ms, "timeout", took_ms=LIMIT_MS).served(SLAVE, back_ms, 4010)
    trial.asked(4010, 4300, "refused").served(MASTER, 4300, 5000)
    trial.owned(0, 1000, MASTER).owned(1000, back_ms, *()).owned(back_ms, 4000, SLAVE).owned(4000, 5000, MASTER)
    trial.add("arp", t_ns=at_ns(back_ms - 20), mac=MACS[SLAVE], kind="gratuitous")
    trial.wire(back_ms - 20.1, SLAVE, "gratuitous").beating(MASTER, 50, 1000).beating(SLAVE, 20, 5000)
    trial.armed(990).fault("inject", 1000, 1012.5)
    trial.log(500, MASTER, "info: nothing of interest")
    trial.log(1000 + 0.7 * outage_ms, SLAVE, f"WARN: node {MASTER}: is dead", "declared-dead")
    trial.log(1000 + 0.72 * outage_ms, SLAVE, f"info: Resources being acquired from {MASTER}.", "taking-over")
    trial.log(1000 + 0.95 * outage_ms, SLAVE, "INFO: Adding inet address 172.23.19.48/24", "address-up")
    trial.fault("heal", 4000, 4001).log(4050, MASTER, "Configuration validated. Starting heartbeat", "starting")
    trial.beating(MASTER, 4060, 5000)
    trial.log(4070, SLAVE, f"{SLAVE} wants to go standby [foreign]", "standby-requested")
    trial.log(4080, SLAVE, "info: Releasing resource group", "giving-up")
    trial.log(4090, SLAVE, "INFO: IP status = ok", "address-down")
    trial.log(4100, MASTER, "INFO: Adding inet address 172.23.19.48/24", "address-up")
    return trial.end(5000).events if run_on else trial.events


def no_op(number: int = 1, node: str = MASTER) -> list[Event]:
    """Nothing happens: 1,000 requests, all answered."""
    trial = TrialBuilder(number).start().served(node, 0, 10_000).owned(0, 10_000, node)
    trial.armed(1990)
    return trial.fault("inject", 2000, 2000.1, "none").fault("heal", 8000, 8000.1, "none").end(10_000).events


def never_back(number: int = 1) -> list[Event]:
    """apache2 stopped, and nobody watches it: refused until it is healed, with two good answers inside the bracket."""
    trial = TrialBuilder(number).start().served(MASTER, 0, 1030).asked(1030, 5000, "refused").served(MASTER, 5000, 6000)
    trial.owned(0, 6000, MASTER).armed(990).fault("inject", 1000, 1100, "apache-stop").fault(
        "heal", 4900, 4990, "apache-stop"
    )
    return trial.end(6000).events


def dual_owner(number: int = 1) -> list[Event]:
    """Heartbeat killed: the peer takes the VIP at 1,500 ms, and both answer for it until healing at 3,000 ms."""
    trial = TrialBuilder(number).start().served(MASTER, 0, 1500).asked(1500, 1600, "reset").served(SLAVE, 1600, 4000)
    trial.owned(0, 1500, MASTER).owned(1500, 3000, MASTER, SLAVE).owned(3000, 4000, SLAVE)
    trial.armed(990).fault("inject", 1000, 1001, "heartbeat-kill").fault("heal", 3000, 3001, "heartbeat-kill")
    return trial.end(4000).events
