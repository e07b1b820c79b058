"""What a platform's images are made of, as a list that can be kept and compared: base, build context, every package.

One line each: what, and after the last blank its version. Nothing is pinned by it: the distribution's archive gives
what it has. It tells whether two machines, or two days, have built the same.
"""

from collections.abc import Mapping
from pathlib import Path

from labkit.engine.client import Engine, translated
from labkit.engine.images import CONTENT, ROLES, Images, exists
from labkit.errors import BadInput, NotAvailable

Contents = Mapping[str, str]

_LIST = ["dpkg-query", "-W", "-f", "${binary:Package} ${Version}\n"]
_HEAD = "# What labkit's images were made of: `labkit build --write-lock` wrote it, `labkit build --locked` compares.\n"


def contents(engine: Engine, built: Images) -> Contents:
    """What -> version: `platform`, `base`, `context`, and `ROLE PACKAGE` for every package of each image."""
    with translated("looking at the images"):
        label = engine.client.images.get(built.node).labels[CONTENT]
    found = {"platform": built.platform.name, "base": _base(engine, built), "context": label}
    for role in ROLES:
        told = engine.run_helper(built.digests[role], "build", _LIST, network_mode="none")
        found |= {f"{role} {name}": version for name, version in (line.split() for line in told.splitlines())}
    return found


def _base(engine: Engine, built: Images) -> str:
    """The digest of the base image as its registry has it; one that was made here has none that others could have."""
    reference = built.platform.base
    if not exists(engine, reference):
        return "made-from-the-archive" if exists(engine, built.platform.image("base")) else "unknown"
    with translated(f"looking at {reference}"):
        digests = engine.client.images.get(reference).attrs.get("RepoDigests") or ["unknown"]
    return str(digests[0])


def write(path: Path, found: Contents) -> None:
    """Raises NotAvailable where it cannot be written."""
    lines = "".join(f"{what} {version}\n" for what, version in found.items())
    try:
        path.write_text(_HEAD + lines, encoding="utf-8")
    except OSError as error:
        raise NotAvailable(f"cannot write {path}: {error.strerror}; name another file") from error


def read(path: Path) -> Contents:
    """Raises BadInput, with the line, for a file that write() has not written."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}; `labkit build --write-lock {path}` writes one") from error
    found = {}
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#"):
            what, _, version = line.rpartition(" ")
            if not what:
                raise BadInput(f"{path}, line {number}: this is not a name and a version; write the file anew")
            found[what] = version
    if "platform" not in found:
        raise BadInput(f"{path} names no platform; `labkit build --write-lock {path}` writes a whole one")
    return found


def changes(locked: Contents, now: Contents) -> list[str]:
    """What differs, a line each; nothing if it is the same set."""
    told = []
    for what in sorted({*locked, *now}):
        before, after = locked.get(what), now.get(what)
        if before != after:
            told.append(f"{what}: locked {before or 'nothing'}, built {after or 'nothing'}")
    return told
