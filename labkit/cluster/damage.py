"""What faults change of a node's network, disk and daemons, and how all of it is undone. Rank 4.

Everything happens in the node's own namespaces: it never reaches the host, and ends with the node's power.
"""

from labkit.engine import Container

MARK = "labkit-"  # begins the comment on each packet filter rule, and the name of each file system, of a fault

# $1: whose rules to take away, MARK with the fault's name, or MARK alone for all.
UNFILTER = """
if iptables-save -t filter | grep -q -e "--comment \\"*$1"; then
    iptables-save -t filter | grep -v -e "--comment \\"*$1" | iptables-restore
fi
"""

# A queue that swallows all that a link sends, frames that no packet filter sees among it: ARP.
UNCUT = """
for link in /sys/class/net/*; do
    tc qdisc show dev "${link##*/}" | grep -q blackhole && tc qdisc del dev "${link##*/}" root
done
true
"""

# Lazily: daemons may still have files open there.
UNMOUNT = f"""
while grep -q '^{MARK}[^ ]* /var ' /proc/self/mounts; do umount -l -R /var || exit; done
"""

LOOP = "yes"
BUSY = f'for loop in $(seq "$1"); do setsid {LOOP} >/dev/null 2>&1 & done'  # $1: so many loops
CALM = f"pkill -KILL -x {LOOP}"

# Every link of the node, whatever its name, and an end of the loops that eat a starved node's CPU.
REVIVE = f"""
ip link set group default up
{CALM}
"""

THAW = "pkill -CONT -x heartbeat; pkill -CONT -x apache2; true"


def mend(node: Container) -> None:
    """Undoes all of it; harmless where there is nothing."""
    node.must("sh", "-c", UNFILTER + UNCUT + UNMOUNT + REVIVE + THAW, "mend", MARK)
