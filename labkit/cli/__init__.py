"""The command line: arguments, printing and exit codes; nothing else prints or exits. Rank 11.

common: what all commands share. labs: the lab by hand. faults: the catalogue, and faults by hand. experiments: failover
and what became of it. campaigns: many runs with one question. worker: runs trials for others. watch: the live view.
guide: the guide put to the test. exercises, teaching, classes: the course. about: versions, and the pages offline.
show: tables and the timeline while it happens.
"""

import os
import signal
import sys
import threading
import traceback
from io import TextIOWrapper
from types import FrameType
from typing import Any

import typer

from labkit.cli import about, campaigns, classes, exercises, experiments, faults, guide, labs, teaching, watch, worker
from labkit.cli.common import EXIT, INTERRUPTED, complain, in_words
from labkit.errors import BadInput, LabkitError, NotAvailable

# Click's own base of wrong use; typer carries Click inside from some version on, so it is found through typer.
WrongUse: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

NOBODY_READS = 1  # the code that typer has for it, where it notices first: `labkit runs | head -n 1`
AGAIN_S = 0.05
TRACEBACK = "LABKIT_TRACEBACK"  # set, a mistake of labkit's own shows where it was made

app = typer.Typer(
    name="labkit",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A reproducible failover lab: a real Heartbeat pair, real faults, and what a client saw of them, to the "
    "millisecond.\n\nExit codes: 0 as expected; 1 a check failed; 2 unknown (could not be judged); 3 wrong use or bad "
    "input; 4 the environment cannot do it.",
    epilog="Example: [bold]labkit lab[/bold] builds, starts, checks, fails over; [bold]labkit down[/bold] removes it.",
)
experiments.register(app)
campaigns.register(app)
worker.register(app)
faults.register(app)
watch.register(app)
guide.register(app)
exercises.register(app)
teaching.register(app)
classes.register(app)
labs.register(app)
about.register(app)


def main() -> None:
    """Entry point. Turns every error that labkit raises on purpose into one message and its exit code."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    sys.unraisablehook = _unraisable
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a sign is no reason to stop
    try:
        code = app(standalone_mode=False)  # an Exit inside comes back as its code, None is 0
        sys.stdout.flush()  # here, where it is known what to do if that fails
        sys.exit(code)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except WrongUse as error:
        error.show()
        sys.exit(BadInput.exit_code)
    except KeyboardInterrupt:
        complain("interrupted")
        sys.exit(INTERRUPTED)
    except LabkitError as error:
        complain(in_words(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again at its end
        sys.exit(NOBODY_READS)
    except OSError as error:
        complain(f"the system refuses: {error}")
        sys.exit(NotAvailable.exit_code)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        complain(
            f"this is a mistake of labkit's own: {type(error).__name__}: {error} ({where.filename}:{where.lineno})."
            f" {TRACEBACK}=1 shows all of it; please report that."
        )
        sys.exit(EXIT["unknown"])


def _unraisable(ignored: Any) -> None:
    """Ctrl-C that comes while Python clears an object away is ignored by Python; so it comes again, a moment later."""
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        main_thread = threading.main_thread().ident or 0
        threading.Timer(AGAIN_S, signal.pthread_kill, (main_thread, signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(ignored)


def _as_interrupt(_signal: int, _frame: FrameType | None) -> None:
    """A polite kill cleans up as Ctrl-C does."""
    raise KeyboardInterrupt
