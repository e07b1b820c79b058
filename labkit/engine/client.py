"""The connection to one Docker engine: where it is, what it can do, and what labkit has made in it."""

import hashlib
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import docker
import docker.errors
import requests

from labkit.engine import way as ways
from labkit.errors import LabkitError, NotAvailable

LABEL = "labkit"  # its value is the lab's name
ROLE = "labkit.role"
USER = "labkit.user"  # who made it
GUEST = "labkit.guest"  # on what a lab has on other engines than its own: the identity of its own
ANSWER_S = 120  # longest wait for one answer of the engine: pulling and building take a while
OLDEST_API = (1, 41)  # Docker 20.10
START_ENGINE = (
    "start it (`systemctl start docker`, or `dockerd &` where there is no systemd); on Debian or Ubuntu, as root,"
    " `make lab` installs and starts one"
)
ASK_ELSEWHERE = "is the address right, does an engine run there, and does it listen for you?"
IDENTITY = ("ID", "Name", "DockerRootDir")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turns the SDK's errors into labkit's, with what was being done and what the engine said."""
    try:
        yield
    except docker.errors.DockerException as error:
        said = getattr(error, "explanation", None) or str(error)
        if "no space left" in str(said):
            raise NotAvailable(f"{doing}: the engine's disk is full ({said}); free some space and try again") from error
        raise NotAvailable(f"{doing}: the engine said: {said}") from error
    except requests.exceptions.RequestException as error:
        raise NotAvailable(f"{doing}: the engine does not answer ({error}); {START_ENGINE}") from error


@dataclass(frozen=True)
class Facts:
    """What the engine says of itself; goes into every result."""

    engine: str
    api: str
    kernel: str
    system: str
    cpus: int
    memory_mib: int
    storage: str
    cgroup: str
    where: str


@dataclass(frozen=True)
class Leftover:
    """One thing with labkit's label: kind is container, network, volume, host link or folder.

    user: who made it; empty where nothing says so, as of what plain Compose makes. guest_of: the identity of the lab's
    own engine, where that is another one than this.
    """

    kind: str
    name: str
    lab: str
    user: str = ""
    guest_of: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether it is this user's to remove; what nobody's name stands on is anybody's."""
        return self.user in ("", this_user())


@cache
def this_user() -> str:
    """Who runs labkit, as what is made is marked. An engine may have users of several machines, whose ids alone may be
    the same."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # as in a container that was given just some id
        name = "user"
    return f"{name} (uid {uid})"


class Engine:
    """One Docker engine, reached as DOCKER_HOST or the current Docker context says."""

    def __init__(self, client: docker.DockerClient, way: ways.Way) -> None:
        self.client = client
        self.way = way

    @classmethod
    def connect(cls, context: str | None = None) -> "Engine":
        """context: a Docker context, in place of what is set. Raises NotAvailable where no engine answers or it is too
        old."""
        way = ways.find(context)
        where = way.where
        try:
            with translated("asking the engine for its version"):
                client = docker.DockerClient(base_url=way.address, tls=way.tls, timeout=ANSWER_S)
                version = client.version()
        except LabkitError as error:
            told = "\n".join(filter(None, (str(error), way.trouble())))
            hint = START_ENGINE if where.startswith(ways.UNIX) else ASK_ELSEWHERE
            raise NotAvailable(f"no Docker engine answers at {where}; {hint}\n({told})") from error
        api = tuple(int(part) for part in version["ApiVersion"].split("."))
        if api < OLDEST_API:
            oldest = ".".join(map(str, OLDEST_API))
            raise NotAvailable(
                f"the engine at {where} is {version['Version']} (API {version['ApiVersion']});"
                f" labkit needs Docker 20.10 (API {oldest}) or later"
            )
        return cls(client, way)

    def answers(self) -> bool:
        """Whether it still does."""
        try:
            with translated("asking the engine whether it is there"):
                return bool(self.client.ping())
        except LabkitError:
            return False

    @property
    def where(self) -> str:
        """Its address, as the user gave it."""
        return self.way.where

    @cached_property
    def _info(self) -> dict[str, Any]:
        with translated("asking the engine about its host"):
            return dict(self.client.info())

    @cached_property
    def identity(self) -> str:
        """What tells it from every other engine, by whatever way it is reached; 8 characters.

        Engines on copies of one machine share the first of the three, two engines on one host the first and second.
        """
        return hashlib.sha256("\n".join(self._info[key] for key in IDENTITY).encode()).hexdigest()[:8]

    @property
    def machine(self) -> str:
        """The processor's kind, as `uname -m` says there."""
        return str(self._info["Architecture"])

    @cached_property
    def facts(self) -> Facts:
        info = self._info
        with translated("asking the engine for its version"):
            version = self.client.version()
        return Facts(
            engine=version["Version"],
            api=version["ApiVersion"],
            kernel=info["KernelVersion"],
            system=info["OperatingSystem"],
            cpus=info["NCPU"],
            memory_mib=info["MemTotal"] // 2**20,
            storage=info["Driver"],
            cgroup=f"v{info.get('CgroupVersion', '1')}",
            where=self.where,
        )

    def run_helper(self, image: str, lab: str, command: list[str], **options: Any) -> str:
        """Runs a short-lived container to its end and returns its output; it is removed whatever happens.

        It has no capabilities but those in the options. Raises NotAvailable with the output if the command fails.
        image: any of labkit's images.
        """
        with translated(f"running a helper container for {command[0]}"):
            helper = self.client.containers.create(
                image,
                entrypoint=command,
                labels=self.labels(lab, "helper"),
                healthcheck={"test": ["NONE"]},
                **{"cap_drop": ["ALL"], **options},
            )
            try:
                # Attached before it starts: on a busy machine the engine's log of it can still lack what it printed
                # when it has ended.
                printed = helper.attach(stream=True)
                helper.start()
                output = b"".join(printed).decode("utf-8", "replace")
                code = helper.wait()["StatusCode"]
            finally:
                helper.remove(force=True)
        if code != 0:
            raise NotAvailable(
                f"`{' '.join(command)}` in a helper container ended with exit code {code}:\n{output.strip()}"
            )
        return output

    @cached_property
    def is_local(self) -> bool:
        """Whether the engine's host is this host, so that its 127.0.0.1 is ours; False in doubt."""
        rootless = "name=rootless" in (self._info.get("SecurityOptions") or ())  # it brings its ports to the host's own
        return self.way.shares_loopback or (rootless and self.where.startswith(ways.UNIX))

    def labels(self, lab: str, role: str, guest_of: str = "") -> dict[str, str]:
        """The labels that everything of a lab carries. guest_of: see Leftover."""
        return {LABEL: lab, ROLE: role, USER: this_user(), **({GUEST: guest_of} if guest_of else {})}

    @staticmethod
    def filters(lab: str | None) -> dict[str, str | list[str] | bool]:
        """What to filter by to see one lab's things, or with None everybody's."""
        return {"label": LABEL if lab is None else f"{LABEL}={lab}"}
