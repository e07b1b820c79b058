"""Everything that touches Docker; the only importer of the Docker SDK. Rank 3.

client: the connection. images: pulling, bootstrapping and building. network: the lab's network and its links on the
engine's host. grants: what a node may do. container: one container's life, files, commands and processes.
"""

from labkit.engine.client import GUEST, LABEL, ROLE, USER, Engine, Facts, Leftover, translated
from labkit.engine.container import Container, Done, Placed, Process, Usage

__all__ = [
    "GUEST",
    "LABEL",
    "ROLE",
    "USER",
    "Container",
    "Done",
    "Engine",
    "Facts",
    "Leftover",
    "Placed",
    "Process",
    "Usage",
    "translated",
]
