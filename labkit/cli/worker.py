"""A worker that runs the trials of sweeps that come from elsewhere."""

import re
import socket
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

import typer

from labkit.cli.common import MirrorOption, PlatformOption, cluster_extra, out, progress, read_spec
from labkit.cli.show import findings
from labkit.cluster.doctor import examine
from labkit.engine import Engine, images
from labkit.errors import BadInput, NotAvailable

LOOPBACK = "127.0.0.1"


def worker(
    scheduler: Annotated[str, typer.Argument(help="tcp://ADDRESS:PORT of a Dask scheduler.")],
    pairs: Annotated[int, typer.Option("--pairs", min=1, max=32, help="So many at once on this engine.")] = 1,
    name: Annotated[str | None, typer.Option("--name", help="Its labs begin with it. Default: the host's.")] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address of this machine at which scheduler and sweeps reach the worker.")
    ] = LOOPBACK,
    platform: PlatformOption = None,
    mirror: MirrorOption = "",
) -> None:
    """Runs the trials that `labkit sweep --scheduler` hands out, on this machine's engine. First it runs doctor.

    Whoever reaches the scheduler or the worker can run any program here: read `labkit help cluster` first.

    Example: labkit worker tcp://127.0.0.1:8786 --pairs 2
    """
    if not _is_loopback(urlsplit(scheduler).hostname) and _is_loopback(host):
        raise BadInput(
            f"--host: the scheduler is on another machine, and cannot reach a worker at {host}; give this machine's"
            " address in your VPN, or in a network that you trust"
        )
    with cluster_extra():
        from labkit.campaign.worker import serve
    spec = read_spec(None, _called(name), platform)
    symptoms = examine(spec)
    out.print(findings((one.check, one.state, one.detail) for one in symptoms))
    if missing := [one.check for one in symptoms if one.state == "missing"]:
        raise NotAvailable(f"this machine cannot run trials: {', '.join(missing)}; see above for what mends it")
    engine = Engine.connect()
    with progress(False) as shown:
        images.ensure(engine, spec.platform, shown, mirror)
        serve(scheduler, spec.name, host, engine, spec, pairs, shown)


def _called(name: str | None) -> str:
    """The worker's name, or this host's in letters that a lab's name may have."""
    return name or re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")[:20] or "worker"


def _is_loopback(host: str | None) -> bool:
    """Whether an address is this machine's own. Raises BadInput for none."""
    if not host:
        raise BadInput("the scheduler's address is written like this: tcp://127.0.0.1:8786")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def register(app: typer.Typer) -> None:
    app.command()(worker)
