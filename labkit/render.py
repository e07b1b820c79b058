"""Spec -> files, without touching anything. Rank 2.

Nothing is written free-hand: ha.cf, haresources, authkeys and index.html are the samples of the image itself with the
guide's edits, so that what a student sees in the lab is what the guide tells him to do.
"""

import re
from dataclasses import dataclass

from labkit.errors import LabkitError
from labkit.heartbeat import commands
from labkit.spec import Spec

AUTHKEY_PLACEHOLDER = "LABKIT_KEY"  # plain `docker compose up` puts its own key in this place; see the node's boot
MONITOR_CYCLE_MS = 1000.0  # the shortest that monit knows
MONITOR_TIMEOUT_MS = 1000.0  # of the monitor's own request, as short as monit takes it, too
MONITOR_LOOKS = 2  # a request that fails once may be an accident
MONITRC = "/etc/monit/monitrc"
MONITOR_MARK = "/etc/labkit/monitor"
MONITOR_LOOK = "/etc/labkit/look"
HAND_OVER = "/etc/labkit/hand-over"
STATUS = "/usr/lib/labkit/status"
# The processes of a service that labkit does not know: those that have its port. For use in a command line of a shell.
PORT_HOLDERS = "$(ss -ltnp 'sport = :80' | grep -o 'pid=[0-9]*' | cut -d = -f 2 | sort -u)"


SERVED_BY = "/etc/apache2/conf-enabled/labkit-served-by.conf"
SERVED_BY_HEADER = """\
# Whatever page it is, its answer tells the node.
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
Header always set X-Served-By {node}
"""


@dataclass(frozen=True)
class Samples:
    """Text of the files that the packages ship, and of the image's status script: the starting point of every edit."""

    ha_cf: str
    haresources: str
    authkeys: str
    index_html: str
    status: str


@dataclass(frozen=True)
class File:
    """A file for a node: absolute path there, text, permission bits, and whether it must not be shown to anybody."""

    path: str
    text: str
    mode: int = 0o644
    secret: bool = False


def _replace(text: str, line: str, new: str) -> str:
    """The sample with one whole line exchanged; the line has to be there exactly once."""
    pattern = re.compile(rf"^{re.escape(line)}$", re.MULTILINE)
    changed, count = pattern.subn(lambda _: new, text)
    if count != 1:
        raise LabkitError(f"the sample has the line {line!r} {count} times instead of once: not 3.0.6?")
    return changed


def ha_cf_edits(spec: Spec, node: str) -> dict[str, str]:
    """Step S6 of the guide: line of the sample -> what stands in its place, which may be more than one line."""
    nic = spec.network.interface
    timing = spec.timing
    peer = spec.nodes[spec.peer_of(node)].address
    as_printed = spec.profile == "as-printed"
    first, second = spec.nodes
    edits = {
        "#keepalive 2": f"keepalive {timing.keepalive}",
        "#deadtime 30": f"deadtime {timing.deadtime}",
        "#udpport\t694": f"udpport\t{timing.udpport}",
        "#bcast\teth0\t\t# Linux": f"bcast\t{nic}\t\t# Linux",
        "#mcast eth0 225.0.0.1 694 1 0": f"mcast {nic} 225.0.0.1 {timing.udpport} 1 0",
        # `udp` is an old name of bcast: the guide has it, and so sends each broadcast twice.
        "#ucast eth0 192.168.1.2": f"ucast {nic} {peer}" + (f"\nudp {nic}" if as_printed else ""),
        "#node\tken3": f"node\t{first}",
        "#node\tkathy": f"node\t{second}",
        "auto_failback on": f"auto_failback {'on' if timing.auto_failback else 'off'}",
    }
    if timing.warntime is not None:
        edits["#warntime 10"] = f"warntime {timing.warntime}"
    if timing.initdead is not None:
        edits["#initdead 120"] = f"initdead {timing.initdead}"
    elif not as_printed:
        # The smallest that Heartbeat takes: a node that is alone need not wait for longer than for a dead one.
        edits["#initdead 120"] = f"initdead {timing.deadtime}"
    if not as_printed:
        # Realtime priority and locked memory are refused in most containers and would only fill the log.
        edits["#realtime off"] = "realtime off"
    return edits


def ha_cf(spec: Spec, sample: str, node: str) -> str:
    """Step S6 done. The nodes' files differ only in the peer's address on the ucast line."""
    for line, new in ha_cf_edits(spec, node).items():
        sample = _replace(sample, line, new)
    return sample


def haresources(spec: Spec, sample: str, node: str) -> str:
    """Step S7. As printed each node names itself, which makes two owners; corrected, both files are the same."""
    if spec.profile == "as-printed":
        return f"{sample}{node} {spec.network.vip} apache2\n"
    prefix = spec.network.pool.prefixlen
    vip = f"IPaddr2::{spec.network.vip}/{prefix}/{spec.network.interface}"
    return f"{sample}{spec.preferred} {vip} {spec.service.name}\n"


def authkeys(spec: Spec, sample: str, key: str) -> str:
    """Step S8. As printed: crc, which anybody can forge; corrected: sha1 with a random key."""
    method = "crc" if spec.profile == "as-printed" else f"sha1 {key}"
    return f"{sample}auth 1\n1 {method}\n"


def heading(node: str) -> str:
    """The text that tells one node's page from the other's (step S11)."""
    return f"{node.upper()} ON"


def index_html(sample: str, node: str) -> str:
    """Step S11: the default page with the node's name for a heading."""
    changed, count = re.subn(r"Apache2 (Debian|Ubuntu) Default Page\s*(?=</)", heading(node), sample)
    if count != 1:
        raise LabkitError(f"the default page has {count} headings to replace instead of one")
    return changed


def mark(spec: Spec, node: str) -> str:
    """The text in an answer that tells that it came from this node."""
    if not spec.service.given:
        return heading(node)
    return (spec.service.says or "X-Served-By: {node}\r\n").replace("{node}", node)


def service_script(spec: Spec) -> str:
    """The path in a node of the script that starts and stops the service."""
    return commands.APACHE_INIT if spec.service.is_apache else f"{commands.RESOURCES}/{spec.service.name}"


def monitrc(spec: Spec, node: str) -> str:
    """The monitor of the corrected profile: Heartbeat itself does not look whether the service still serves."""
    name, repeat = spec.service.name, "repeat every 3 cycles"
    if spec.service.is_apache:
        hand_over = f'"/usr/lib/labkit/hand-over {spec.network.vip} {spec.peer_of(node)}" {repeat}'
        page = "" if spec.service.path == "/" else f' request "{spec.service.path}"'
        check = f"""\
check process apache2 with pidfile /run/apache2/apache2.pid
    if does not exist then exec {hand_over}
    if failed port 80 protocol http{page} with timeout {MONITOR_TIMEOUT_MS / 1000:g} seconds for {MONITOR_LOOKS} cycles
        then exec {hand_over}
"""
    else:
        check = f"""\
check program {name} with path "{MONITOR_LOOK}"
    if status != 0 then exec "{HAND_OVER}" {repeat}
"""
    return f"""\
# The monitor of {node}'s {name}. Heartbeat with haresources starts and stops a service; it never looks at it again.
set daemon {MONITOR_CYCLE_MS / 1000:g}
set log syslog
set pidfile /run/monit.pid
set idfile /var/lib/monit.id
set statefile /var/lib/monit.state

{check}"""


def _own_service(spec: Spec, samples: Samples, node: str) -> list[File]:
    """What makes a node run another service than apache2, which the image's own scripts are made for."""
    name, script = spec.service.name, service_script(spec)
    files = [
        File("/etc/apache2/ports.conf", f"# {name} has port 80, and apache2 does not start without a port.\n"),
        File(STATUS, _with_status_of(script, samples.status), mode=0o755),
        File(MONITOR_LOOK, _look(spec), mode=0o755),
        File(HAND_OVER, _hand_over(name, script, spec.peer_of(node)), mode=0o755),
    ]
    if spec.service.resource_agent:
        files.append(File(script, _wrapper(name), mode=0o755))
    return files


def _with_status_of(script: str, sample: str) -> str:
    """The image's status script, which looks for apache2's processes, asking the service's own script."""
    changed = sample.replace("pgrep -f '^/usr/sbin/apache2'", f"timeout 5 {script} status")
    if changed == sample:
        raise LabkitError(f"the image's {STATUS} does not look for apache2; rebuild it with `labkit build --rebuild`")
    return changed


def _look(spec: Spec) -> str:
    return f"""\
#!/bin/sh
# What monit runs: whether the service answers. It is looked at where the VIP is, unless Heartbeat is at work on it.
ip -4 -o address show to {spec.network.vip}/32 | grep -q . || exit 0
pgrep -f /usr/share/heartbeat/ResourceManager >/dev/null && exit 0
curl -sf -m {MONITOR_TIMEOUT_MS / 1000:g} -o /dev/null "http://127.0.0.1{spec.service.path}"
"""


def _hand_over(name: str, script: str, peer: str) -> str:
    """As the image's own for apache2, and a second look first: monit acts on one that is a cycle old."""
    return f"""\
#!/bin/sh
# What monit runs when {name} does not answer: gives all resources to {peer}.
{MONITOR_LOOK} && exit 0
say() {{ logger -p daemon.notice -t labkit-monitor "$*"; }}
say "{name} does not serve: handing over to {peer}"
kill -9 {PORT_HOLDERS} 2>/dev/null # hung, it would keep its script waiting
timeout 5 {commands.HB_STANDBY} all
if [ "$(timeout 3 cl_status nodestatus {peer} 2>/dev/null)" = dead ]; then
    say "{peer} is dead and cannot take over: starting {name} here again"
    exec {script} start
fi
"""


def _wrapper(name: str) -> str:
    """A script of Heartbeat's for an OCF agent, as those that ship: haresources knows no agents."""
    return f"""\
#!/bin/sh
. {commands.RESOURCES}/hto-mapfuncs
usage() {{ echo "usage: $0 $LEGAL_ACTIONS"; }}
OCF_TYPE={name}
OCF_RESOURCE_INSTANCE={name}
rsc_type={name}
export OCF_TYPE OCF_RESOURCE_INSTANCE
ra_execocf "$1"
"""


def node_files(spec: Spec, samples: Samples, key: str, node: str) -> list[File]:
    """Everything that one node needs beyond its image. key: the shared secret of authkeys, one word."""
    files = [
        File(commands.HA_CF, ha_cf(spec, samples.ha_cf, node)),
        File(commands.HARESOURCES, haresources(spec, samples.haresources, node)),
        File(commands.AUTHKEYS, authkeys(spec, samples.authkeys, key), mode=0o600, secret=True),
    ]
    if not spec.service.given:
        files.append(File(commands.INDEX_HTML, index_html(samples.index_html, node)))
    elif spec.service.is_apache:
        files.append(File(SERVED_BY, SERVED_BY_HEADER.format(node=node)))
    else:
        files += _own_service(spec, samples, node)
    if spec.profile == "corrected":
        files.append(File(MONITRC, monitrc(spec, node), mode=0o600))
        files.append(File(MONITOR_MARK, ""))
    return files
