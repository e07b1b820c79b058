"""Types of the spec's fields: each checks one value by itself, and says how to write it right."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from labkit.errors import BadInput
from labkit.heartbeat.times import parse_time

AUTO: Literal["auto"] = "auto"
PREFIXES = range(8, 30)  # /29 has just room for five lab addresses and the engine's own

_RESERVED_NODES = ("client", "gateway", "localhost")
_RESERVED_SCRIPTS = ("apache2", "heartbeat", "hto-mapfuncs")
_RESERVED_INTERFACES = (".", "..", "all", "default", "lo")
_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_LAB = r"^[a-z0-9][a-z0-9-]{0,30}$"
_INTERFACE = r"^[A-Za-z0-9_.-]{1,15}$"
_TIME = r"^[0-9]+(\.[0-9]+)?(ms|us|usec)?$"
_URL_PATH = r"^/[A-Za-z0-9/._~%?=&+,:@-]*$"
_ADDRESS_SCHEMA = {"type": "string", "format": "ipv4"}
_TIME_SCHEMA = {"type": ["string", "number"], "pattern": _TIME, "exclusiveMinimum": 0}
_SUBNET_SCHEMA = {"type": "string", "pattern": r"^(auto|[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2})$"}


def problem(text: str) -> PydanticCustomError:
    """Make an error whose text pydantic passes on untouched."""
    return PydanticCustomError("labkit", "{text}", {"text": text})


def show(value: object) -> str:
    """Write a value as the user knows it: text in quotes, printable and short, whatever is in it."""
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    short = text if len(text) <= 40 else text[:37] + "..."
    return repr(short) if isinstance(value, str) else short


def _lab_name(name: str) -> str:
    if not re.match(_LAB, name) or name.endswith("\n"):
        raise problem(
            f"{show(name)} cannot start a container's name."
            " Use 1 to 31 lower-case letters, digits and `-`, with no `-` in front."
        )
    return name


def _node_name(name: str) -> str:
    if name in _RESERVED_NODES:
        raise problem(f"{name!r} is the name of another machine of the lab. Choose another name for the node.")
    if name != name.lower() and re.fullmatch(_LABEL, name.lower()):
        raise problem(f"{show(name)} has capital letters, and Heartbeat lower-cases them. Write {name.lower()!r}.")
    if not re.fullmatch(_LABEL, name):
        raise problem(
            f"{show(name)} is not a host name."
            " Use 1 to 63 lower-case letters, digits and `-`, with no `-` at either end."
        )
    return name


def _interface(name: str) -> str:
    if name in _RESERVED_INTERFACES or not re.fullmatch(_INTERFACE, name):
        raise problem(
            f"{show(name)} is not the name of a Linux network interface."
            " Use 1 to 15 letters, digits, `.`, `_` and `-`, as in 'eth0'."
        )
    return name


def _platform(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise problem("the name of the platform is empty. Write 'auto', or a name that `labkit platforms` lists.")
    return name


def _script(path: str) -> str:
    name = script_name(path)
    if not re.fullmatch(_LAB, name) or name in _RESERVED_SCRIPTS:
        raise problem(
            f"{show(path)} cannot be a resource of Heartbeat's. Call the file by 1 to 31 lower-case letters, digits"
            f" and `-` (what follows a point does not count), and none of {', '.join(_RESERVED_SCRIPTS)}."
        )
    return path


def script_name(path: str) -> str:
    """What Heartbeat calls the resource of a script: the file's name up to its first point."""
    return PurePath(path).name.partition(".")[0]


def _url_path(path: str) -> str:
    if not re.fullmatch(_URL_PATH, path):
        raise problem(f"{show(path)} is not the path of a page. Write one like '/status', without blanks and quotes.")
    return path


def _telling(text: str) -> str:
    if "{node}" not in text or not text.isprintable():
        raise problem(f"{show(text)} does not tell one node from the other. Write {{node}} where its name stands.")
    return text


def _time(value: object) -> str:
    """Keep a time as Heartbeat will read it: text, without blanks, more than zero once rounded to milliseconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise problem(f"{show(value)} is not a time. Write seconds (`2`, `1.5`) or milliseconds (`200ms`).")
    text = f"{value:f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    if text.startswith("-"):
        raise problem(f"{show(text)} is negative. Use a time of at least 1 ms.")
    try:
        milliseconds = parse_time(text)
    except BadInput as error:
        raise problem(str(error)) from None
    if not re.fullmatch(_TIME, text):
        raise problem(f"{show(text)} is not written plainly. Write seconds (`2`, `1.5`) or milliseconds (`200ms`).")
    if milliseconds < 1:
        raise problem(f"{show(text)} is zero to Heartbeat, which counts whole milliseconds. Use at least `1ms`.")
    return text


def as_address(value: object) -> IPv4Address:
    if isinstance(value, IPv4Address):
        return value
    if not isinstance(value, str):
        raise problem(f"{show(value)} is not an IPv4 address. Write one as text, as in '172.23.19.48'.")
    try:
        return IPv4Address(value)
    except AddressValueError:
        hint = "labkit has no IPv6." if ":" in value else "Write four numbers from 0 to 255, as in '172.23.19.48'."
        raise problem(f"{show(value)} is not an IPv4 address. {hint}") from None


def as_subnet(value: object) -> IPv4Network | Literal["auto"]:
    if value == AUTO:
        return AUTO
    if not isinstance(value, (str, IPv4Network)):
        raise problem(f"{show(value)} is not a subnet. Write one as text, as in '172.23.19.0/24', or 'auto'.")
    try:
        network = IPv4Network(value, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        hint = "labkit has no IPv6." if str(value).count(":") > 1 else "Write it as in '172.23.19.0/24', or 'auto'."
        raise problem(f"{show(value)} is not an IPv4 subnet. {hint}") from None
    if isinstance(value, str) and IPv4Address(value.split("/")[0]) != network.network_address:
        raise problem(f"{show(value)} has host bits set. Write '{network}'.")
    if network.prefixlen not in PREFIXES:
        size = "too small for the lab" if network.prefixlen > PREFIXES[-1] else "far too large for a lab"
        raise problem(f"{network} is {size}. Use a prefix from /{PREFIXES[0]} to /{PREFIXES[-1]}.")
    first = network.network_address
    if first.is_loopback or first.is_multicast or first.is_reserved or first in IPv4Network("0.0.0.0/8"):
        raise problem(f"{network} cannot be given to hosts. Use a private one, as in '172.23.19.0/24'.")
    return network


LabName = Annotated[str, AfterValidator(_lab_name), WithJsonSchema({"type": "string", "pattern": _LAB})]
NodeName = Annotated[str, AfterValidator(_node_name), WithJsonSchema({"type": "string", "pattern": _LABEL})]
PlatformName = Annotated[str, AfterValidator(_platform), WithJsonSchema({"type": "string", "minLength": 1})]
Interface = Annotated[str, AfterValidator(_interface), WithJsonSchema({"type": "string", "pattern": _INTERFACE})]
FilePath = Annotated[str, Field(min_length=1)]
ScriptPath = Annotated[FilePath, AfterValidator(_script)]
UrlPath = Annotated[str, AfterValidator(_url_path), WithJsonSchema({"type": "string", "pattern": _URL_PATH})]
Telling = Annotated[str, AfterValidator(_telling), WithJsonSchema({"type": "string", "pattern": r"\{node\}"})]
Time = Annotated[str, BeforeValidator(_time), WithJsonSchema(_TIME_SCHEMA)]
Address = Annotated[IPv4Address, BeforeValidator(as_address), WithJsonSchema(_ADDRESS_SCHEMA)]
Subnet = Annotated[IPv4Network | Literal["auto"], BeforeValidator(as_subnet), WithJsonSchema(_SUBNET_SCHEMA)]
