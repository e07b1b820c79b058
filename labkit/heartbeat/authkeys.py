"""`authkeys` read as Heartbeat 3.0.6 reads it (heartbeat/auth.c): how the nodes sign their packets.

No message and no `repr` ever shows a key, nor any part of a line that may hold one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from labkit.errors import BadInput
from labkit.heartbeat._c import BLANKS, atoi, buffers, reject

Kind = Literal["crc", "md5", "sha1"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_METHODS = 16  # MAXAUTH of include/heartbeat.h

_SPACE = r"[ \t\n\v\f\r]*"  # what scanf skips
_ACTIVE = re.compile(rf"auth{_SPACE}([+-]?[0-9]+)")
_METHOD = re.compile(rf"([+-]?[0-9]+){_SPACE}([^ \t\n\v\f\r]+)(?:{_SPACE}([^ \t\n\v\f\r]+))?")


# What of a line is no key: a comment, unless it is a method's line that somebody has taken out; `auth 1`; `1 sha1`.
_COMMENT = re.compile(rf"{_SPACE}#(?!{_SPACE}[+-]?[0-9]+{_SPACE}(?:sha1|md5)[ \t]).*", re.DOTALL)
_SHOWN = re.compile(
    rf"{_SPACE}(?:auth{_SPACE}[+-]?[0-9]+|#*{_SPACE}[+-]?[0-9]+{_SPACE}(?:crc|md5|sha1)(?![^ \t\v\f\r]))"
)


@dataclass(frozen=True)
class Method:
    """One way to sign. `crc` has no key (empty): it finds damage, but keeps nobody out."""

    kind: Kind
    key: str = field(default="", repr=False)


@dataclass(frozen=True)
class AuthKeys:
    """All methods by number. Packets are signed with the active one, and taken with any of them."""

    active: int
    methods: Mapping[int, Method]


def parse(text: str, mode: int | None = None, name: str = "authkeys") -> AuthKeys:
    """Read the text of an `authkeys` file, and check its mode if given (`0o600`).

    BadInput lists, with file and line, everything for which the daemon would not start.
    """
    if mode is not None and mode & 0o044:
        reject(name, [(0, f"mode {mode & 0o777:o} lets others read the keys. Run `chmod 600 {name}`.")])
    wanted, active = -1, None
    methods: dict[int, Method] = {}
    problems: list[tuple[int, str]] = []
    for line, buffer in buffers(text):
        content = buffer.lstrip(BLANKS)
        if not content or content.startswith("#"):
            continue
        try:
            if content.startswith("a"):
                wanted = _wanted(content)
                continue
            number, method = _method(content)
        except BadInput as error:
            problems.append((line, str(error)))
            continue
        methods[number] = method
        if number == wanted:  # only an `auth` line above counts
            active = number
    if active is None:
        problems.append((0, _why_none(wanted, methods)))
    reject(name, problems)
    assert active is not None
    return AuthKeys(active, MappingProxyType(methods))


def without_keys(text: str) -> str:
    """The text of an `authkeys` file with `[secret]` for whatever is a key, or could be a misplaced one."""
    return "\n".join(_without_key(line) for line in text.split("\n"))


def _without_key(line: str) -> str:
    if _COMMENT.fullmatch(line):
        return line
    match = _SHOWN.match(line)
    shown = match[0] if match else ""
    return f"{shown} [secret]".lstrip() if line[len(shown) :].strip() else line


def _wanted(content: str) -> int:
    match = _ACTIVE.match(content)
    if match is None:
        raise BadInput("the line starts like `auth` but has no number. Write `auth 1`.")
    return atoi(match[1])


def _method(content: str) -> tuple[int, Method]:
    match = _METHOD.match(content)
    if match is None:
        raise BadInput("the line has no number and method. Write `1 sha1` and a key, or comment it out with `#`.")
    number, kind, key = atoi(match[1]), match[2], match[3] or ""
    if not 0 <= number < MAX_METHODS:
        raise BadInput(f"number {number} is out of range. Use 0 to {MAX_METHODS - 1}.")
    for known in KINDS:
        if kind == known:
            break
    else:
        raise BadInput(f"the method is none that Heartbeat has. Use one of: {', '.join(KINDS)}, in lower case.")
    if known == "crc" and key:
        raise BadInput("crc does not use a key, but something follows it. Remove that, or use sha1.")
    if known != "crc" and not key:
        raise BadInput(f"{known} needs a key. Write a secret word after it.")
    return number, Method(known, key)


def _why_none(wanted: int, methods: Mapping[int, Method]) -> str:
    if wanted < 0:
        return "there is no `auth` line. Write `auth 1`, above the line of method 1."
    if wanted in methods:
        return f"method {wanted} stands above the last `auth` line. Move the `auth` line to the top."
    return f"there is no method {wanted}, which the `auth` line names. Add a line that starts with {wanted}, below it."
