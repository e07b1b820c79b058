"""What is typed in a lab for each of the guide's steps: shell commands, made from the lab's spec. Pure.

An editor cannot be typed into from here, so sed makes the edits; they are those of `render`, line by line.
"""

import re

from labkit import render
from labkit.heartbeat import commands
from labkit.render import MONITOR_MARK, MONITRC
from labkit.spec import Spec

FOLDER = "/etc/ha.d"
EDITED = ("ha.cf", "haresources", "authkeys")
REFUSED = "Connection refused"  # as curl says it when it is asked for details; its error alone may not tell


def on_node(step: str, spec: Spec, node: str, key: str) -> tuple[str, ...]:
    """What the steps S1 to S12 are on one node, and S14 and S15 on the one that is struck. key: of authkeys."""
    nic = spec.network.interface
    everything = {
        "S1": ("uname -n", f"ip -d link show dev {nic} | grep -oE 'macvlan mode [a-z]+|veth '"),
        "S2": ("command -v unzip", "command -v gzip"),
        "S3": (f"ip -4 -o address show dev {nic}", "pgrep -a -x sshd"),
        "S4": ("dpkg-query -W heartbeat resource-agents",),
        "S5": (
            f"gzip -d {commands.SAMPLES}/ha.cf.gz",
            f"gzip -d {commands.SAMPLES}/haresources.gz",
            f"cd {commands.SAMPLES} && cp {' '.join(EDITED)} {FOLDER}",
        ),
        "S6": (_sed(render.ha_cf_edits(spec, node)), f"grep -vE '^(#|$)' {commands.HA_CF}"),
        "S7": (
            f"echo '{render.haresources(spec, '', node).strip()}' >> {commands.HARESOURCES}",
            f"tail -n 1 {commands.HARESOURCES}",
        ),
        "S8": (
            *(f"echo '{line}' >> {commands.AUTHKEYS}" for line in render.authkeys(spec, "", key).splitlines()),
            f"chmod 600 {commands.AUTHKEYS}",
            f"tail -n 2 {commands.AUTHKEYS}",
            f"ls -l {FOLDER}",
        ),
        "S9": (
            f"{commands.HEARTBEAT_INIT} restart",
            f"{commands.HEARTBEAT_INIT} status",
        ),
        "S10": ("dpkg-query -W apache2",),
        "S11": (
            f"sed -i -E 's/Apache2 (Debian|Ubuntu) Default Page *$/{render.heading(node)}/' {commands.INDEX_HTML}",
            f"grep -n '{render.heading(node)}' {commands.INDEX_HTML}",
        ),
        "S12": (f"{commands.APACHE_INIT} restart", *(_monitor(spec, node) if spec.profile == "corrected" else ())),
        "S14": (f"{commands.APACHE_INIT} stop",),
        "S15": (f"{commands.APACHE_INIT} start", f"{commands.HEARTBEAT_INIT} restart"),
    }
    return everything.get(step, ())


def processes() -> str:
    """Counts Heartbeat's processes."""
    return f"pgrep -c -x {commands.HEARTBEAT_PROCESS}"


def page(address: str) -> str:
    """Gets a page: prints its heading, or what curl says where there is none."""
    return f"curl -sv -m 2 http://{address}/ 2>&1 | grep -m1 -oE '{REFUSED}|[A-Z0-9-]+ ON\\b|timed out|curl: .*'"


def owners(spec: Spec) -> str:
    """Asks by ARP who has the VIP: the MAC address of each answer."""
    return f"arping -r -i {spec.network.interface} -c 3 -W 0.1 {spec.network.vip} | sort -u"


def has_vip(spec: Spec) -> str:
    """Looks whether a node has the VIP, without a question on the network, from which clients would learn."""
    return f"ip -4 -o address show to {spec.network.vip}/32"


def hear(spec: Spec, mac: str) -> str:
    """Makes the client one that has heard that owner of the VIP last."""
    return f"ip neigh replace {spec.network.vip} lladdr {mac} dev {spec.network.interface} nud reachable"


def _sed(edits: dict[str, str]) -> str:
    scripts = (f"-e 's|^{_escaped(re.escape(line))}$|{_escaped(new)}|'" for line, new in edits.items() if line != new)
    return " \\\n    ".join(("sed -i", *scripts, commands.HA_CF))


def _escaped(text: str) -> str:
    """As sed takes it. Python escapes more characters than sed's basic expressions have a meaning for."""
    text = re.sub(r"\\([ #\t-])", r"\1", text)
    return text.replace("\t", r"\t").replace("\n", r"\n")


def _monitor(spec: Spec, node: str) -> tuple[str, ...]:
    return (
        f"cat > {MONITRC} <<'EOF'\n{render.monitrc(spec, node)}EOF",
        f"chmod 600 {MONITRC}; mkdir -p {MONITOR_MARK.rpartition('/')[0]}; touch {MONITOR_MARK}",
        f"monit -c {MONITRC} >/dev/null 2>&1",
        "/usr/lib/labkit/wake-monitor >/dev/null 2>&1 &",
    )
