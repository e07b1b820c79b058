"""/var is full on the active node, as after a log that nobody rotates.

Nothing happens, and nobody notices: Heartbeat looks at its peer, never at its own disk. It logs through syslog, which
loses the lines, the last one in its middle, and blocks nobody; its pipe and its pid file are not in need of room; the
one file that it writes at a start, hb_generation, is written over in place. apache2 serves on without its access log.
Tried on a full /var, too: hb_standby and a restart of apache2 or of Heartbeat all work. A service that has to write, a
database or an upload, would be dead with its node in charge: that is the monitor's business, and this lab's monitor
asks for a page that apache2 can give.

Predicted outage: none, and no move. apache2 reloads before the fault and at its healing, so that its logs follow; on
a busy machine that holds requests up for a second, which is no part of the outage.

The host's disk is never filled. /var becomes a small file system in memory, in the node's own mount namespace, with all
that was there, and that is filled. The lab's own log is left out, as a site's is that goes to another host: otherwise
nothing would tell what the node did.
"""

from labkit.cluster import Bracket, Lab, damage
from labkit.faults import Expectation
from labkit.heartbeat import commands
from labkit.spec import Spec
from labkit.timing import MS, now_ns, pause_until

name = "disk-full"
describe = "/var is full on the active node: nothing can be logged or saved there any more"
describe_es = "/var está lleno en el nodo activo: allí ya no se puede registrar ni guardar nada"

NEEDS = {"SYS_ADMIN": "to mount a file system on the node"}

GENERATION = "/var/lib/heartbeat/hb_generation"
RELOADED_MS = 1000  # longer than a client's patience: after it, no request that a reload held up is still waiting
SPARE_KIB = 1024  # room beyond what /var holds, so that it can be moved there before it is filled

# Pipes and sockets stay what they are, for their other ends are open already; so does the lab's own log, and what an
# emptied disk must not take back: an old generation number would look like a replay attack to the peer.
MOVE = f"""
set -e
new=/run/{damage.MARK}var
mkdir -p $new
mount -t tmpfs -o mode=755,size=$(($(du -skx /var | cut -f 1) + {SPARE_KIB}))k {damage.MARK}{name} $new
cp -a /var/. $new
for kept in {commands.SYSLOG} {GENERATION} $(find /var -xdev -type p -o -type s); do
    [ -e $new${{kept#/var}} ] && mount --bind $kept $new${{kept#/var}}
done
mount --rbind $new /var
umount -R -l $new
{commands.APACHE_INIT} reload || true  # its logs move, too
"""
FILL = "cat /dev/zero >/var/full 2>/dev/null; ! echo more >>/var/full"
EMPTY = f"{damage.UNMOUNT} {commands.APACHE_INIT} reload || true"


def expect(spec: Spec) -> Expectation:
    return Expectation(
        moves=False,
        outage_ms=(0.0, 0.0),
        both_alive=True,
        why="Heartbeat watches its peer and not its own disk, and neither it nor apache2 needs room in order to go on",
    )


def inject(lab: Lab, node: str) -> Bracket:
    """The bracket is around the filling; /var moves to a file system of its own before that."""
    lab.act(node, "sh", "-c", MOVE)
    lab.await_page(str(lab.spec.nodes[node].address), f"apache2 on {node} serves again after it was told to reload")
    pause_until(now_ns() + RELOADED_MS * MS)
    return lab.act(node, "sh", "-c", FILL)


def heal(lab: Lab, node: str) -> Bracket:
    lab.start(node)
    return lab.act(node, "sh", "-c", EMPTY)
