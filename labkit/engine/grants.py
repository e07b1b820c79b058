"""What a node may do. `privileged` is the lab's setting; where the engine cannot grant that, as much as there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labkit.engine.client import Engine, translated
from labkit.errors import NotAvailable

# Linux capabilities by bit, include/uapi/linux/capability.h, as far as Docker 20.10 knows them.
CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
)

# What acts on the one kernel that the host shares with all containers, its clock first, and serves no lab: no node gets
# these.
OF_THE_HOST = (
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_PACCT",
    "SYS_BOOT",
    "SYS_TIME",
    "AUDIT_CONTROL",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
)

# A privileged container has all of the host's /dev, and nothing hidden or read-only. What any other container has in
# /dev stays; /proc/sys stays writable but for the host's own settings, which belong to no namespace.
DEVICES = {"console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "tty", "urandom", "zero"}
DEVICES |= {"stdin", "stdout", "stderr"}
HIDDEN = ("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/scsi", "/proc/sysrq-trigger", "/sys/firmware")
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys/kernel", "/proc/sys/vm", "/sys")

# The engine ignores cap_drop for privileged containers. So the first process gives capabilities up, for itself and all
# that come of it, and becomes the image's own. $1: their bits, with commas; then the command. Inherited ones, which
# engines before 20.10.14 hand out, would survive that and are given up as well (linux/capability.h, version 3).
GIVE_UP = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
for bit in sys.argv[1].split(","):
    libc.prctl(24, int(bit), 0, 0, 0)  # PR_CAPBSET_DROP
head, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
libc.capget(head, sets)
sets[2] = sets[5] = 0
libc.capset(head, sets)
os.execv(sys.argv[2], sys.argv[2:])
"""

# What each kind of container needs, and nothing else, by experiment: `make capabilities` takes them away one by one.
# docs/least-privilege.md tells what breaks without each.
LEAST: Mapping[str, tuple[str, ...]] = {
    "node": (
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "KILL",
        "SETGID",
        "SETUID",
        "NET_ADMIN",
        "NET_RAW",
        "SYS_CHROOT",
    ),
    "client": ("CHOWN", "KILL", "SETGID", "SETUID", "NET_ADMIN", "NET_RAW"),
    "gateway": (),
    "helper": ("NET_ADMIN",),
}


@dataclass(frozen=True)
class Grant:
    """name: privileged, granted or least. options: the engine's options for it. remark: what had to be left out."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    remark: str = ""


def only(kind: str) -> dict[str, Any]:
    """The engine's options for the least set of a kind of container: node, client, gateway or helper."""
    return {"cap_drop": ["ALL"], "cap_add": list(LEAST[kind])}


def least() -> Grant:
    """The smallest set of capabilities that a node works with."""
    return Grant("least", only("node"))


def given_up(command: Sequence[str]) -> list[str]:
    """A command of a privileged container, without what is the host's."""
    bits = ",".join(str(CAPABILITIES.index(name)) for name in OF_THE_HOST)
    return ["/usr/bin/python3", "-c", GIVE_UP, bits, *command]


def most(engine: Engine, image: str, lab: str) -> Grant:
    """Privileged where the engine can, otherwise every capability that its host has; neither with what is the host's.

    image: any of labkit's images but the browser's, for they begin alike.
    """
    try:
        devices = engine.run_helper(image, lab, ["ls", "-A", "/dev"], network_mode="none", privileged=True).split()
    except NotAvailable:
        return _granted(engine, image, lab)
    with translated(f"looking at the image {image}"):
        entrypoint = engine.client.images.get(image).attrs["Config"]["Entrypoint"]
    options = {
        "privileged": True,
        "hidden": [*HIDDEN, *(f"/dev/{name}" for name in devices if name not in DEVICES)],
        "read_only": READ_ONLY,
        "entrypoint": given_up(entrypoint),
    }
    return Grant("privileged", options)


def _granted(engine: Engine, image: str, lab: str) -> Grant:
    status = engine.run_helper(image, lab, ["cat", "/proc/1/status"], network_mode="none", pid_mode="host")
    bounding = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:"))
    there = [name for bit, name in enumerate(CAPABILITIES) if bounding >> bit & 1]
    missing = [name for name in CAPABILITIES if name not in there]
    options = {
        "cap_drop": ["ALL"],
        "cap_add": [name for name in there if name not in OF_THE_HOST],
        "security_opt": ["seccomp=unconfined"],
    }
    but = f" but {', '.join(missing)}" if missing else ""
    remark = f"the engine cannot run privileged containers; the nodes get the same capabilities{but}"
    return Grant("granted", options, remark)
