"""What a node may do. `privileged` is the lab's setting; where the engine cannot grant that, as much as there is."""

from dataclasses import dataclass, field
from typing import Any

from labkit.engine.client import Engine
from labkit.errors import NotAvailable

# Linux capabilities by bit, include/uapi/linux/capability.h up to Linux 5.9.
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
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)

# What Heartbeat, its resource agents, sshd and the faults need, and nothing else.
LEAST = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "NET_BIND_SERVICE",
    "NET_ADMIN",
    "NET_RAW",
    "SYS_CHROOT",
    "AUDIT_WRITE",
)


@dataclass(frozen=True)
class Grant:
    """name: privileged, granted or least. options: the engine's options for it. remark: what had to be left out."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    remark: str = ""


def least() -> Grant:
    """The smallest set that passes all tests."""
    return Grant("least", {"cap_drop": ["ALL"], "cap_add": list(LEAST)})


def most(engine: Engine, image: str, lab: str) -> Grant:
    """Privileged where the engine can, otherwise every capability that its host has. image: any of labkit's images."""
    try:
        engine.run_helper(image, lab, ["true"], network_mode="none", privileged=True)
        return Grant("privileged", {"privileged": True})
    except NotAvailable:
        pass
    status = engine.run_helper(image, lab, ["cat", "/proc/1/status"], network_mode="none", pid_mode="host")
    bounding = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:"))
    missing = [name for bit, name in enumerate(CAPABILITIES) if not bounding >> bit & 1]
    options = {"cap_add": ["ALL"], "cap_drop": missing, "security_opt": ["seccomp=unconfined"]}
    remark = f"the engine cannot run privileged containers; the nodes get every capability but {', '.join(missing)}"
    return Grant("granted", options, remark)
