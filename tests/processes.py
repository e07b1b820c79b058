"""How `make test` deals the tests out to its two processes.

One has what measures on shared pairs, and what takes the lab's own ports and addresses, one after the other; the other
has what brings engines and pairs of its own. Unit tests go wherever there is time.
"""

from pathlib import PurePath

MEASURING = {
    *("test_as_printed.py", "test_campaigns.py", "test_catalogue.py", "test_cli.py", "test_compose.py"),
    *("test_healing.py", "test_instrument.py", "test_interrupt.py", "test_pages.py", "test_up.py"),
}


def scope(nodeid: str) -> str:
    """What of the same scope is run by the same process, in order."""
    path = PurePath(nodeid.split("::", maxsplit=1)[0])
    if "unit" in path.parts:
        return str(path)
    return "measuring" if path.name in MEASURING else "apart"
