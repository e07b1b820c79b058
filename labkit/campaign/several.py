"""Several pairs that stay: `labkit up --pairs N` makes NAME-1 to NAME-N."""

import re
from contextlib import ExitStack
from dataclasses import replace

from labkit.campaign.pairs import Named, on_own_subnets, starting_at_once, together
from labkit.cluster import Lab, lifecycle
from labkit.engine import Engine, images
from labkit.progress import Progress, Silent
from labkit.spec import Spec

MOST = 99


def up(engine: Engine, spec: Spec, options: lifecycle.Options, count: int, progress: Progress) -> list[Lab]:
    """Brings them up, some at a time; harmless for those that are up already.

    Raises BadInput if a lab cannot have such a name, and else what the first that failed raised, when all have ended:
    those that could be started stay. After Ctrl-C none stays that was not there before.
    """
    names = [spec.with_options(name=f"{spec.name}-{number}").name for number in range(1, count + 1)]
    images.ensure(engine, spec.platform, progress, options.mirror)
    apart = replace(options, auto_ports=True, auto_subnet=True, watched=False)

    def start(one: Spec) -> Lab:
        return lifecycle.up(engine, one, apart, Named(progress, one.name)).lab

    with ExitStack() as stack:
        for name in names:
            stack.enter_context(lifecycle.changing(engine, name, progress))
        new = [name for name in names if lifecycle.find(engine, name) is None]

        def remove() -> None:
            for name in new:
                lifecycle.remove(engine, name, Silent())

        progress.step(
            f"starting {len(new)} pairs, {starting_at_once(engine)} at a time" if new else "all are up already"
        )
        return together(remove, start, on_own_subnets(engine, spec, names), at_once=starting_at_once(engine))


def names_of(engine: Engine, name: str) -> list[str]:
    """The labs NAME-1, NAME-2 and so on of which there is anything, by their labels alone."""
    numbered = re.compile(rf"{re.escape(name)}-(\d+)")
    numbers = {int(found[1]) for one in lifecycle.leftovers(engine, None) if (found := numbered.fullmatch(one.lab))}
    return [f"{name}-{number}" for number in sorted(numbers)]
