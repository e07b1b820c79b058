"""The spec's models: what the keys of `lab.yaml` are, their defaults and the rules that span several of them."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from labkit.heartbeat.times import parse_time, show_ms
from labkit.spec.fields import (
    Address,
    FilePath,
    Interface,
    LabName,
    NodeName,
    PlatformName,
    ScriptPath,
    Subnet,
    Telling,
    Time,
    UrlPath,
    problem,
    script_name,
)
from labkit.spec.places import DEFAULT_SUBNET, address_problems, move, with_places
from labkit.spec.problems import bad_option

Profile = Literal["corrected", "as-printed"]
HostPort = Annotated[int, Field(ge=1, le=65535)]
_SECTIONS = ("network", "nodes", "timing", "ports", "limits", "service")


def _raise_all(title: str, problems: Mapping[tuple[str, ...], str], also: ValidationError | None = None) -> None:
    """Raise one ValidationError with all `problems` (place -> text) and those of `also`; nothing if there are none."""
    details = [InitErrorDetails(type=problem(text), loc=loc, input=None) for loc, text in problems.items()]
    for error in also.errors() if also else []:
        kind = PydanticCustomError(error["type"], "{text}", {**error.get("ctx", {}), "text": error["msg"]})
        details.append(InitErrorDetails(type=kind, loc=error["loc"], input=error["input"]))
    if details:
        raise ValidationError.from_exception_data(title, details)


def _raw(value: object) -> object:
    """Turn models inside a spec's data back into mappings, so that the rules over several sections see them too."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    return {key: _raw(item) for key, item in value.items()} if isinstance(value, Mapping) else value


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Network(_Model):
    """The lab's network and the addresses on it that are not a node's."""

    subnet: Subnet = Field(DEFAULT_SUBNET, description="IPv4 subnet of the lab, or `auto` for a free one.")
    vip: Address = Field(IPv4Address("172.23.19.48"), description="Virtual IP that clients use.")
    client: Address = Field(IPv4Address("172.23.19.43"), description="Address of the client, which sends the probes.")
    gateway: Address = Field(
        IPv4Address("172.23.19.44"), description="Address of the container that forwards the host's loopback ports."
    )
    parent: Interface | None = Field(
        None,
        description="Host interface to join the lab to. Unset, nothing of the lab reaches the physical network.",
    )
    interface: Interface = Field("eth0", description="Name of the network interface inside the nodes.")

    @property
    def pool(self) -> IPv4Network:
        """The subnet that the addresses are on at present: with `auto`, the default one."""
        return DEFAULT_SUBNET if self.subnet == "auto" else self.subnet


class Node(_Model):
    """One of the two cluster nodes."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.pop("required", None))  # placed by default

    address: Address = Field(
        description="The node's own address. Unset, host 46 for the first node, 47 for the second."
    )
    engine: str | None = Field(
        None,
        description="Docker context of the engine that runs the node. Unset, the one that runs the rest of the lab.",
    )
    parent: Interface | None = Field(None, description="Stands in for network.parent on that engine's host.")


def _default_nodes() -> dict[str, Node]:
    return {
        "master-cluster": Node(address=IPv4Address("172.23.19.46")),
        "slave-cluster": Node(address=IPv4Address("172.23.19.47")),
    }


class Timing(_Model):
    """Heartbeat's times and switches. Times are as in ha.cf: seconds (`2`, `1.5`) or milliseconds (`200ms`)."""

    keepalive: Time = Field("2", description="Time between two heartbeats.")
    deadtime: Time = Field("5", description="Silence after which a node is declared dead; more than twice keepalive.")
    warntime: Time | None = Field(
        None, description="Lateness of a heartbeat that is worth a warning. Unset, half of deadtime."
    )
    initdead: Time | None = Field(
        None,
        description="Stands in for deadtime until the peer is first heard; at least deadtime. Unset, the corrected"
        " profile writes deadtime, and as-printed leaves Heartbeat's default.",
    )
    auto_failback: bool = Field(True, description="Whether the preferred node takes its resources back on return.")
    udpport: int = Field(694, ge=1, le=65535, description="UDP port of the heartbeats.")

    @property
    def keepalive_ms(self) -> float:
        return parse_time(self.keepalive)

    @property
    def deadtime_ms(self) -> float:
        return parse_time(self.deadtime)

    @property
    def warntime_ms(self) -> float | None:
        return None if self.warntime is None else parse_time(self.warntime)

    @property
    def initdead_ms(self) -> float | None:
        return None if self.initdead is None else parse_time(self.initdead)

    @model_validator(mode="after")
    def _heartbeat_takes_it(self) -> "Timing":
        """The two checks over several times that the daemon itself makes (heartbeat/config.c, init_config)."""
        problems: dict[tuple[str, ...], str] = {}
        keepalive_ms, deadtime_ms, initdead_ms = self.keepalive_ms, self.deadtime_ms, self.initdead_ms
        if deadtime_ms <= 2 * keepalive_ms:
            problems["deadtime",] = (
                f"{show_ms(deadtime_ms)} is not more than twice keepalive ({show_ms(keepalive_ms)});"
                f" Heartbeat refuses it. Use more than {show_ms(2 * keepalive_ms)}."
            )
        if initdead_ms is not None and initdead_ms < deadtime_ms:
            problems["initdead",] = (
                f"{show_ms(initdead_ms)} is less than deadtime ({show_ms(deadtime_ms)}); Heartbeat refuses it."
                f" Use {show_ms(deadtime_ms)} or more, or leave initdead out."
            )
        _raise_all("Timing", problems)
        return self


class Ports(_Model):
    """Ports on the host's 127.0.0.1 that lead into the lab."""

    first_http: HostPort = Field(8046, description="To port 80 of the first node.")
    second_http: HostPort = Field(8047, description="To port 80 of the second node.")
    vip_http: HostPort = Field(8048, description="To port 80 of the VIP.")
    first_ssh: HostPort = Field(4243, description="To port 22 of the first node.")
    second_ssh: HostPort = Field(4242, description="To port 22 of the second node.")

    @model_validator(mode="after")
    def _all_different(self) -> "Ports":
        users: dict[int, str] = {}
        problems: dict[tuple[str, ...], str] = {}
        for name in type(self).model_fields:
            port: int = getattr(self, name)
            other = users.setdefault(port, name)
            if other != name:
                problems[name,] = f"{port} is already ports.{other}. Give each its own port."
        _raise_all("Ports", problems)
        return self


class Limits(_Model):
    """What one node may use, where the engine can limit it."""

    cpus: float = Field(2.0, ge=0.01, description="CPUs for a node; a fraction is fine.")
    memory_mib: int = Field(2048, ge=6, description="Memory for a node in MiB.")


class Service(_Model):
    """What the pair serves on port 80 in place of the guide's page. Files and folders lie beside `lab.yaml`.

    With a script Heartbeat runs that where the VIP is, and nowhere else. A document root alone is served by apache2,
    which runs on both nodes at all times, as in the guide.
    """

    init_script: ScriptPath | None = Field(
        None, description="Init script (LSB: start, stop, status) that starts the service."
    )
    resource_agent: ScriptPath | None = Field(
        None, description="OCF resource agent that starts the service, in place of an init script."
    )
    document_root: FilePath | None = Field(
        None,
        description="Folder whose files the nodes get: in /srv/NAME, with NAME the script's name; without a script they"
        " are served by apache2.",
    )
    path: UrlPath = Field("/", description="Page that the monitor and the probe ask for.")
    says: Telling | None = Field(
        None,
        description="Text in that answer, headers included, that tells who gave it. Unset, the header"
        " `X-Served-By: {node}`.",
    )

    @property
    def script(self) -> str | None:
        """Path of the script on this machine; None where apache2 serves."""
        return self.init_script or self.resource_agent

    @property
    def name(self) -> str:
        """What Heartbeat calls it."""
        return script_name(self.script) if self.script else "apache2"

    @property
    def given(self) -> bool:
        """Whether it is another than the guide's page."""
        return bool(self.script or self.document_root)

    @property
    def is_apache(self) -> bool:
        """Whether apache2 serves, on both nodes at all times; any other service runs where the VIP is."""
        return self.script is None

    @model_validator(mode="after")
    def _one_script(self) -> "Service":
        problems: dict[tuple[str, ...], str] = {}
        if self.init_script and self.resource_agent:
            problems["resource_agent",] = "there is an init_script, too. A service has one of the two; leave one out."
        for name in ("path", "says"):
            if not self.given and getattr(self, name) != type(self).model_fields[name].default:
                problems[name,] = "there is no service. Name its init_script, resource_agent or document_root, too."
        _raise_all("Service", problems)
        return self


class Spec(_Model):
    """The whole lab. Every key has a default, and all defaults together are the guide's lab.

    Where `network.subnet` is given and an address is not, the default address keeps its host part (VIP 48, client 43,
    gateway 44, nodes 46 and 47) in that subnet. With `subnet: auto`, addresses belong to the default subnet until
    `on_subnet` moves them.
    """

    name: LabName = Field("lab", description="Name of the lab; what it makes in the engine starts with it.")
    platform: PlatformName = Field("auto", description="Name of the nodes' platform, or `auto` for the best there is.")
    profile: Profile = Field(
        "corrected", description="`as-printed` is what the guide prints, `corrected` is that without its mistakes."
    )
    privileged: bool = Field(True, description="Whether nodes run privileged, as in the guide's brief.")
    network: Network = Field(default_factory=Network, description="Subnet and addresses.")
    nodes: dict[NodeName, Node] = Field(
        default_factory=_default_nodes,
        description="The two nodes by host name. The first one is preferred.",
        json_schema_extra={"minProperties": 2, "maxProperties": 2, "additionalProperties": False},
    )
    timing: Timing = Field(default_factory=Timing, description="Heartbeat's times.")
    ports: Ports = Field(default_factory=Ports, description="Ports on the host's loopback interface.")
    limits: Limits = Field(default_factory=Limits, description="Limits for each node.")
    service: Service = Field(default_factory=Service, description="What is served, unless it is the guide's page.")

    @model_validator(mode="wrap")
    @classmethod
    def _place_and_check(cls, data: Any, handler: ModelWrapValidatorHandler["Spec"]) -> "Spec":
        """Fill in default addresses, then report the rules over several sections beside the fields' own errors."""
        if not isinstance(data, Mapping):
            return handler(data)
        given = {key: _raw(value) for key, value in data.items() if value is not None or key not in _SECTIONS}
        problems: dict[tuple[str, ...], str] = {}
        nodes = given.get("nodes")
        if isinstance(nodes, Mapping) and len(nodes) != 2:
            problems["nodes",] = f"there are {len(nodes)} nodes. A Heartbeat pair has exactly two."
        placed = with_places(given)
        problems.update(address_problems(placed, given))
        try:
            spec = handler(placed)
        except ValidationError as error:
            _raise_all("Spec", problems, error)
            raise
        problems.update(spec._service_problems())
        if spec.contexts and not spec.network.parent:
            problems["network",] = (
                "nodes on engines of their own meet on a network that their hosts share. Say in network.parent which"
                " interface leads there."
            )
        problems.update(spec._parent_problems())
        _raise_all("Spec", problems)
        return spec

    def _parent_problems(self) -> dict[tuple[str, ...], str]:
        """A lab has one network on each engine, so a parent of its own is for a node on another one."""
        problems: dict[tuple[str, ...], str] = {}
        by_engine: dict[str, str | None] = {}
        for name, node in self.nodes.items():
            if node.engine is None and node.parent:
                problems["nodes", name, "parent"] = (
                    "is for a node with `engine`. Say in network.parent what leads there."
                )
            if node.engine and by_engine.setdefault(node.engine, node.parent) != node.parent:
                problems["nodes", name] = f"both nodes are on the engine {node.engine!r}, so both have the same parent."
        return problems

    def _service_problems(self) -> dict[tuple[str, ...], str]:
        problems: dict[tuple[str, ...], str] = {}
        if self.service.given and self.profile == "as-printed":
            problems["service",] = (
                "the profile as-printed is the guide's lab, which serves the guide's page. Leave one of the two out."
            )
        if len(self.nodes) == 2 and self.service.says:
            first, second = (self.service.says.replace("{node}", node) for node in self.nodes)
            if first in second or second in first:
                problems["service", "says"] = (
                    f"{first!r} and {second!r} cannot be told apart, one is in the other. Write what follows the name."
                )
        return problems

    @property
    def contexts(self) -> set[str]:
        """The Docker contexts of the engines that the lab needs beside the current one."""
        return {node.engine for node in self.nodes.values() if node.engine}

    @property
    def preferred(self) -> str:
        """Name of the node that owns the resources when both are well: the first one."""
        return next(iter(self.nodes))

    def peer_of(self, node: str) -> str:
        """Name of the other node. KeyError if `node` is not one of the two."""
        first, second = self.nodes
        return {first: second, second: first}[node]

    @property
    def forwards(self) -> dict[int, str]:
        """Port of the host's loopback interface -> address:port in the lab to which it leads."""
        first, second = (node.address for node in self.nodes.values())
        return {
            self.ports.first_http: f"{first}:80",
            self.ports.second_http: f"{second}:80",
            self.ports.vip_http: f"{self.network.vip}:80",
            self.ports.first_ssh: f"{first}:22",
            self.ports.second_ssh: f"{second}:22",
        }

    def on_subnet(self, subnet: IPv4Network) -> "Spec":
        """The same lab on another subnet of the same prefix length: all addresses keep their host parts.

        ValueError if the prefix length differs.
        """
        old = self.network.pool
        if old.prefixlen != subnet.prefixlen:
            raise ValueError(f"{subnet} has another prefix length than {old}")
        data = self.model_dump()
        data["network"]["subnet"] = subnet
        for name in ("vip", "client", "gateway"):
            data["network"][name] = move(data["network"][name], old, subnet)
        for node in data["nodes"].values():
            node["address"] = move(node["address"], old, subnet)
        return self.model_validate(data)

    def with_options(self, **options: str | float | bool | None) -> "Spec":
        """The same lab with other values, as command-line options of these names give them. None changes nothing.

        Options: name, platform, profile, privileged, keepalive, deadtime. BadInput that names the option if the result
        is not valid.
        """
        changed = {name: value for name, value in options.items() if value is not None}
        data = self.model_dump()
        for name, value in changed.items():
            (data["timing"] if name in Timing.model_fields else data)[name] = value
        try:
            return self.model_validate(data)
        except ValidationError as error:
            places: dict[tuple[str, ...], str] = {
                (("timing", name) if name in Timing.model_fields else (name,)): f"--{name}" for name in changed
            }
            raise bad_option(error, places) from None
