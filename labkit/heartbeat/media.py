"""The ways that heartbeats and pings take, as `ha.cf` declares them: one medium for each.

The checks are those of the plug-ins of Heartbeat 3.0.6 (lib/plugins/HBcomm), as far as text alone can tell. Whether an
interface, a host name or a serial port exists is not judged here: that depends on the machine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from types import MappingProxyType

from labkit.errors import BadInput
from labkit.heartbeat._c import BLANKS, atoi, words

MAX_MEDIA = 64  # MAXMEDIA of include/heartbeat.h


@dataclass(frozen=True)
class Medium:
    """One medium: the name of its plug-in (`udp` is read as `bcast`) and its arguments."""

    kind: str
    args: tuple[str, ...]

    @property
    def pings(self) -> bool:
        """Whether it watches a host outside the cluster, which Heartbeat counts as one more node."""
        return self.kind.startswith("ping")


def read_media(kind: str, rest: str) -> list[Medium]:
    """Read what follows a medium's name on its line. BadInput, without file or line, says why Heartbeat refuses it."""
    if kind in _LINES:
        args = words(rest)
        _LINES[kind](args)
        return [Medium(kind, tuple(args))]
    if kind == "serial" and (bad := [word for word in words(rest, BLANKS + ",") if not word.startswith("/")]):
        raise BadInput(f"{bad[0]!r} is not the full path of a serial port. Start it with `/`.")
    return [Medium(kind, (word,)) for word in words(rest, BLANKS + ",")]


def _need(args: list[str], names: tuple[str, ...], crashes: bool = False) -> None:
    if not args and crashes:
        raise BadInput(f"nothing follows, and Heartbeat crashes on that. Add {', '.join(names)}.")
    if len(args) < len(names):
        raise BadInput(f"{names[len(args)]} is missing. The line takes {', '.join(names)}.")


def _byte(text: str, name: str, high: int) -> None:
    # The plug-ins put the number into an unsigned byte before they look at it.
    if atoi(text) % 256 > high:
        raise BadInput(f"{name} {text!r} is out of range. Use 0 to {high}.")


def _mcast(args: list[str]) -> None:
    _need(args, ("the interface", "the group", "the port", "the TTL", "the loop switch"), crashes=True)
    group, port, ttl, loop = args[1:5]
    try:
        valid = IPv4Address(group).is_multicast
    except AddressValueError:
        valid = False
    if not valid:
        raise BadInput(f"{group!r} is not a multicast address. Use one from 224.0.0.0 to 239.255.255.255.")
    if atoi(port) % 65536 == 0:
        raise BadInput(f"port {port!r} is out of range. Use 1 to 65535.")
    _byte(ttl, "TTL", 4)
    _byte(loop, "loop", 1)


def _mcast6(args: list[str]) -> None:
    _need(args, ("the interface", "the group", "the port", "the hops", "the loop switch"))
    group, port, hops, loop = args[1:5]
    address = _ipv6(group)
    if address is None or not address.is_multicast:
        raise BadInput(f"{group!r} is not an IPv6 multicast address. Use one like ff12::1.")
    if not port.isdecimal() or not port.isascii():
        raise BadInput(f"port {port!r} is not a number. Use 1 to 65535.")
    _byte(hops, "hops", 4)
    _byte(loop, "loop", 1)


def _ucast(args: list[str]) -> None:
    _need(args, ("the interface", "the peer's address"), crashes=True)


def _ucast6(args: list[str]) -> None:
    _need(args, ("the interface", "the peer's address"))
    address = _ipv6(args[1])
    if address is None or address.is_multicast or address.is_unspecified or address.is_loopback:
        raise BadInput(f"{args[1]!r} is not the IPv6 address of a host. Use the peer's address, as a number.")


def _ping_group(args: list[str]) -> None:
    _need(args, ("the group's name", "a host"))


def _ipv6(text: str) -> IPv6Address | None:
    try:
        return IPv6Address(text.partition("%")[0])
    except AddressValueError:
        return None


_LINES: Mapping[str, Callable[[list[str]], None]] = MappingProxyType(
    {"mcast": _mcast, "mcast6": _mcast6, "ucast": _ucast, "ucast6": _ucast6, "ping_group": _ping_group}
)
MEDIA = ("bcast", "serial", "ping", "ping6", *_LINES)
