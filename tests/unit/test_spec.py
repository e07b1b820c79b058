"""The spec: defaults, reading with line numbers, refusals, and the way back to YAML."""

import json
import string
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from labkit.errors import BadInput
from labkit.spec import Limits, Network, Node, Ports, Spec, Timing, default, json_schema, load, to_yaml

SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lab.yaml"


def read(file: Path, text: str) -> Spec:
    """Load a spec from this text."""
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    return load(file)


def refused(file: Path, text: str) -> list[str]:
    """The lines of the error for this text, without the folder."""
    with pytest.raises(BadInput) as caught:
        read(file, text)
    return str(caught.value).replace(f"{file}", file.name).splitlines()


def test_default_is_the_guide_s_lab() -> None:
    """Without a file, names, addresses, times and ports are those of the guide."""
    spec = load(None)
    assert spec == default()
    assert {name: str(node.address) for name, node in spec.nodes.items()} == {
        "master-cluster": "172.23.19.46",
        "slave-cluster": "172.23.19.47",
    }
    assert (str(spec.network.vip), str(spec.network.client)) == ("172.23.19.48", "172.23.19.43")
    assert (spec.timing.keepalive_ms, spec.timing.deadtime_ms) == (2000, 5000)
    assert (spec.timing.warntime_ms, spec.timing.initdead_ms) == (None, None)
    assert (spec.preferred, spec.peer_of("master-cluster")) == ("master-cluster", "slave-cluster")
    assert spec.peer_of("slave-cluster") == "master-cluster"


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "timing:\nnodes:\nnetwork:\n", "\ufeff"])
def test_empty_file_means_defaults(file: Path, text: str) -> None:
    """A file without values, or with sections whose keys are all commented out, is the default lab."""
    assert read(file, text) == default()


def test_spec_is_frozen() -> None:
    """A spec cannot be changed once it is valid."""
    with pytest.raises(ValidationError, match="frozen"):
        default().name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("written", "kept", "milliseconds"),
    [("2", "2", 2000), ("1.5", "1.5", 1500), ("200ms", "200ms", 200), ("'2'", "2", 2000), ("2.0", "2", 2000)],
)
def test_times_are_kept_as_heartbeat_takes_them(file: Path, written: str, kept: str, milliseconds: float) -> None:
    """A time may be a number or text, and is kept as text that can be written into ha.cf as it is."""
    timing = read(file, f"timing: {{keepalive: {written}, deadtime: 30}}").timing
    assert (timing.keepalive, timing.keepalive_ms) == (kept, milliseconds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nmae: x", "line 1: nmae: no such key. Did you mean 'name'?"),
        ("\ntiming:\n  deadtme: 5", "line 3: timing.deadtme: no such key. Did you mean 'deadtime'?"),
        ("zzz: 1", "line 1: zzz: no such key. Use one of: name, platform,"),
        ("network: {foo: 1}", "line 1: network.foo: no such key. Use one of: subnet,"),
        ("nodes: {a: {adress: 172.23.19.5}, b: }", "line 1: nodes.a.adress: no such key. Did you mean 'address'?"),
        ("name: 5", "line 1: name: 5 is not text. Write it in quotes."),
        ("privileged: 1", "line 1: privileged: 1 is not true or false."),
        ("ports: {first_http: '80'}", "line 1: ports.first_http: '80' is not a whole number."),
        ("ports: {first_http: 1.5}", "line 1: ports.first_http: 1.5 is not a whole number."),
        ("ports: 5", "line 1: ports: 5 is not a mapping."),
        ("- a", "the file: ['a'] is not a mapping."),
        ("nodes: [a, b]", "line 1: nodes: ['a', 'b'] is not a mapping."),
        ("name: ", "line 1: name: nothing is not text."),
        ("name: Lab", "line 1: name: 'Lab' cannot start a container's name."),
        ("name: -lab", "line 1: name: '-lab' cannot start a container's name."),
        (f"name: {'x' * 32}", "line 1: name: 'xxx"),
        ("platform: ''", "line 1: platform: the name of the platform is empty."),
        ("profile: printed", "line 1: profile: 'printed' is not possible. Use 'corrected' or 'as-printed'."),
        ("a: [", "line 1: this is not YAML that labkit reads:"),
        ("a: 1\n\tb: 2", "line 2: this is not YAML that labkit reads:"),
        ("a: &x 1", "line 1: this is not YAML that labkit reads: a spec has no anchors"),
        ("name: !!python/name:os.system", "line 1: this is not YAML that labkit reads: a spec has no anchors"),
        ("a: 1\n---\nb: 2", "line 2: this is not YAML that labkit reads: expected a single document"),
        ("a: \0", "line 1: there is a character that YAML does not allow."),
        ('name: "\\UFFFFFFFF"', "this is not YAML that labkit reads:"),
        ("[" * 5000, "the YAML is nested too deep."),
        ("? [a]\n: 1", "line 1: the file: a key is not text."),
        ("name: a\nname: b", "line 2: name: the key is already there on line 1. Remove one of the two."),
        (
            "nodes: {only: {address: 172.23.19.5}}",
            "line 1: nodes: there are 1 nodes. A Heartbeat pair has exactly two.",
        ),
        ("nodes: {a: {}, b: {}, c: {address: 172.23.19.9}}", "line 1: nodes: there are 3 nodes."),
        ("nodes: {Alpha: {}, b: {}}", "line 1: nodes.Alpha: 'Alpha' has capital letters, and Heartbeat lower-cases"),
        ("nodes: {a_b: {}, b: {}}", "line 1: nodes.a_b: 'a_b' is not a host name."),
        ("nodes: {a-: {}, b: {}}", "line 1: nodes.a-: 'a-' is not a host name."),
        (f"nodes: {{{'a' * 64}: , b: }}", f"line 1: nodes.{'a' * 64}: 'aaa"),
        ("nodes: {client: {}, b: {}}", "line 1: nodes.client: 'client' is the name of another machine of the lab."),
        ("network: {vip: 172.23.20.48}", "line 1: network.vip: 172.23.20.48 is outside the subnet 172.23.19.0/24. Use"),
        ("network: {vip: 172.23.19.0}", "line 1: network.vip: 172.23.19.0 is the network address of"),
        ("network: {vip: 172.23.19.255}", "line 1: network.vip: 172.23.19.255 is the broadcast address of"),
        ("network: {vip: 172.23.19.1}", "line 1: network.vip: 172.23.19.1 is the engine's own address in"),
        ("network: {vip: 172.23.19.46}", "line 1: network.vip: 172.23.19.46 is already nodes.master-cluster.address."),
        (
            "network: {vip: 172.23.19.9, client: 172.23.19.9}",
            "line 1: network.client: 172.23.19.9 is already network.vip.",
        ),
        ("network: {vip: 172.23.19.256}", "line 1: network.vip: '172.23.19.256' is not an IPv4 address."),
        ("network: {vip: 'fe80::1'}", "line 1: network.vip: 'fe80::1' is not an IPv4 address. labkit has no IPv6."),
        ("network: {vip: 5}", "line 1: network.vip: 5 is not an IPv4 address."),
        (
            "network: {subnet: 172.23.19.1/24}",
            "line 1: network.subnet: '172.23.19.1/24' has host bits set. Write '172.23",
        ),
        (
            "network: {subnet: 'fd00::/64'}",
            "line 1: network.subnet: 'fd00::/64' is not an IPv4 subnet. labkit has no IPv6",
        ),
        ("network: {subnet: 10.0.0.0/30}", "line 1: network.subnet: 10.0.0.0/30 is too small for the lab."),
        ("network: {subnet: 224.0.0.0/24}", "line 1: network.subnet: 224.0.0.0/24 cannot be given to hosts."),
        ("network: {subnet: nonsense}", "line 1: network.subnet: 'nonsense' is not an IPv4 subnet."),
        (
            "network: {interface: abcdefghijklmnop}",
            "line 1: network.interface: 'abcdefghijklmnop' is not the name of a",
        ),
        ("network: {parent: a/b}", "line 1: network.parent: 'a/b' is not the name of a Linux network interface."),
        (
            "network: {subnet: auto}\nnodes: {alpha: {}, beta: {engine: server}}",
            "line 1: network: nodes on engines of their own meet on a network that their hosts share.",
        ),
        (
            "network: {parent: eth0}\nnodes: {a: {engine: x, parent: eth1}, b: {engine: x}}",
            "line 2: nodes.b: both nodes are on the engine 'x', so both have the same parent.",
        ),
        (
            "network: {parent: eth0}\nnodes: {a: {parent: eth1}, b: {engine: x}}",
            "line 2: nodes.a.parent: is for a node with `engine`.",
        ),
        ("network: {interface: lo}", "line 1: network.interface: 'lo' is not the name of a Linux network interface."),
        ("timing: {keepalive: 1s}", "line 1: timing.keepalive: '1s' is not a time: Heartbeat knows no unit 's'."),
        ("timing: {keepalive: 1sec}", "line 1: timing.keepalive: '1sec' is not a time: Heartbeat knows no unit 'sec'."),
        ("timing: {keepalive: -1}", "line 1: timing.keepalive: '-1' is negative."),
        ("timing: {keepalive: 0}", "line 1: timing.keepalive: '0' is zero to Heartbeat"),
        ("timing: {keepalive: 0.0001}", "line 1: timing.keepalive: '0.0001' is zero to Heartbeat"),
        ("timing: {keepalive: 200 ms}", "line 1: timing.keepalive: '200 ms' is not written plainly."),
        ("timing: {keepalive: 1.2.3}", "line 1: timing.keepalive: '1.2.3' is not written plainly."),
        ("timing: {keepalive: 1:30}", "line 1: timing.keepalive: '1:30' is not a time"),
        ("timing: {keepalive: true}", "line 1: timing.keepalive: true is not a time."),
        ("timing: {warntime: 0}", "line 1: timing.warntime: '0' is zero to Heartbeat"),
        (
            "timing:\n  keepalive: 2\n  deadtime: 4",
            "line 3: timing.deadtime: 4 s is not more than twice keepalive (2 s); Heartbeat refuses it. Use more",
        ),
        (
            "timing: {initdead: 4}",
            "line 1: timing.initdead: 4 s is less than deadtime (5 s); Heartbeat refuses it. Use",
        ),
        ("timing: {udpport: 0}", "line 1: timing.udpport: 0 is too small. Use 1 or more."),
        ("timing: {udpport: 65536}", "line 1: timing.udpport: 65536 is too large. Use 65535 or less."),
        ("ports: {vip_http: 8046}", "line 1: ports.vip_http: 8046 is already ports.first_http."),
        ("limits: {cpus: 0}", "line 1: limits.cpus: 0 is too small."),
        ("limits: {cpus: 1.0e999}", "line 1: limits.cpus: inf is not a finite number."),
        ("limits: {memory_mib: -1}", "line 1: limits.memory_mib: -1 is too small. Use 6 or more."),
    ],
)
def test_refusals_name_file_line_field_and_remedy(file: Path, text: str, expected: str) -> None:
    """Each kind of mistake is one line with file, line, field, what is wrong and what to write instead."""
    assert any(line.startswith((f"lab.yaml, {expected}", f"lab.yaml: {expected}")) for line in refused(file, text)), (
        refused(file, text)
    )


def test_all_refusals_are_listed_in_order(file: Path) -> None:
    """Mistakes of all kinds and sections are reported together, in the order of the file."""
    text = (
        "name: Lab\nname: lab\nnodes:\n  A: {address: 172.23.19.5}\n  b: {address: 172.23.19.48}\n"
        "timing:\n  deadtime: 1\nports:\n  vip_http: 8046\n  x: 1\n"
    )
    places = [line.split(": ")[:2] for line in refused(file, text)]
    assert places == [
        ["lab.yaml, line 1", "name"],
        ["lab.yaml, line 2", "name"],
        ["lab.yaml, line 4", "nodes.A"],
        ["lab.yaml, line 5", "nodes.b.address"],
        ["lab.yaml, line 7", "timing.deadtime"],
        ["lab.yaml, line 10", "ports.x"],
    ]


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a folder, a file that is not UTF-8 and one without permission are errors with a remedy."""
    with pytest.raises(BadInput, match=r"missing\.yaml: there is no such file\."):
        load(tmp_path / "missing.yaml")
    with pytest.raises(BadInput, match=r"this is not a file\. Name the file"):
        load(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"# one\nname: caf\xe9\n")
    with pytest.raises(BadInput, match=r"latin\.yaml, line 2: this is not UTF-8 text\."):
        load(latin)

    def forbid(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", forbid)  # root may read everything
    with pytest.raises(BadInput, match=r"you may not read this file\."):
        load(latin)


def test_keys_and_numbers_have_no_yaml_surprises(file: Path) -> None:
    """Keys are text whatever they look like, and `on` is still true where a truth value is asked for."""
    spec = read(file, "nodes: {on: , 1: }\ntiming: {auto_failback: off}")
    assert list(spec.nodes) == ["on", "1"]
    assert spec.timing.auto_failback is False


def test_default_addresses_follow_the_subnet(file: Path) -> None:
    """With another subnet, addresses that are not given keep their host parts, and those that are given stay."""
    spec = read(file, "network: {subnet: 10.1.0.0/16, client: 10.1.7.7}\nnodes: {a: , b: {address: 10.1.2.3}}")
    assert str(spec.network.vip) == "10.1.0.48"
    assert str(spec.network.gateway) == "10.1.0.44"
    assert str(spec.network.client) == "10.1.7.7"
    assert [str(node.address) for node in spec.nodes.values()] == ["10.1.0.46", "10.1.2.3"]


def test_default_addresses_that_do_not_fit(file: Path) -> None:
    """In a subnet too small for the default host parts, every address that has to be given is named."""
    fields = {line.split(": ")[1] for line in refused(file, "network: {subnet: 10.0.0.0/28}")}
    assert fields == {
        *("network.vip", "network.client", "network.gateway"),
        *("nodes.master-cluster.address", "nodes.slave-cluster.address"),
    }


def test_smallest_subnet_has_room(file: Path) -> None:
    """A /29 is enough, with all addresses given."""
    text = (
        "network: {subnet: 10.0.0.0/29, vip: 10.0.0.2, client: 10.0.0.3, gateway: 10.0.0.4}\n"
        "nodes: {a: {address: 10.0.0.5}, b: {address: 10.0.0.6}}"
    )
    assert str(read(file, text).nodes["b"].address) == "10.0.0.6"


def test_subnet_auto_is_resolved_by_on_subnet(file: Path) -> None:
    """`auto` is kept with the default subnet's addresses, until on_subnet moves them to a real one."""
    spec = read(file, "network: {subnet: auto, vip: 172.23.19.99}")
    assert spec.network.subnet == "auto"
    moved = spec.on_subnet(IPv4Network("10.9.8.0/24"))
    assert moved.network.subnet == IPv4Network("10.9.8.0/24")
    assert str(moved.network.vip) == "10.9.8.99"
    assert str(moved.nodes["master-cluster"].address) == "10.9.8.46"
    with pytest.raises(ValueError, match="another prefix length"):
        spec.on_subnet(IPv4Network("10.0.0.0/16"))


def test_with_options_checks_again() -> None:
    """Times from the command line replace those of the spec and go through the same checks."""
    spec = default().with_options(keepalive="100ms", deadtime=0.5)
    assert (spec.timing.keepalive_ms, spec.timing.deadtime_ms) == (100, 500)
    assert default().with_options() == default()


@pytest.mark.parametrize(
    ("keepalive", "deadtime", "message"),
    [
        (None, "5s", "--deadtime: '5s' is not a time"),
        (None, "4", "--deadtime: 4 s is not more than twice keepalive (2 s); Heartbeat refuses it. Use more than 4 s."),
        ("3", None, "--keepalive: timing.deadtime: 5 s is not more than twice keepalive (3 s)"),
        ("x", "y", "--keepalive: 'x' is not a time"),
    ],
)
def test_with_options_names_the_option(keepalive: str | None, deadtime: str | None, message: str) -> None:
    """A refused time from the command line is reported under its option, not as a place in a file."""
    with pytest.raises(BadInput) as caught:
        default().with_options(keepalive=keepalive, deadtime=deadtime)
    assert str(caught.value).startswith(message)


def test_models_in_python_are_checked_too() -> None:
    """A spec built out of models goes through the same rules as one from a file."""
    network = Network(subnet=IPv4Network("10.1.0.0/16"))
    assert str(Spec(network=network).network.vip) == "10.1.0.48"
    with pytest.raises(ValidationError, match=r"is already nodes\.a\.address"):
        Spec(nodes={name: Node(address=IPv4Address("172.23.19.5")) for name in ("a", "b")})


def test_schema_is_valid_and_described() -> None:
    """The JSON schema is itself valid, describes every field, and takes times as text and as numbers."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    models = [schema, *schema["$defs"].values()]
    assert all("description" in field for model in models for field in model["properties"].values())
    assert schema["$defs"]["Timing"]["properties"]["keepalive"]["type"] == ["string", "number"]
    json.dumps(schema)


@pytest.mark.parametrize(
    ("document", "valid"),
    [
        ({}, True),
        ({"timing": {"keepalive": 2, "deadtime": "500ms"}, "nodes": {"a": {}, "b": {}}}, True),
        (yaml.safe_load(to_yaml(default())), True),
        ({"timing": {"keepalive": "1s"}}, False),
        ({"nodes": {"a": {}}}, False),
        ({"nodes": {"A": {}, "b": {}}}, False),
        ({"unknown": 1}, False),
        ({"network": {"interface": "a/b"}}, False),
        ({"ports": {"first_http": 0}}, False),
    ],
)
def test_schema_agrees_with_the_reader(document: dict[str, object], valid: bool) -> None:
    """What the schema can express, an editor marks as the reader would."""
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(document) is valid


LABELS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20)
TIMES = st.integers(1, 10_000).map(lambda milliseconds: f"{milliseconds}ms")


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Valid specs of all kinds."""
    hosts = draw(st.lists(st.integers(2, 254), min_size=5, max_size=5, unique=True))
    subnet = IPv4Network(f"10.{draw(st.integers(0, 255))}.{draw(st.integers(0, 255))}.0/24")
    addresses = [subnet[host] for host in hosts]
    names = draw(
        st.lists(
            LABELS.filter(lambda name: name not in ("client", "gateway", "localhost")),
            min_size=2,
            max_size=2,
            unique=True,
        )
    )
    keepalive_ms = draw(st.integers(1, 100_000))
    deadtime_ms = draw(st.integers(2 * keepalive_ms + 1, 10**6))
    ports = draw(st.lists(st.integers(1, 65535), min_size=5, max_size=5, unique=True))
    return Spec(
        name=draw(LABELS),
        platform=draw(st.text(string.printable, min_size=1).filter(lambda name: name.strip() and name.isprintable())),
        profile=draw(st.sampled_from(["corrected", "as-printed"])),
        privileged=draw(st.booleans()),
        network=Network(
            subnet=subnet,
            vip=addresses[0],
            client=addresses[1],
            gateway=addresses[2],
            parent=draw(st.sampled_from([None, "eth0", "on"])),
            interface=draw(st.sampled_from(["eth0", "ens18"])),
        ),
        nodes={name: Node(address=address) for name, address in zip(names, addresses[3:], strict=True)},
        timing=Timing(
            keepalive=f"{keepalive_ms}ms",
            deadtime=f"{deadtime_ms}ms",
            warntime=draw(st.one_of(st.none(), TIMES)),
            initdead=draw(st.one_of(st.none(), st.just(f"{deadtime_ms}ms"))),
            auto_failback=draw(st.booleans()),
        ),
        ports=Ports(**dict(zip(Ports.model_fields, ports, strict=True))),
        limits=Limits(cpus=draw(st.floats(0.01, 64)), memory_mib=draw(st.integers(6, 10**6))),
    )


@SHARED_FOLDER
@given(spec=specs())
@example(spec=default().with_options(platform="0E0"))  # text that looks like a number
def test_round_trip(file: Path, spec: Spec) -> None:
    """What to_yaml writes, load reads back as an equal spec, nodes in order, and the schema takes it."""
    text = to_yaml(spec)
    again = read(file, text)
    assert again == spec
    assert list(again.nodes) == list(spec.nodes)
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(text))


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
KEYS = st.one_of(st.sampled_from([*Spec.model_fields, *Network.model_fields, *Timing.model_fields]), st.text())
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner), st.dictionaries(KEYS, inner)))
SECTIONS = st.dictionaries(st.sampled_from(list(Spec.model_fields)), st.dictionaries(KEYS, SCALARS))


@SHARED_FOLDER
@given(text=st.one_of(st.text(), st.one_of(DOCUMENTS, SECTIONS).map(yaml.safe_dump)))
def test_any_text_is_read_or_bad_input(file: Path, text: str) -> None:
    """No text makes the reader fail in any way but BadInput, whose message can be printed."""
    try:
        read(file, text)
    except BadInput as error:
        str(error).encode()
