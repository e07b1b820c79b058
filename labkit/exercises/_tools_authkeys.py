"""authkeys of a pair, looked at without taking a key along."""

from labkit.errors import BadInput
from labkit.exercises._pair import Facts, Pair
from labkit.heartbeat import authkeys, commands


def signing(pair: Pair) -> Facts:
    """modes: of each node's file, in octal, None where there is none; kinds: the method that each would sign with, None
    where Heartbeat would not take the text; alike: whether both sign with the same method and the same key."""
    modes: dict[str, str | None] = {}
    methods: dict[str, authkeys.Method | None] = {}
    for node in pair.lab.nodes:
        modes[node] = pair.ask(node, f"stat -c %a {commands.AUTHKEYS} 2>/dev/null").output.strip() or None
        methods[node] = _method(pair.read(node, commands.AUTHKEYS) or "")
    first, second = methods.values()
    return {
        "modes": modes,
        "kinds": {node: method.kind if method else None for node, method in methods.items()},
        "alike": first is not None and first == second,
    }


def _method(text: str) -> authkeys.Method | None:
    try:
        read = authkeys.parse(text)
    except BadInput:
        return None
    return read.methods[read.active]
