"""Heartbeat's daemons, as several exercises treat them."""

from collections.abc import Mapping, Sequence
from functools import partial

from labkit.exercises import Judged
from labkit.exercises._pair import Pair
from labkit.heartbeat import commands
from labkit.language import Text, listed, same


def renew(pair: Pair) -> None:
    """Has both nodes read their files anew, and waits until they are at rest. Unlike `restart`, stop and start wait for
    nothing in between."""
    for verb in ("stop", "start"):
        pair.lab.each(partial(pair.ask, script=f"{commands.HEARTBEAT_INIT} {verb}"))
    pair.settle(60)


def unread(pair: Pair) -> dict[str, list[str]]:
    """Node -> its files that have changed since Heartbeat started there."""
    return dict(zip(pair.lab.nodes, pair.lab.each(pair.unread), strict=True))


def read_again(unread: Mapping[str, Sequence[str]]) -> Judged:
    """Whether Heartbeat works with the files that are there: it reads them when it starts, and never again."""
    late = [same(f"{node}: {', '.join(files)}") for node, files in unread.items() if files]
    changed = Text("changed since: {files}", "cambiaron después: {files}").filled(files=listed(late, same("; ")))
    return Judged(
        "files-read",
        "fail" if late else "pass",
        Text("files no younger than the Heartbeat that read them", "archivos anteriores al arranque de Heartbeat"),
        changed if late else Text("none has changed since", "ninguno cambió después"),
        same("ls -l /etc/ha.d; ps -o lstart,args -C heartbeat"),
    )
