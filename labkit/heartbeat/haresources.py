"""`haresources` read as Heartbeat 3.0.6 reads it: who owns which resources.

Two programs read this file, and not quite alike. The daemon checks the names of the nodes and nothing else
(heartbeat/config.c, parse_ha_resources); the groups are what the script ResourceManager makes of the lines.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from labkit.heartbeat._c import BLANKS, MAXLINE, buffers, reject, words

_ADDRESS = re.compile(r"[0-9].*\.[0-9].*\.[0-9].*\.[0-9].*", re.DOTALL)  # isip() of ResourceManager
_SCRIPT_BLANKS = " \t"


@dataclass(frozen=True)
class Resource:
    """A script of /etc/ha.d/resource.d or /etc/init.d and its arguments. A bare address stands for `IPaddr`."""

    script: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResourceGroup:
    """What moves together: the preferred node, and its resources in the order of their start."""

    node: str
    resources: tuple[Resource, ...]


def parse(
    text: str, name: str = "haresources", known_nodes: Collection[str] | None = None
) -> tuple[ResourceGroup, ...]:
    """Read the text of a `haresources` file.

    With `known_nodes`, the names of the `node` lines of `ha.cf`, BadInput names the first line whose node is none of
    them; that is all for which the daemon refuses the file.
    """
    if known_nodes is not None:
        _check_nodes(text, name, {node.lower() for node in known_nodes})
    return tuple(_group(line) for line in _script_lines(text))


def _check_nodes(text: str, name: str, known: Collection[str]) -> None:
    """Look at the first word of each line as the daemon does: a comment is not continued, a resource line is."""
    continued = False
    for number, buffer in buffers(text, MAXLINE - 1):
        starts, continued = not continued, buffer[-2:-1] == "\\" and (continued or not _is_comment(buffer))
        node = words(buffer)[0].lower() if starts and not _is_comment(buffer) else None
        if node is not None and node not in known:
            names = ", ".join(sorted(known))
            reject(name, [(number, f"{node!r} is not a node of ha.cf. Use one of: {names}.")])


def _is_comment(buffer: str) -> bool:
    content = buffer.lstrip(BLANKS)
    return not content or content.startswith("#")


def _script_lines(text: str) -> Iterator[list[str]]:
    """Take the lines as the script's sed does: it cuts off the comment, and then joins what follows a `\\` uncut."""
    lines = iter(text.replace("\0", "").split("\n"))
    for first in lines:
        joined = first.partition("#")[0]
        while joined.endswith("\\") and (following := next(lines, None)) is not None:
            joined = joined[:-1] + following
        if line_words := words(joined, _SCRIPT_BLANKS):
            yield line_words


def _group(line: list[str]) -> ResourceGroup:
    node, *resources = line
    return ResourceGroup(node.lower(), tuple(_resource(word) for word in resources))


def _resource(word: str) -> Resource:
    script, *args = (f"IPaddr::{word}" if _ADDRESS.match(word) else word).split("::")
    return Resource(script, tuple(args))
