"""One command at a time on a lab. The lock is the kernel's, on a file, so it ends with its holder, however that ends.

The file says who holds it, and is gone when nobody does; one that a killed command left behind locks nothing. It works
between the commands of one user on one machine, wherever the lab's engine is.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from labkit.errors import NotAvailable
from labkit.progress import Progress
from labkit.resources import locks_dir

_own: set[Path] = set()  # of the labs that this process holds


@contextmanager
def held(lab: str, engine: str, progress: Progress, busy: str | None = None) -> Iterator[None]:
    """For as long as the `with` lasts, no other command changes the lab. Waits for one that does, and says who it is.

    engine: its identity; a lab of the same name on another engine is another lab. To be entered by the main thread, so
    that Ctrl-C ends the waiting; inside another one for the same lab it does nothing. Raises NotAvailable where the
    file cannot be made. busy: what it says in a NotAvailable in place of waiting, before who it is.
    """
    path = _path(lab, engine)
    if path in _own:
        yield
        return
    file = _taken(path, lab, progress, busy)
    _own.add(path)
    try:
        yield
    finally:
        _own.discard(path)
        path.unlink(missing_ok=True)  # first, so that whoever waits finds out that it has a file that nobody else sees
        os.close(file)
        with suppress(OSError):  # others are there
            path.parent.rmdir()


def holder(lab: str, engine: str) -> str | None:
    """Who is changing the lab at present, this process not counted; None if nobody is."""
    path = _path(lab, engine)
    if path in _own:
        return None
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _who(file)
    finally:
        os.close(file)
    return None


def _path(lab: str, engine: str) -> Path:
    return locks_dir() / f"{quote(lab, safe='')}@{engine}.lock"  # a name that was typed, and may be none


def _taken(path: Path, lab: str, progress: Progress, busy: str | None) -> int:
    """A descriptor of the file, locked; what stands in it is this process."""
    while True:
        file = _opened(path)
        try:
            _lock(file, lab, progress, busy)
            if os.path.samestat(os.fstat(file), path.stat()):
                os.ftruncate(file, 0)
                os.pwrite(file, f"process {os.getpid()}, `{_command()}`".encode(), 0)
                return file
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # who had the lock has removed this file meanwhile, and nobody else sees it


def _opened(path: Path) -> int:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue  # another one's end has removed the folder in between
        except OSError as error:
            raise NotAvailable(
                f"cannot write {path}: {error.strerror}; set XDG_STATE_HOME to a folder that you may write to"
            ) from error


def _lock(file: int, lab: str, progress: Progress, busy: str | None) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if busy is not None:
            raise NotAvailable(f"{busy}: {_who(file)}") from None
        progress.step(f"the lab {lab!r} is in use by {_who(file)}: waiting until it ends")
        fcntl.flock(file, fcntl.LOCK_EX)


def _who(file: int) -> str:
    return os.pread(file, 500, 0).decode("utf-8", "replace") or "another process"


def _command() -> str:
    return " ".join(["labkit", *sys.argv[1:]])[:300]
