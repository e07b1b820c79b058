"""Heartbeat's daemons, as several exercises treat them."""

from labkit.exercises._pair import Pair
from labkit.heartbeat import commands


def renew(pair: Pair) -> None:
    """Has both nodes read their files anew, and waits until they are at rest. Unlike `restart`, stop and start wait for
    nothing in between."""
    for verb in ("stop", "start"):
        command = f"{commands.HEARTBEAT_INIT} {verb}"
        pair.lab.each(lambda node, command=command: pair.ask(node, command))  # type: ignore[misc]
    pair.settle(60)
