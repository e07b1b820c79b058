"""Ctrl-C, wherever it comes."""

import signal
import subprocess
import sys

UNHEARD = """
import os, signal, threading
from labkit import cli

class Cleared:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

def work():
    gone = Cleared()
    del gone
    print("goes on", flush=True)
    threading.Event().wait(60)

cli.app = lambda standalone_mode: work()
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.main()
"""


def test_an_interrupt_that_python_ignores_comes_again() -> None:
    """In the middle of an object's clearing away Python only tells of it and goes on; labkit ends all the same."""
    done = subprocess.run([sys.executable, "-c", UNHEARD], capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "goes on\n"
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, "labkit: interrupted\n")
