"""The user's own service on its way into the nodes: the files that lie beside `lab.yaml`. Rank 4."""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from labkit.engine import Placed
from labkit.errors import BadInput
from labkit.heartbeat import commands
from labkit.render import service_script
from labkit.spec import Spec

MOST_MB = 100  # all of it goes through memory


def files(spec: Spec) -> list[Placed]:
    """What each node gets of the service: its script or agent, and its document root. Nothing without a service.

    Raises BadInput where a file cannot be read, and where there is too much.
    """
    service = spec.service
    found: list[Placed] = []
    if service.init_script:
        found.append(_placed(Path(service.init_script), service_script(spec), 0o755))
    if service.resource_agent:
        found.append(_placed(Path(service.resource_agent), f"{commands.AGENTS}/{service.name}", 0o755))
    if service.document_root:
        root = Path(service.document_root)
        target = commands.WEB_ROOT if service.is_apache else f"/srv/{service.name}"
        left = MOST_MB * 1e6
        for path in _inside(root):
            left -= path.stat().st_size
            if left < 0:
                raise BadInput(f"service.document_root: {root} holds more than {MOST_MB} MB; name a smaller folder")
            found.append(_placed(path, f"{target}/{path.relative_to(root)}", _mode(path)))
    return found


def digest(spec: Spec) -> str:
    """SHA-256 of all these files with their places, which tells whether a lab that is up serves what is asked for.

    Empty without a service. Raises as files().
    """
    if not spec.service.given:
        return ""
    total = sha256()
    for file in files(spec):
        total.update(f"{file.path}\0{file.mode:o}\0{len(file.content)}\0".encode() + file.content)
    return total.hexdigest()


def _inside(root: Path) -> Iterator[Path]:
    """The files of a folder and of those in it, sorted, without Python's caches; a link to a file counts as it."""
    return (path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".pyc")


def _mode(path: Path) -> int:
    return 0o755 if os.access(path, os.X_OK) else 0o644


def _placed(path: Path, target: str, mode: int) -> Placed:
    try:
        return Placed(target, path.read_bytes(), mode)
    except OSError as error:
        raise BadInput(f"service: {path} cannot be read: {error.strerror}; mend it, or name another") from error
