"""The files that both nodes must have alike are alike, by the digests in the run's header."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from labkit.checks import Finding
from labkit.heartbeat import commands
from labkit.history import Event, header
from labkit.measure import TrialMeasures

name = "config-identical"
describe = "haresources and authkeys are the same on both nodes."
ALIKE = (commands.HARESOURCES, commands.AUTHKEYS)  # ha.cf is not: it names the peer's address


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding:
    config = header(events).get("config") or {}
    digests = {path: [files.get(path) for files in config.values()] for path in ALIKE}
    if len(config) < 2 or any(None in found for found in digests.values()):
        return Finding("unknown", "the run does not say what the files were")
    differ = [PurePosixPath(path).name for path, found in digests.items() if len(set(found)) > 1]
    if differ:
        return Finding("fail", f"not the same on {' and '.join(config)}: {', '.join(differ)}")
    return Finding("pass", f"the same on {' and '.join(config)}: {', '.join(PurePosixPath(p).name for p in ALIKE)}")
