"""The one family of errors. A message says what happened, with which facts, and what to do next.

Only `cli` turns these into text on a terminal and an exit code.
"""


class LabkitError(Exception):
    """Base of everything that labkit raises on purpose."""

    exit_code = 4


class BadInput(LabkitError):
    """The user asked for something that cannot be: a wrong option, a wrong file, an unknown name."""

    exit_code = 3


class NotAvailable(LabkitError):
    """The environment cannot do it: no engine, no space, a port or subnet that somebody else has."""

    exit_code = 4


class Unsettled(LabkitError):
    """A condition did not come true in time. The message holds the last state seen and the logs' tail."""

    exit_code = 4
