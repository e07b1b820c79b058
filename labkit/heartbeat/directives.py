"""The directives of `ha.cf` that take single values: what kind of value, which limits, what holds without them.

Table and checks follow `Directives[]` and the `set_*` functions of Heartbeat 3.0.6 (heartbeat/config.c), down to their
quirks, each of which a test compares with the real daemon.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from labkit.errors import BadInput
from labkit.heartbeat._c import atoi
from labkit.heartbeat.times import parse_time

Value = str | int | float | bool
Kind = Literal["text", "path", "time", "number", "switch", "choice", "facility", "variable"]

_TRUE = ("true", "on", "yes", "y", "1")
_FALSE = ("false", "off", "no", "n", "0")
_FACILITIES = (
    *("auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "mark", "news", "none", "security"),
    *("syslog", "user", "uucp"),
    *(f"local{number}" for number in range(8)),
)


@dataclass(frozen=True)
class Directive:
    """One row of the table. `default` is the typed value without the directive, None where nothing is set.

    `low` and `high` limit a number, and `low` a time in ms. `choices` are the words of a choice, and those that a
    switch takes beside true and false. `once`: a second value is an error.
    """

    kind: Kind
    default: Value | None = None
    low: int = 0
    high: int = 2**31 - 1
    choices: tuple[str, ...] = ()
    once: bool = False


DIRECTIVES: Mapping[str, Directive] = MappingProxyType(
    {
        "cluster": Directive("text", "linux-ha"),
        "quorum_server": Directive("text"),
        "keepalive": Directive("time", 1000.0, low=1),
        "deadtime": Directive("time", 30000.0),
        "deadping": Directive("time"),
        "initdead": Directive("time"),
        "warntime": Directive("time", low=1),
        "conn_logd_time": Directive("time", 60000.0, low=1),
        "hopfudge": Directive("number", 1, high=255),
        "udpport": Directive("number", 694, low=1),
        "baud": Directive(
            "number", 19200, choices=("9600", "19200", "38400", "57600", "115200", "230400", "460800"), once=True
        ),
        "rtprio": Directive("number", low=1, high=99),
        "debug": Directive("number", 0, high=255),
        "compression_threshold": Directive("number", 2, low=1),
        "max_rexmit_delay": Directive("number", 250, low=1),
        "memreserve": Directive("number", 6500, low=1),
        "watchdog": Directive("text", once=True),
        "logfile": Directive("text"),
        "debugfile": Directive("text"),
        "coreroot": Directive("path"),
        "crm_daemon_dir": Directive("text"),
        "logfacility": Directive("facility"),
        "realtime": Directive("switch", True),
        "use_logd": Directive("switch"),
        "use_apphbd": Directive("switch", False),
        "log_badpack": Directive("switch", True),
        "syslogmsgfmt": Directive("switch", True),
        "coredumps": Directive("switch", True),
        "traditional_compression": Directive("switch", False),
        "crmd_spawns_pengine": Directive("switch"),
        "record_config_changes": Directive("switch", True),
        "record_pengine_inputs": Directive("switch", True),
        "enable_config_writes": Directive("switch", True),
        "nice_failback": Directive("switch"),
        "auto_failback": Directive("switch", "legacy", choices=("legacy",)),
        "pacemaker": Directive(
            "switch", False, choices=("minimal", "manual", "respawn", "ccm-only", "valgrind"), once=True
        ),
        "hbgenmethod": Directive("choice", "file", choices=("file", "time")),
        "msgfmt": Directive("choice", "classic", choices=("classic", "netstring")),
        "uuidfrom": Directive("choice", "file", choices=("file", "nodename")),
        "compression": Directive("choice", "zlib", choices=("zlib", "bz2")),
        "autojoin": Directive("choice", "none", choices=("none", "other", "any")),
        "env": Directive("variable"),
    }
)
ALIASES: Mapping[str, str] = MappingProxyType({"crm": "pacemaker"})


def read_value(name: str, text: str) -> Value:
    """Read one value of a directive. BadInput, without file or line, says why Heartbeat refuses it."""
    directive = DIRECTIVES[name]
    match directive.kind:
        case "time":
            return _time(directive, text)
        case "number":
            return _number(directive, text)
        case "switch":
            return _switch(directive, text)
        case "choice":
            # Of all choices, only autojoin is compared without regard to case.
            word = text.lower() if name == "autojoin" else text
            return _one_of(directive.choices, word)
        case "facility":
            return _one_of(_FACILITIES, text)
        case "path" if not text.startswith("/"):
            raise BadInput(f"{text!r} is not an absolute path. Start it with `/`.")
        case "variable" if text.startswith("="):
            raise BadInput(f"{text!r} has no name. Write NAME=VALUE.")
    return text


def _time(directive: Directive, text: str) -> float:
    milliseconds = parse_time(text)
    if milliseconds < directive.low:
        raise BadInput(f"{text!r} is less than {directive.low} ms. Use {directive.low} ms or more.")
    return milliseconds


def _number(directive: Directive, text: str) -> int:
    number = atoi(text)
    if directive.choices and str(number) not in directive.choices:
        raise BadInput(f"{text!r} is not possible. Use one of: {', '.join(directive.choices)}.")
    if not directive.low <= number <= directive.high:
        raise BadInput(f"{text!r} is out of range. Use {directive.low} to {directive.high}.")
    return number


def _switch(directive: Directive, text: str) -> bool | str:
    word = text.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    return _one_of((*directive.choices, "on", "off"), word)


def _one_of(choices: tuple[str, ...], word: str) -> str:
    if word not in choices:
        raise BadInput(f"{word!r} is not possible. Use one of: {', '.join(choices)}.")
    return word
