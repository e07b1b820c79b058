"""The history of a run: what happened, one event a line (JSON Lines), written first and judged later.

Second stage of the flow's truth: the runner appends while a run goes on; `measure`, `checks`, `plot` and `report` read
and need nothing else. An event is a plain dictionary; `KINDS` says what each kind must hold, and other keys are free.
Instants are CLOCK_MONOTONIC in nanoseconds, and their names end in `_ns`. Instants of different containers of one
engine can be compared.
"""

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TextIO

from typing_extensions import Self

from labkit.errors import BadInput, NotAvailable

Event = dict[str, Any]
_LINE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)

_Fields = Mapping[str, type | tuple[type, ...]]
_NUMBER = (int, float)
_IN_TRIAL: _Fields = {"trial": int, "t_ns": int}
KINDS: Mapping[str, _Fields] = {
    "run": {"fault": str, "trials": int, "cadence_ms": _NUMBER, "limit_ms": _NUMBER, "arp_ms": _NUMBER},
    "trial-start": _IN_TRIAL,
    "armed": _IN_TRIAL,
    "trial-end": _IN_TRIAL,
    "request": {**_IN_TRIAL, "slot": int, "late_us": int, "took_us": int, "outcome": str},
    "arp-probe": _IN_TRIAL,
    "arp": {**_IN_TRIAL, "mac": str, "kind": str},
    "fault": {"trial": int, "stage": str, "fault": str, "node": str, "before_ns": int, "after_ns": int},
    "log": {**_IN_TRIAL, "node": str, "text": str},
    "wire": {**_IN_TRIAL, "kind": str, "mac": str},
    "cpu": {**_IN_TRIAL, "idle_ms": int, "steal_ms": int, "all_ms": int},
    "throttled": {**_IN_TRIAL, "node": str, "throttled_us": int},
    "clock": {**_IN_TRIAL, "wall_ns": int},
    "clocks": {**_IN_TRIAL, "node": str, "error_ns": int},
    "interrupted": {**_IN_TRIAL, "reason": str},
}
"""Kind of event -> the fields that judging relies on, with their JSON types. Kinds that are not listed are kept too."""


class History:
    """Writes a history. Safe to use from several threads; a context manager that closes the file."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path = path
        self._file = file
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: Path) -> Self:
        """Start a new file. BadInput if there is one already: a history is never overwritten."""
        try:
            return cls(path, path.open("x", encoding="utf-8"))
        except FileExistsError:
            raise BadInput(f"{path} exists already, and a history is never overwritten. Name another place.") from None
        except OSError as error:
            raise NotAvailable(f"cannot write {path}: {error.strerror}. Make room, or name another place.") from error

    def append(self, *events: Event) -> None:
        """Write each event as one line and hand them to the system, so that a killed run keeps every finished line.

        BadInput if an event lacks what its kind must hold: better now than when the run is judged.
        """
        for event in events:
            if wrong := _wrong(event):
                raise BadInput(f"{self.path}: {wrong}: {event!r}")
        lines = "".join(_LINE.encode(event) + "\n" for event in events)
        with self._lock:
            try:
                self._file.write(lines)
                self._file.flush()
            except OSError as error:
                raise NotAvailable(f"cannot write {self.path}: {error.strerror}. Make room and run again.") from error

    def close(self) -> None:
        """Every finished line was handed over by append(), which has told of a full disk."""
        with self._lock, suppress(OSError):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read(path: Path) -> list[Event]:
    """All events of a history, in the order in which they were written.

    A last line without its end that cannot be read was torn by a killed run and is left out. Anything else that is not
    an event is a BadInput that names file and line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read the history {path}: {error.strerror}.") from error
    return parse(data, str(path))


def parse(data: bytes, name: str) -> list[Event]:
    """The same of a history's bytes. name: what errors call it."""
    *lines, rest = data.split(b"\n")
    events = [_parse(name, number, line) for number, line in enumerate(lines, 1)]
    if rest:
        with suppress(BadInput):
            events.append(_parse(name, len(lines) + 1, rest))
    return events


def _parse(path: str, number: int, line: bytes) -> Event:
    try:
        event = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
        wrong = _wrong(event)
    except (ValueError, RecursionError) as error:
        wrong = f"not JSON ({error})"
    if wrong:
        raise BadInput(f"{path}, line {number}: {wrong}. The file is damaged from here on; keep what stands above.")
    assert isinstance(event, dict)
    return event


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _wrong(event: object) -> str | None:
    """What keeps a value from being an event, or None."""
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return "not an event: an object with a text called `event`"
    for name, kind in KINDS.get(event["event"], {}).items():
        if not isinstance(event.get(name), kind):
            return f"a `{event['event']}` event needs a proper `{name}`, and has {event.get(name)!r}"
    return None


@dataclass(frozen=True)
class Trial:
    """The events of one trial, in the order in which they were written."""

    number: int
    events: tuple[Event, ...]

    def of(self, kind: str) -> list[Event]:
        return of_kind(self.events, kind)

    def fault(self, stage: Literal["inject", "heal"]) -> Event | None:
        """The first fault event of that stage. None if it was never reached."""
        return next((event for event in self.of("fault") if event["stage"] == stage), None)

    @property
    def start_ns(self) -> int:
        """The first instant that it knows of."""
        return int(min((event["t_ns"] for event in self.events if "t_ns" in event), default=0))

    @property
    def end_ns(self) -> int:
        """When the trial ended or was interrupted, or else the last instant that it knows of."""
        ends = [*self.of("trial-end"), *self.of("interrupted")] or self.events
        return int(max((event["t_ns"] for event in ends if "t_ns" in event), default=0))


def of_kind(events: Iterable[Event], kind: str) -> list[Event]:
    return [event for event in events if event["event"] == kind]


def header(events: Sequence[Event]) -> Event:
    """The run event: what was run, on what. BadInput if the history does not begin with one."""
    if not events or events[0]["event"] != "run":
        raise BadInput("the history does not begin with a `run` event, so nothing says what was run. Run it again.")
    return events[0]


def trials(events: Iterable[Event]) -> list[Trial]:
    """The trials that were begun, by number."""
    found: dict[int, list[Event]] = {}
    for event in events:
        if isinstance(number := event.get("trial"), int):
            found.setdefault(number, []).append(event)
    return [Trial(number, tuple(found[number])) for number in sorted(found)]
