"""A scheduler of Dask's, as a user starts it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labkit.timing import wait_until

ROOT = Path(__file__).resolve().parents[1]
STARTS_S = 60.0


@contextmanager
def scheduler(folder: Path) -> Iterator[str]:
    """Running on a free port of this machine; gives its address. Its log and what it writes lie in the folder."""
    file, log = folder / "scheduler.json", folder / "scheduler.log"
    here = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    with log.open("wb") as out:
        command = [sys.executable, "-m", "dask", "scheduler", *here]
        of_this_labkit = {**os.environ, "PYTHONPATH": str(ROOT)}  # a sweep refuses a scheduler of another one
        process = subprocess.Popen(command, env=of_this_labkit, stdout=out, stderr=out)
    try:

        def address() -> str | None:
            with suppress(OSError, ValueError):  # not there yet, or not whole
                return str(json.loads(file.read_text())["address"])
            return None

        yield str(wait_until(address, bool, STARTS_S, "the scheduler has written its address", log.read_text))
    finally:
        process.terminate()
        process.wait(STARTS_S)
