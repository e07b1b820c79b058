"""The contract of a platform's images: what the lab, its monitor and the guide's commands find in a node.

The node here is one that has booted without a configuration: all services but Heartbeat and the monitor run.
"""

import re
from collections.abc import Iterator

import pytest

from labkit import render, spec
from labkit.cluster.making import samples
from labkit.engine import Container, Engine, Placed
from labkit.engine.images import Images
from labkit.errors import LabkitError
from labkit.heartbeat import commands, markers
from labkit.probe.agent import AGENT
from labkit.spec import Spec
from labkit.timing import wait_until
from tests.docker.conftest import LAB, Running

BOOT_S = 30  # longest wait for a node that boots
HEALTH_S = 60  # the engine looks for the first time after 15 s
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
HAND_OVER = "/usr/lib/labkit/hand-over"
VIP, PEER = "172.23.19.48", "slave-cluster"
NIC_OF_THE_GUIDE = "ens18"
NODE_HAS = (
    *("tini", "cl_status", "apache2", "monit", "sshd", "rsyslogd", "logger", "python3", "curl"),
    *("ip", "iptables", "arping", "tcpdump", "nano", "ps", "pgrep", "ifconfig", "unzip"),
    *(commands.HEARTBEAT_INIT, commands.APACHE_INIT, commands.HB_STANDBY, commands.HB_TAKEOVER),
)
CLIENT_HAS = ("tini", "socat", "arping", "tcpdump", "ip", "curl", "ssh-keygen", "python3")
RESOURCE_MANAGER = "sleep 60; : /usr/share/heartbeat/ResourceManager"  # as a command line it looks like the real one


def apache2_serves(node: Container) -> bool:
    return node.run("curl", "-sf", "-m", "2", "-o", "/dev/null", "http://127.0.0.1/").exit_code == 0


def await_boot(node: Container) -> None:
    """Waits until the last thing that a node starts without a configuration is there."""
    wait_until(lambda: apache2_serves(node), bool, BOOT_S, "apache2 serves", node.log_tail)


def logged(node: Container, text: str) -> list[markers.LogLine]:
    """Waits until syslog has a line with that text; all lines until then."""
    told = wait_until(
        lambda: node.must("cat", commands.SYSLOG), lambda log: text in log, BOOT_S, f"{text!r} is in syslog"
    )
    return [line for line in map(markers.parse, told.splitlines()) if line is not None]


@pytest.fixture(scope="module")
def node(running: Running, images: Images) -> Iterator[Container]:
    """A booted node. Tests leave it as they found it."""
    with running(images.node, hostname="contract", cap_add=["NET_ADMIN"]) as booted:
        await_boot(booted)
        yield booted


@pytest.fixture(scope="module")
def client(running: Running, images: Images) -> Iterator[Container]:
    """A client that waits to be told what to do."""
    with running(images.client) as started:
        yield started


def untouched(engine: Engine, image: str, script: str) -> list[str]:
    """What a shell script prints in a container of the image that has not booted, by lines."""
    readable = {"cap_add": ["DAC_READ_SEARCH"]}  # folders of other users, too
    return engine.run_helper(image, LAB, ["sh", "-euc", script], network_mode="none", **readable).splitlines()


# PID 1 and boot


@pytest.mark.parametrize("role", ["node", "client"])
def test_tini_is_pid_1_and_reaps(request: pytest.FixtureRequest, role: str) -> None:
    """PID 1 is tini, and a process whose parents are gone does not stay a zombie when it ends."""
    container: Container = request.getfixturevalue(role)
    assert container.must("cat", "/proc/1/comm").strip() == "tini"
    orphan = container.must("sh", "-c", "(sh -c 'exec >&- 2>&-; sleep 0.1' & echo $!)").strip()
    wait_until(
        lambda: container.run("cat", f"/proc/{orphan}/stat"), lambda seen: seen.exit_code != 0, 10, "tini has reaped it"
    )


def test_boot_clears_what_the_last_run_left(running: Running, images: Images) -> None:
    """Pid files of the last run go at boot, and Heartbeat's folder is made anew with its owner and mode."""
    with running(images.node) as node:
        await_boot(node)
        stale = ["heartbeat.pid", "monit.pid"]
        node.must("sh", "-euc", f"cd /run; rm -rf heartbeat; for name in {' '.join(stale)}; do echo 21 >$name; done")
        node.kill()
        node.start()
        await_boot(node)
        assert [name for name in stale if node.run("test", "-e", f"/run/{name}").exit_code == 0] == []
        assert node.must("stat", "-c", "%U:%G %a", "/run/heartbeat").strip() == "hacluster:haclient 750"
        assert node.run("test", "-d", "/run/resource-agents").exit_code == 0


def test_engine_finds_the_node_healthy(node: Container) -> None:
    """The image's own health check passes on a booted node."""
    wait_until(lambda: node.inspect()["State"]["Health"]["Status"], lambda now: now == "healthy", HEALTH_S, "healthy")


@pytest.mark.parametrize(
    ("service", "start"), [("rsyslogd", ["rsyslogd"]), ("sshd", ["/usr/sbin/sshd"])], ids=["rsyslogd", "sshd"]
)
def test_health_check_misses_a_service(node: Container, service: str, start: list[str]) -> None:
    """The health check fails while a service that every node needs is gone, and says which."""
    node.must("pkill", "-x", service)
    gone = wait_until(
        lambda: node.run("/usr/lib/labkit/healthy"), lambda seen: seen.exit_code != 0, BOOT_S, f"{service} is missed"
    )
    assert gone.output.strip() == f"{service} is not running"
    node.must(*start)
    wait_until(
        lambda: node.run("/usr/lib/labkit/healthy"), lambda seen: seen.exit_code == 0, BOOT_S, f"{service} is back"
    )


# Programs and packages


@pytest.mark.parametrize("program", NODE_HAS)
def test_node_has(node: Container, program: str) -> None:
    """A node has the programs that the guide's steps, the lab and a student use, where their users look for them."""
    assert node.run("sh", "-c", f"command -v {program}").exit_code == 0


def test_node_has_heartbeat_3_0_6(node: Container) -> None:
    """The daemon is there, wherever its package puts it, and is the version that everything here was measured on."""
    assert node.must("sh", "-c", "dpkg-query -W -f '${Version}' heartbeat").startswith("1:3.0.6-")
    found = node.run("find", "/usr/lib/heartbeat", "/usr/libexec/heartbeat", "-name", "heartbeat", "-type", "f")
    assert re.search(r"^/usr/lib(exec)?/heartbeat/heartbeat$", found.output, re.MULTILINE)


@pytest.mark.parametrize("program", CLIENT_HAS)
def test_client_has(client: Container, program: str) -> None:
    """The client and gateway has what the probe, the check and the forwarding need."""
    assert client.run("sh", "-c", f"command -v {program}").exit_code == 0


def test_client_programs_start(client: Container) -> None:
    """The agent, which the build has compiled, and the page fetcher start, and no compiler is left."""
    assert "--vip" in client.must(AGENT, "--help")
    assert client.run("sh", "-c", "command -v cc gcc as ld").exit_code != 0
    assert client.ask("/usr/lib/labkit/fetch") == []
    told = client.ask("/usr/lib/labkit/stamped", "echo", "hello")
    assert (told["exit_code"], told["output"]) == (0, "hello\n")
    assert told["before_ns"] < told["after_ns"]


def test_client_has_no_heartbeat(client: Container) -> None:
    """Nothing in the client could run Heartbeat or answer as a node."""
    assert client.run("dpkg-query", "-W", "heartbeat").exit_code != 0
    for program in ("cl_status", "apache2", "monit", "sshd"):
        assert client.run("sh", "-c", f"command -v {program}").exit_code != 0, program


@pytest.mark.parametrize("role", ["node", "client"])
def test_image_has_no_left_overs_of_its_build(engine: Engine, images: Images, role: str) -> None:
    """Neither package lists nor caches, nor what the provisioning itself needed, are in an image."""
    places = "/var/lib/apt/lists /var/cache/apt /labkit-shared /usr/sbin/policy-rc.d /tmp"
    script = f"for place in {places}; do find $place -type f 2>/dev/null || true; done"
    assert untouched(engine, images.digests[role], script) == []


# The samples, and what becomes of them


def test_samples_are_the_packages_own(node: Container) -> None:
    """The samples in /usr/share/doc/heartbeat are byte for byte those that the package ships."""
    pattern = r" usr/share/doc/heartbeat/(ha\.cf|haresources|authkeys)(\.gz)?$"
    script = f"cd /; grep -E '{pattern}' /var/lib/dpkg/info/heartbeat.md5sums | md5sum -c -"
    verdicts = node.must("sh", "-euc", script).splitlines()
    assert [line.rpartition(": ")[2] for line in verdicts] == ["OK"] * 3


def test_samples_have_the_guides_sizes(running: Running, images: Images) -> None:
    """Unpacked, the samples are as long as those of the guide's system: read from a container that never ran."""
    with running(images.node, start=False) as created:
        shipped = samples(created)
    sizes = [len(text.encode()) for text in (shipped.ha_cf, shipped.haresources, shipped.authkeys)]
    assert sizes == [10502, 5905, 645]


@pytest.mark.parametrize(
    ("name", "sizes"), [("master-cluster", (10525, 5941, 658)), ("slave-cluster", (10525, 5940, 658))]
)
def test_printed_files_have_the_guides_sizes(
    running: Running, images: Images, name: str, sizes: tuple[int, ...]
) -> None:
    """Edited as the guide prints it, with its NIC, the image's samples become as long as in its figure 9."""
    printed = Spec.model_validate({"profile": "as-printed", "network": {"interface": NIC_OF_THE_GUIDE}})
    with running(images.node, start=False) as created:
        files = render.node_files(printed, samples(created), "unused", name)
    by_path = {file.path: len(file.text.encode()) for file in files}
    assert tuple(by_path[path] for path in (commands.HA_CF, commands.HARESOURCES, commands.AUTHKEYS)) == sizes


@pytest.mark.parametrize("name", list(spec.default().nodes))
def test_page_is_the_nodes_own(node: Container, name: str) -> None:
    """The image's default page can be edited, and then has the text by which the probe knows the node."""
    assert render.heading(name) in render.index_html(samples(node).index_html, name)


def test_monit_takes_the_rendered_configuration(node: Container) -> None:
    """monit's own check of the rendered file finds nothing wrong with it."""
    text = render.monitrc(spec.default(), "master-cluster")
    node.put([Placed("/tmp/monitrc", text.encode(), 0o600)])
    assert "Control file syntax OK" in node.must("monit", "-t", "-c", "/tmp/monitrc")
    node.must("rm", "/tmp/monitrc")


# Secrets and identities


def test_image_has_no_identity(engine: Engine, images: Images) -> None:
    """No image holds a host key, a cluster identity or an SSH key: two nodes would share them."""
    places = "/etc/ssh /var/lib/heartbeat /root/.ssh"
    found = untouched(engine, images.node, f"find {places} -type f")
    assert [path for path in found if re.search(r"ssh_host|hb_uuid|hb_generation|/root/", path)] == []


def test_every_node_has_host_keys_of_its_own(running: Running, images: Images, node: Container) -> None:
    """Two containers of one image have different host keys."""
    with running(images.node) as other:
        await_boot(other)
        first, second = (one.get(HOST_KEY).split()[1] for one in (node, other))
    assert first != second


@pytest.mark.parametrize(
    "setting",
    ["passwordauthentication no", "kbdinteractiveauthentication no", "permitrootlogin (without|prohibit)-password"],
)
def test_sshd_takes_keys_alone(node: Container, setting: str) -> None:
    """sshd, asked for the settings that it really uses, lets nobody in with a password."""
    said = node.must("/usr/sbin/sshd", "-T").replace("challengeresponseauthentication", "kbdinteractiveauthentication")
    assert re.search(rf"^{setting}$", said, re.MULTILINE)


# Services


def test_syslog_has_microseconds(node: Container) -> None:
    """A line in syslog is an RFC 3339 stamp with six digits and an offset, host, tag, text; so is the node's output."""
    node.must("logger", "-t", "contract", "hello")
    line = next(line for line in logged(node, "contract: hello") if line.program == "contract")
    assert (line.host, line.text) == ("contract", "hello")
    stamp = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d contract contract: hello$"
    assert re.search(stamp, node.must("cat", commands.SYSLOG), re.MULTILINE)
    wait_until(
        node.log_tail, lambda told: bool(re.search(stamp, told, re.MULTILINE)), BOOT_S, "it is in the output too"
    )


def test_apache2_obeys_its_init_script(node: Container) -> None:
    """The guide's way to stop, look at and start the web server works, and its exit codes tell the truth."""
    steps = [("status", 0, True), ("stop", 0, False), ("status", 3, False), ("start", 0, True), ("status", 0, True)]
    for verb, code, serves in steps:
        assert node.run(commands.APACHE_INIT, verb).exit_code == code, verb
        assert apache2_serves(node) is serves, verb


def test_reboot_is_harmless(node: Container) -> None:
    """The reboot that Heartbeat calls in despair is logged as such, and the container goes on."""
    before = node.inspect()["State"]["StartedAt"]
    node.must("reboot", "-nf")
    assert "reset-requested" in [line.marker for line in logged(node, "reboot requested (-nf)")]
    state = node.inspect()["State"]
    assert (state["Running"], state["StartedAt"]) == (True, before)


@pytest.mark.parametrize(
    ("has_vip", "moves", "acts"),
    [
        pytest.param(False, False, False, id="no-vip"),
        pytest.param(True, True, False, id="in-mid-move"),
        pytest.param(True, False, True, id="active"),
    ],
)
def test_hand_over_acts_on_the_active_node_alone(node: Container, has_vip: bool, moves: bool, acts: bool) -> None:
    """The monitor's script does nothing without the VIP or in mid-move; otherwise it says so and ends apache2."""
    before = len(logged(node, ""))
    if has_vip:
        node.must("ip", "address", "add", f"{VIP}/32", "dev", "lo")
    if moves:
        node.sdk.exec_run(["sh", "-c", RESOURCE_MANAGER], detach=True)
        wait_until(lambda: node.run("pgrep", "-f", RESOURCE_MANAGER), lambda seen: seen.exit_code == 0, 10, "it moves")
    try:
        assert acts or node.run(HAND_OVER, VIP, PEER) == (0, "")
        if acts:
            node.run(HAND_OVER, VIP, PEER)
        assert apache2_serves(node) is not acts
        node.must("logger", "-t", "contract", f"after {has_vip} {moves}")
        said = [line.marker for line in logged(node, f"after {has_vip} {moves}")[before:]]
        assert ("handing-over" in said) is acts
    finally:
        node.run("pkill", "-f", RESOURCE_MANAGER)
        node.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
        node.run(commands.APACHE_INIT, "start")


def test_a_missing_sample_is_an_error(running: Running, images: Images) -> None:
    """An image without the samples, here the client's, is named as the fault, with the command that mends it."""
    with running(images.client, start=False) as created, pytest.raises(LabkitError, match="labkit build --rebuild"):
        samples(created)
