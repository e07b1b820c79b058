"""What nodes are granted: the options for each of the three ways. That an engine heeds them, tests/docker and tests/e2e
show; where it refuses privileged containers, as this project's own machine does, only these see that way."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from labkit.engine import Engine, grants
from labkit.errors import NotAvailable

TINI = ["/usr/bin/tini", "--", "boot"]


class Host:
    """An engine's host. bounding: the capabilities that it has, as a mask; refuses privileged containers if it lacks
    any. devices: what lies in its /dev."""

    def __init__(self, bounding: int, devices: str = "") -> None:
        self._bounding = bounding
        self._devices = devices
        image = SimpleNamespace(attrs={"Config": {"Entrypoint": TINI}})
        self.client = SimpleNamespace(images=SimpleNamespace(get=lambda name: image))

    def run_helper(self, image: str, lab: str, command: list[str], **options: Any) -> str:
        if not options.get("privileged"):
            return f"Name:\tinit\nCapEff:\t0\nCapBnd:\t{self._bounding:016x}\n"
        if self._bounding != ALL:
            raise NotAvailable("apply caps: operation not permitted")
        return self._devices


ALL = (1 << 41) - 1  # Linux has 41 by now, of which Docker 20.10 knows 38
SYS_RESOURCE = 1 << 24


def most(host: Host) -> grants.Grant:
    return grants.most(cast(Engine, host), "any", "any")


def test_privileged_without_what_is_the_hosts() -> None:
    """The host's devices and triggers are hidden, its settings read-only; the usual devices and /proc/sys/net are not.
    The first process gives up what cap_drop cannot take from a privileged container, and becomes the image's own."""
    grant = most(Host(ALL, "null\npts\ntty\ntty0\nvda\nwatchdog\nkmsg\nmapper\n"))
    assert (grant.name, grant.remark) == ("privileged", "")
    options = dict(grant.options)
    assert options.pop("privileged") is True
    assert options["hidden"][-5:] == ["/dev/tty0", "/dev/vda", "/dev/watchdog", "/dev/kmsg", "/dev/mapper"]
    assert "/proc/sysrq-trigger" in options.pop("hidden")
    assert {"/sys", "/proc/sys/kernel"} < set(options["read_only"])
    assert not any(path.startswith("/proc/sys/net") or path == "/proc/sys" for path in options.pop("read_only"))
    python, flag, _, bits, *command = options.pop("entrypoint")
    assert (python, flag, command) == ("/usr/bin/python3", "-c", TINI)
    assert {grants.CAPABILITIES[int(bit)] for bit in bits.split(",")} == set(grants.OF_THE_HOST)
    assert options == {}


def test_granted_is_what_there_is_without_what_is_the_hosts() -> None:
    """Each capability is asked for by name, and only those that the host has and any engine knows."""
    grant = most(Host(ALL & ~SYS_RESOURCE))
    assert grant.name == "granted"
    assert grant.remark.endswith("the nodes get the same capabilities but SYS_RESOURCE")
    assert grant.options["cap_drop"] == ["ALL"]
    assert set(grant.options["cap_add"]) == set(grants.CAPABILITIES) - {"SYS_RESOURCE"} - set(grants.OF_THE_HOST)
    assert "privileged" not in grant.options


def test_the_clock_is_the_hosts() -> None:
    """SYS_TIME is among what no node gets; and no lab needs anything that is."""
    assert "SYS_TIME" in grants.OF_THE_HOST
    assert not {name for names in grants.LEAST.values() for name in names} & set(grants.OF_THE_HOST)


@pytest.mark.parametrize("kind", grants.LEAST)
def test_the_least_is_all_that_is_asked_for(kind: str) -> None:
    """Everything is dropped first, Docker's own choice among it, and what is added are capabilities."""
    assert grants.only(kind) == {"cap_drop": ["ALL"], "cap_add": list(grants.LEAST[kind])}
    assert set(grants.LEAST[kind]) <= set(grants.CAPABILITIES)


def test_capabilities_have_the_kernels_numbers() -> None:
    """Bits of /proc/PID/status and of prctl() are places in this list: some at its ends, from linux/capability.h."""
    numbers = {"CHOWN": 0, "SETPCAP": 8, "SYS_MODULE": 16, "SYS_RESOURCE": 24, "SYS_TIME": 25, "AUDIT_READ": 37}
    assert {name: grants.CAPABILITIES.index(name) for name in numbers} == numbers
    assert len(grants.CAPABILITIES) == 38
