"""`ha.cf` read as Heartbeat 3.0.6 reads it (heartbeat/config.c): the same values, the same refusals.

What depends on the machine is not judged: whether interfaces, users, programs, files and host names exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from labkit.errors import BadInput
from labkit.heartbeat._c import BLANKS, buffers, reject, words
from labkit.heartbeat.directives import ALIASES, DIRECTIVES, Value, read_value
from labkit.heartbeat.media import MAX_MEDIA, MEDIA, Medium, read_media
from labkit.heartbeat.times import show_ms

MAX_NODES = 100  # MAXNODE of include/heartbeat.h; ping nodes count too
WHOLE_LINES = ("stonith", "stonith_host", "apiauth", "respawn", "failfast")
NAMES = frozenset((*DIRECTIVES, *ALIASES, *MEDIA, *WHOLE_LINES, "node", "udp"))

AutoFailback = Literal["on", "off", "legacy"]


@dataclass(frozen=True)
class Client:
    """A program that Heartbeat starts, and starts again; when a failfast one dies, it reboots the node instead."""

    user: str
    command: str
    failfast: bool


@dataclass(frozen=True)
class HaCf:
    """What an `ha.cf` means, with Heartbeat's own defaults filled in. Times are whole milliseconds.

    `values` has every other directive of `DIRECTIVES` (typed, None where unset), `env` the variables without their
    `HA_`, `apiauth`, `stonith` and `stonith_host` the lines as they stand.
    """

    nodes: tuple[str, ...]
    media: tuple[Medium, ...]
    keepalive_ms: float
    deadtime_ms: float
    warntime_ms: float
    initdead_ms: float
    deadping_ms: float
    auto_failback: AutoFailback
    udpport: int
    clients: tuple[Client, ...]
    env: Mapping[str, str]
    apiauth: tuple[str, ...]
    stonith: tuple[str, ...]
    stonith_host: tuple[str, ...]
    values: Mapping[str, Value | None]


def parse(text: str, name: str = "ha.cf", node: str | None = None) -> HaCf:
    """Read the text of an `ha.cf`. `node` is the machine that would run it: then it has to be among the nodes.

    BadInput lists, with file and line, everything for which the daemon would exit with a configuration error.
    """
    reader = _Reader(None if node is None else node.lower())
    for number, line in buffers(text):
        try:
            reader.line(number, line)
        except BadInput as error:
            reader.problems.append((number, str(error)))
    reject(name, reader.problems)  # like the daemon, which looks at the whole only when every line is right
    hacf = reader.result()
    reject(name, reader.problems)
    return hacf


@dataclass
class _Reader:
    """The state of the daemon while it reads: the last value of a directive wins, lists grow."""

    node: str | None
    problems: list[tuple[int, str]] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    media: list[Medium] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    whole: dict[str, list[str]] = field(default_factory=dict)
    auto_failback: AutoFailback = "legacy"

    def line(self, number: int, line: str) -> None:
        content = line.lstrip(BLANKS).split("#")[0].split("\n")[0].split("\r")[0]
        if not content:
            return
        name = words(content)[0]
        rest = content[len(name) :].lstrip(BLANKS + ",")
        if name not in NAMES:
            raise BadInput(f"{name!r} is not a directive of Heartbeat. Remove the line, or comment it out with `#`.")
        name = {"udp": "bcast", **ALIASES}.get(name, name)
        self.lines[name] = number
        try:
            if name in MEDIA:
                self._add_media(read_media(name, rest))
            elif name in WHOLE_LINES:
                self._whole_line(name, rest)
            else:
                for value in words(rest, BLANKS + ","):
                    self._value(name, value)
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None

    def _add_media(self, media: list[Medium]) -> None:
        for medium in media:
            if len(self.media) == MAX_MEDIA:
                raise BadInput(f"there are more than {MAX_MEDIA} media. Remove some.")
            self.media.append(medium)
            self._check_count()

    def _check_count(self) -> None:
        if len(self.nodes) + sum(medium.pings for medium in self.media) > MAX_NODES:
            raise BadInput(f"there are more than {MAX_NODES} nodes and ping nodes. Remove some.")

    def _value(self, name: str, text: str) -> None:
        if name == "node":
            self.nodes.append(text.lower())
            self._check_count()
            return
        if DIRECTIVES[name].once and name in self.values:
            raise BadInput("Heartbeat takes one value only. Remove the others.")
        if name == "crmd_spawns_pengine" and "pacemaker" in self.values:
            raise BadInput("Heartbeat takes it only before the line with pacemaker. Move it up.")
        if name == "crm_daemon_dir" and "pacemaker" not in self.values:
            # The test in set_crm_daemon_dir is the wrong way round, and its message says the opposite.
            raise BadInput("Heartbeat 3.0.6 takes it only after the line with pacemaker. Move it down.")
        value = read_value(name, text)
        self.values[name] = value
        if name == "env":
            variable, _, content = text.partition("=")
            self.env[variable] = content
        elif name == "auto_failback":
            self.auto_failback = "legacy" if value == "legacy" else "on" if value else "off"
        elif name == "nice_failback":  # obsolete; its value is checked, but what it does depends on auto_failback alone
            self.auto_failback = "legacy" if self.auto_failback == "legacy" else "off"

    def _whole_line(self, name: str, rest: str) -> None:
        args = words(rest)
        match name:
            case "respawn" | "failfast":
                user, *command = args or [""]
                if not 0 < len(user) < 64:
                    raise BadInput("the user's name is missing or too long. Write user and /full/path of a program.")
                if not command or not command[0].startswith("/"):
                    raise BadInput("the program has no full path. Write user and /full/path of a program.")
                program = rest.strip(BLANKS)[len(user) :].strip(BLANKS)
                self.clients.append(Client(user, program, failfast=name == "failfast"))
            case "apiauth":
                self._apiauth(args)
            case "stonith" if not args:
                raise BadInput("the type of the device is missing. Write type and configuration file.")
            case "stonith_host" if not args:
                raise BadInput("the host is missing. Write host (or *), type and parameters.")
            case "stonith_host" if args[0].lower() in ("*", self.node) and len(args) == 1:
                raise BadInput("the type of the device is missing. Write host (or *), type and parameters.")
        self.whole.setdefault(name, []).append(rest.strip(BLANKS))

    def _apiauth(self, args: list[str]) -> None:
        client, *lists = args or [""]
        keys = [entry[:4] for entry in lists]
        if not 0 < len(client) < 64:
            raise BadInput("the client's name is missing or too long. Write client, uid=... and gid=...")
        if not keys or len(set(keys)) < len(keys) or not set(keys) <= {"uid=", "gid="}:
            raise BadInput("it takes one uid=... and one gid=... after the client, or one of the two.")
        if any(words(line)[0] == client for line in self.whole.get("apiauth", ())):
            raise BadInput(f"there is already a line for client {client!r}. Remove one of the two.")

    def result(self) -> HaCf:
        values: dict[str, Value | None] = {name: row.default for name, row in DIRECTIVES.items()}
        values.update(self.values)
        keepalive_ms, deadtime_ms = self._ms("keepalive"), self._ms("deadtime")
        initdead_ms = self._ms("initdead", _initdead_ms(deadtime_ms))
        hacf = HaCf(
            nodes=tuple(self.nodes),
            media=tuple(self.media),
            keepalive_ms=keepalive_ms,
            deadtime_ms=deadtime_ms,
            warntime_ms=self._ms("warntime", deadtime_ms // 2),
            initdead_ms=initdead_ms,
            deadping_ms=self._ms("deadping", deadtime_ms),
            auto_failback=self.auto_failback,
            udpport=int(values.pop("udpport") or 0),
            clients=tuple(self.clients),
            env=MappingProxyType(self.env),
            apiauth=tuple(self.whole.get("apiauth", ())),
            stonith=tuple(self.whole.get("stonith", ())),
            stonith_host=tuple(self.whole.get("stonith_host", ())),
            values=MappingProxyType({name: value for name, value in values.items() if name not in _OWN_FIELDS}),
        )
        self._check(hacf)
        return hacf

    def _ms(self, name: str, default: float = 0.0) -> float:
        value = self.values.get(name, DIRECTIVES[name].default)
        return default if value is None else float(value)

    def _check(self, hacf: HaCf) -> None:
        """The checks over the whole file (init_config, check_logd_usage, r1_style_valid)."""
        twice = 2 * hacf.keepalive_ms
        joins = hacf.values["autojoin"]
        own_resources = not hacf.values["pacemaker"]
        if not hacf.media:
            self._problem("bcast", "there is no medium for the heartbeats. Add a line such as `bcast eth0`.")
        if not hacf.nodes and not any(medium.pings for medium in hacf.media) and joins != "any":
            self._problem("node", "there are no nodes. Add a `node` line for each.")
        if self.node is not None and self.node not in hacf.nodes and joins != "any":
            self._problem("node", f"node: this machine, {self.node}, is not among the nodes. Add `node {self.node}`.")
        for name, value_ms in (("deadtime", hacf.deadtime_ms), ("deadping", hacf.deadping_ms)):
            if value_ms <= twice and (name == "deadtime" or name in self.values):
                why = f"{show_ms(value_ms)} is not more than twice keepalive ({show_ms(hacf.keepalive_ms)})"
                self._problem(name, f"{name}: {why}. Use more than {show_ms(twice)}.")
        if hacf.initdead_ms < hacf.deadtime_ms:
            why = f"{show_ms(hacf.initdead_ms)} is less than deadtime ({show_ms(hacf.deadtime_ms)})"
            self._problem("initdead", f"initdead: {why}. Use {show_ms(hacf.deadtime_ms)} or more.")
        # The daemon takes facility kern, which is number 0, for none.
        logs = {"logfile", "debugfile"} & self.values.keys() or self.values.get("logfacility", "none") not in (
            "none",
            "kern",
        )
        if not logs and hacf.values["use_logd"] is False:
            self._problem("use_logd", "use_logd: it is off, and there is no other log. Add `logfacility daemon`.")
        if joins != "none" and own_resources:
            self._problem("autojoin", f"autojoin: {joins} does not go with haresources. Use none.")

    def _problem(self, name: str, text: str) -> None:
        self.problems.append((self.lines.get(name, 0), text))


_OWN_FIELDS = frozenset(
    ("keepalive", "deadtime", "warntime", "initdead", "deadping", "auto_failback", "nice_failback", "udpport", "env")
)


def _initdead_ms(deadtime_ms: float) -> float:
    """What `initdead` is without a line of its own (config.c, init_config)."""
    if deadtime_ms > 10000:
        return deadtime_ms
    return 12000.0 if deadtime_ms < 6000 else 2 * deadtime_ms
