"""The history: written line by line, read back whole, and wrong in no other way than BadInput."""

import json
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import BadInput
from labkit.history import History, header, read, trials
from tests.unit.histories import TrialBuilder, at_ns, failover, run_event


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    """Events come back equal and in order, and each is in the file before the next one is written."""
    path = tmp_path / "history.jsonl"
    events = [run_event(), *TrialBuilder().start().request(0, server="máster").end(10).events]
    with History.create(path) as history:
        for count, event in enumerate(events, 1):
            history.append(event)
            assert read(path) == events[:count]
    assert len(path.read_text("utf-8").splitlines()) == len(events)


def test_a_history_is_never_overwritten(tmp_path: Path) -> None:
    """A second run cannot take the first one's file."""
    path = tmp_path / "history.jsonl"
    History.create(path).close()
    with pytest.raises(BadInput, match=r"history\.jsonl exists already"):
        History.create(path)


def test_threads_do_not_tear_each_others_lines(tmp_path: Path) -> None:
    """Events appended from several threads at once are all whole."""
    path = tmp_path / "history.jsonl"
    with History.create(path) as history:

        def write(number: int) -> None:
            for event in TrialBuilder(number).asked(0, 1000, "timeout").events:
                history.append(event)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [len(trial.events) for trial in trials(read(path))] == [100] * 8


def test_an_event_without_its_fields_is_refused_when_written(tmp_path: Path) -> None:
    """A mistake shows while the run goes on, not when it is judged; nothing of it is in the file."""
    path = tmp_path / "history.jsonl"
    with History.create(path) as history:
        with pytest.raises(BadInput, match="a `fault` event needs a proper `stage`"):
            history.append({"event": "fault", "trial": 1})
        with pytest.raises(BadInput, match="not an event"):
            history.append({"kind": "fault"})
    assert read(path) == []


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """A run that was killed in the middle of a line keeps every line before it."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(json.dumps(run_event()).encode() + b'\n{"event":"request","t_n')
    assert read(path) == [run_event()]


def test_a_whole_last_line_needs_no_end(tmp_path: Path) -> None:
    """Only the end of the line was lost: the event is whole, and stays."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(json.dumps(run_event()).encode())
    assert read(path) == [run_event()]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not an event"),
        (b'{"event":"request","trial":1}', "needs a proper `t_ns`"),
        (b'{"event":"odd","x":NaN}', "NaN is no number"),
    ],
)
def test_damage_names_file_and_line(tmp_path: Path, line: bytes, says: str) -> None:
    """A line that is no event, and is not the torn last one, is an error that says where and what."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(json.dumps(run_event()).encode() + b"\n" + line + b"\n")
    with pytest.raises(BadInput, match=rf"history\.jsonl, line 2: .*{says}"):
        read(path)


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(BadInput, match=r"none\.jsonl"):
        read(tmp_path / "none.jsonl")


@given(data=st.binary() | st.text().map(str.encode) | st.lists(st.text()).map(lambda x: json.dumps(x).encode() + b"\n"))
def test_nothing_in_a_file_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever is in the file, the reader gives events or BadInput."""
    path = tmp_path_factory.mktemp("history") / "history.jsonl"
    path.write_bytes(data)
    with suppress(BadInput):
        assert all(isinstance(event["event"], str) for event in read(path))


def test_deep_nesting_is_bad_input(tmp_path: Path) -> None:
    """A line that exhausts the JSON reader is damage like any other."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"[" * 200_000 + b"\n")
    with pytest.raises(BadInput, match="line 1"):
        read(path)


def test_a_history_without_a_header_cannot_be_judged() -> None:
    """Without the run event nobody knows what was run."""
    with pytest.raises(BadInput, match="does not begin with a `run` event"):
        header(failover())


def test_a_trial_ends_where_it_says_or_where_it_was_interrupted() -> None:
    """The end is the trial's own event, that of an interruption, or else its last instant."""
    whole = TrialBuilder().start().request(50).end(100)
    broken = TrialBuilder().start().request(50).add("interrupted", t_ns=at_ns(70), reason="Ctrl-C")
    torn = TrialBuilder().start().request(50)
    ends = [trials(builder.events)[0].end_ns for builder in (whole, broken, torn)]
    assert ends == [at_ns(100), at_ns(70), at_ns(50)]
