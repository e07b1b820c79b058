"""Whatever stands in a file or on a command line, the answer is a result or one clear message, never a traceback.

Each reader is fed noise, words of its own grammar in any order, and good files that were damaged. `make fuzz` feeds far
more of it (LABKIT_FUZZ is how many examples each test takes) and says how many there were.
"""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import cli, history, spec
from labkit.campaign.grid import Parameters
from labkit.campaign.sweep import SWEEP
from labkit.checks import judge_all
from labkit.course import grading, roster, submission
from labkit.course.record import RECORD
from labkit.errors import LabkitError
from labkit.heartbeat import authkeys, hacf, haresources
from labkit.measure import result
from labkit.spec import Spec
from labkit.store import HISTORY, RESULT
from tests.unit.histories import failover, run_event

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = int(os.environ.get("LABKIT_FUZZ", "0"))
FED: Counter[str] = Counter()


def examples(usual: int) -> settings:
    """So many in a usual run of the tests; EXAMPLES where that is more."""
    return settings(
        max_examples=max(usual, EXAMPLES),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.fixture(scope="module", autouse=True)
def counted() -> Iterator[None]:
    """Says at the end how much was fed; seen with pytest's -s."""
    yield
    told = ", ".join(f"{count} {what}" for what, count in sorted(FED.items()))
    print(f"\n{FED.total()} inputs read, judged or refused: {told}")


# What is fed


def damaged(good: str) -> st.SearchStrategy[str]:
    """A good file with up to four places cut out, doubled, or overwritten with noise or with one of its own words."""
    own_words = sorted({*good.split(), "\n", " ", "0", "-1", "99999999999999999999", "\\", "#", "\0", "::", ":", "{"})
    places = st.integers(0, len(good))
    edits = st.lists(
        st.tuples(places, st.integers(0, 30), st.sampled_from(own_words) | st.text(max_size=6)), min_size=1, max_size=4
    )

    def edited(changes: list[tuple[int, int, str]]) -> str:
        text = good
        for place, length, filling in changes:
            text = text[:place] + filling + text[place + length :]
        return text

    return edits.map(edited)


def any_text(good: str) -> st.SearchStrategy[str]:
    """Noise, words of the grammar in any order, or a damaged good file."""
    own_words = sorted({*good.split(), "\n", "  ", "\t", "x", "-", "0", "1.5", "\\\n", "#"})
    return st.text() | st.lists(st.sampled_from(own_words)).map(" ".join) | damaged(good)


NOISE = st.binary(max_size=300)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)

SPEC_YAML = spec.to_yaml(Spec())
HA_CF = (
    "logfacility daemon\nkeepalive 2\ndeadtime 5\nwarntime 1500ms\ninitdead 12\nudpport 694\nbcast eth0\n"
    "mcast eth0 225.0.0.1 694 1 0\nmcast6 eth0 ff12::1 694 1 0\nucast eth0 172.23.19.47\nucast6 eth0 fe80::1\n"
    "serial /dev/ttyS0\nbaud 19200\nping 10.0.0.1\nping_group g 10.0.0.1 10.0.0.2\nauto_failback on\nrtprio 5\n"
    "node master-cluster slave-cluster\nrespawn root /usr/bin/x -y\napiauth ipfail uid=root gid=root\nenv A=b,C=d\n"
    "stonith_host * null x\nwatchdog /dev/watchdog\ndebug 1\ncompression bz2\npacemaker off\nautojoin none\n"
)
HARESOURCES = "master-cluster 172.23.19.48 IPaddr::10.0.0.1/24/eth0 \\\n  apache2 # all\nslave-cluster drbd::a::b\n"
ROSTER = 'student,name,engine\nana,"Ana, López",server2\nben,,\n\ncarl;x\n'
AUTHKEYS = "# keys\nauth 1\n1 sha1 secret\n2 crc\n3 md5 other\n"


# Files of Heartbeat and of labkit


@given(text=any_text(HA_CF), node=st.none() | st.sampled_from(["master-cluster", "x"]))
@examples(250)
def test_any_ha_cf_is_read_or_refused(text: str, node: str | None) -> None:
    """And the refusal names the file."""
    FED["ha.cf"] += 1
    refused_or_read(lambda: hacf.parse(text, node=node), "ha.cf")


@given(text=any_text(HARESOURCES), nodes=st.none() | st.just(["master-cluster", "slave-cluster"]))
@examples(200)
def test_any_haresources_is_read_or_refused(text: str, nodes: list[str] | None) -> None:
    FED["haresources"] += 1
    refused_or_read(lambda: haresources.parse(text, known_nodes=nodes), "haresources")


@given(text=any_text(AUTHKEYS), mode=st.none() | st.integers(0, 0o7777))
@examples(200)
def test_any_authkeys_is_read_or_refused(text: str, mode: int | None) -> None:
    FED["authkeys"] += 1
    refused_or_read(lambda: authkeys.parse(text, mode), "authkeys")


@given(data=NOISE | any_text(ROSTER).map(lambda text: text.encode("utf-8", "surrogatepass")))
@examples(120)
def test_any_roster_is_read_or_refused(tmp_path: Path, data: bytes) -> None:
    """And who is read has an id that a folder can be called by."""
    FED["roster"] += 1
    file = tmp_path / "roster.csv"
    file.write_bytes(data)
    for one in refused_or_read(lambda: roster.read(file), "roster.csv") or ():
        assert not {"/", "\0", "\n"} & {*one.student}
        assert one.student not in ("", ".", "..")


@given(data=NOISE | any_text(SPEC_YAML).map(lambda text: text.encode("utf-8", "surrogatepass")))
@examples(120)
def test_any_spec_is_read_or_refused(tmp_path: Path, data: bytes) -> None:
    """What is read can be written and read again."""
    FED["lab.yaml"] += 1
    file = tmp_path / "lab.yaml"
    file.write_bytes(data)
    read = refused_or_read(lambda: spec.load(file), "lab.yaml")
    if read is not None:
        file.write_text(spec.to_yaml(read), encoding="utf-8")
        assert spec.load(file) == read


@given(
    data=NOISE
    | damaged("\n".join(map(json.dumps, [run_event(), *failover()[:6]]))).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    )
)
@examples(200)
def test_any_history_is_read_or_refused(data: bytes) -> None:
    FED["history"] += 1
    refused_or_read(lambda: history.parse(data, "history.jsonl"), "history.jsonl")


def refused_or_read(read: Callable[[], Any], name: str) -> Any:
    """What the reader gives, or None if it refuses, which it does in words that name the file."""
    refusal: LabkitError | None = None
    try:
        return read()
    except LabkitError as error:
        refusal = error
    assert name in str(refusal)
    assert refusal.exit_code == 3
    return None


# Submissions


@given(data=st.data())
@examples(100)
def test_any_file_handed_in_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Noise, and zip files with anything in them or with a few bytes changed."""
    FED["submission"] += 1
    path = tmp_path / "ana.zip"
    content = data.draw(NOISE | st.dictionaries(NAMES, NOISE, max_size=4).map(zipped) | st.just(signed({})))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4)):
        if content:
            at = place % len(content)
            content = content[:at] + bytes([byte]) + content[at + 1 :]
    path.write_bytes(content)
    refused_or_read(lambda: submission.read(path), "ana.zip")


@given(
    changes=st.dictionaries(st.sampled_from(["exercise", "student", "hints", "spec", "facts", "answers", "runs",
                                             "verdict", "attempt"]), VALUES, max_size=3),
    about=st.dictionaries(st.sampled_from(["student", "written", "files", "format"]), VALUES, max_size=1),
    folder=st.sampled_from(["identical-haresources", "", "x/y", ".."]),
    run=NOISE,
)  # fmt: skip
@examples(100)
def test_anything_that_a_student_can_sign_is_graded(
    tmp_path: Path, changes: dict[str, Any], about: dict[str, Any], folder: str, run: bytes
) -> None:
    """The key is the student's own, so nothing that is signed can be trusted to make sense."""
    FED["signed record"] += 1
    record = {
        "exercise": folder,
        "student": "ana",
        "hints": 1,
        "spec": Spec().model_dump(mode="json"),
        "facts": {"lines": {}},
        "answers": {},
        "runs": {"trial": {"sha256": sha256(run).hexdigest()}},
        "verdict": "pass",
        "attempt": "x",
    }
    members = {f"{folder}/{RECORD}": json.dumps(record | changes).encode(), f"{folder}/trial.jsonl": run}
    (tmp_path / "ana.zip").write_bytes(signed(members, about))
    assert len(grading.grade(tmp_path)) == 1


NAMES = st.sampled_from([submission.MANIFEST, submission.SIGNATURE, RECORD, f"a/{RECORD}", "a/b.jsonl", "..", "/x"])
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def signed(members: dict[str, bytes], about: dict[str, Any] | None = None) -> bytes:
    """A submission with a good signature, whatever is in it."""
    manifest = {
        "format": submission.FORMAT,
        "student": "ana",
        "written": "2026-01-01",
        "labkit": "1",
        "key": KEY.public_key().public_bytes_raw().hex(),
        "files": {name: sha256(content).hexdigest() for name, content in members.items()},
    }
    text = json.dumps(manifest | (about or {})).encode()
    return zipped({submission.MANIFEST: text, submission.SIGNATURE: KEY.sign(text).hex().encode(), **members})


# The command line


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty present folder, no engine, and no state of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    for variable in ("XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path


def typed(*arguments: str) -> int:
    """The exit code of a labkit; a mistake of its own comes through."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cli.TRACEBACK, "1")
        code = exit_code(patch, *arguments)
    assert code in (0, 1, 2, 3, 4)
    return code


def exit_code(patch: pytest.MonkeyPatch, *arguments: str) -> int:
    patch.setattr(sys, "argv", ["labkit", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@given(data=NOISE | any_text(SPEC_YAML).map(lambda text: text.encode("utf-8", "surrogatepass")))
@examples(25)
def test_up_refuses_any_file(nowhere: Path, data: bytes) -> None:
    """Bad input, or a good spec and no engine to start it on."""
    FED["up --file"] += 1
    (nowhere / "any.yaml").write_bytes(data)
    assert typed("up", "--file", "any.yaml") in (3, 4)


LINES = [run_event(), *failover(outage_ms=100)]
FIRSTS = [next(number for number, one in enumerate(LINES) if one["event"] == kind) for kind in history.KINDS
          if any(one["event"] == kind for one in LINES)]  # fmt: skip
CHANGES = st.lists(st.tuples(st.sampled_from(FIRSTS), st.integers(0), st.just(...) | VALUES), min_size=1, max_size=3)
"""Which event, which of its fields, and what stands there now; `...` takes the field out."""


@given(changes=CHANGES)
@examples(15)
def test_a_changed_run_is_compared_or_refused(nowhere: Path, changes: list[Any]) -> None:
    """Whatever somebody has written into a history."""
    FED["changed history"] += 1
    write_run(nowhere / "a", LINES)
    write_run(nowhere / "b", changed(changes))
    typed("compare", "a", "b", "--anyway")


@given(changes=CHANGES)
@examples(2)
def test_a_changed_run_is_judged_or_refused(nowhere: Path, changes: list[Any]) -> None:
    """With all that judging draws and writes."""
    FED["changed history, judged"] += 1
    write_run(nowhere / "a", changed(changes))
    typed("judge", "a")


def changed(changes: list[Any]) -> list[dict[str, Any]]:
    events = [dict(one) for one in LINES]
    for index, place, value in changes:
        event = events[index]
        field = sorted(LINES[index])[place % len(LINES[index])]
        event.pop(field, None) if value is ... else event.update({field: value})
    return events


def write_run(folder: Path, events: list[Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / HISTORY).write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")


@given(data=st.data())
@examples(15)
def test_a_changed_result_is_told_or_refused(nowhere: Path, data: st.DataObject) -> None:
    """`runs` and `faults` go on with the others, `report` names the file."""
    FED["result.json"] += 1
    write_run(nowhere / "runs" / "one", LINES)
    text = changed_json(data, RESULT_JSON)
    (nowhere / "runs" / "one" / RESULT).write_text(text, encoding="utf-8", errors="replace")
    assert typed("runs") == 0
    assert typed("faults") == 0
    if json_object(text):  # else the run is judged anew
        typed("report", "runs/one")


@given(data=st.data())
@examples(10)
def test_a_changed_sweep_is_resumed_or_refused(nowhere: Path, data: st.DataObject) -> None:
    """Refused with its name, or taken up, for which there is no engine here."""
    FED["sweep.json"] += 1
    (nowhere / SWEEP).write_text(changed_json(data, SWEEP_JSON), encoding="utf-8", errors="replace")
    assert typed("sweep", "--resume", ".") in (3, 4)


def changed_json(data: st.DataObject, text: str) -> str:
    """A document with some value replaced, or with damage as to any text."""
    document: Any = json.loads(text)
    place = document
    while True:  # down to the value
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not (isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans())):
            break
        place = place[key]
    place[key] = data.draw(VALUES)
    return data.draw(st.just(json.dumps(document)) | damaged(text))


def json_object(text: str) -> bool:
    with suppress(ValueError):
        return isinstance(json.loads(text), dict)
    return False


GRID = Parameters(Spec(), ("2", "1"), ("5",), ("node-kill",), 5, 1, 1)
CELL = {"timing": {"keepalive_ms": 2000, "deadtime_ms": 5000}, "fault": "node-kill", "error": None}
SWEEP_JSON = json.dumps({"parameters": GRID.document(), "cells": [CELL]})
RESULT_JSON = json.dumps(result(LINES, "runs/one") | {"checks": [asdict(one) for one in judge_all(LINES)]})

OPTIONS = {
    "up": ["--name", "--platform", "--profile", "--keepalive", "--deadtime", "--subnet", "--ports", "--file"],
    "failover": ["--fault", "--trials", "--seed", "--assert", "--parallel", "--subnet", "--file"],
    "sweep": ["--keepalive", "--deadtime", "--fault", "--trials", "--resume", "--name", "--parallel"],
    "tune": ["--outage", "--fault", "--watch", "--steps", "--name"],
    "guide": ["--profile", "--lang", "--name", "--subnet", "--ports"],
    "exercise": ["start", "answer", "hint", "submit", "verify", "new", "--lang"],
    "inject": ["--node", "--name"],
    "grade": ["--csv"],
    "report": [],
    "judge": ["--assert"],
    "compare": ["--assert"],
    "status": ["--name", "--lang"],
    "gc": ["--name"],
    "nonsense": [],
}
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["", "-", "--", "auto", "0", "-1", "1e999", "9" * 30, "../x", "/dev/null", "a/b", "loss:share=x", "loss:=",
     "outage.p95 < 6s", "10.0.0.0/24", "::1/64", "200ms", "1,2,,", "[red]", "en", "xx"]
)  # fmt: skip


@given(data=st.data())
@examples(60)
def test_nonsense_on_the_command_line_is_refused(nowhere: Path, data: st.DataObject) -> None:
    """Whatever is typed after a command and after its options: no engine answers here, so nothing succeeds by chance
    that would need one."""
    FED["command line"] += 1
    command = data.draw(st.sampled_from(sorted(OPTIONS)))
    options = data.draw(st.lists(st.sampled_from(OPTIONS[command] or ["--json"]), max_size=2))
    arguments = [word for option in options for word in (option, data.draw(WORDS))]
    typed(command, *arguments, *data.draw(st.lists(WORDS, max_size=2)))


def test_a_mistake_of_labkits_own_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, the exit code of what could not be judged, and the way to see more."""
    monkeypatch.setattr("labkit.cli.labs.found_platforms.discover", lambda: 1 // 0)
    monkeypatch.delenv(cli.TRACEBACK, raising=False)
    assert exit_code(monkeypatch, "platforms") == 2
    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert cli.TRACEBACK in told
    assert "Traceback" not in told


@pytest.mark.parametrize("command", ["report", "judge", "grade", "runs --runs", "faults --runs", "up --file"])
def test_a_name_that_the_system_refuses_is_one_message(nowhere: Path, command: str) -> None:
    """No file can have such a long name."""
    assert typed(*command.split(), "x" * 300) in (3, 4)


@pytest.mark.parametrize("name", ["schema", "platforms"])
def test_a_reader_who_leaves_early_is_no_trouble(name: str) -> None:
    """As in `labkit schema | head -n 1`: no message, however much there is to write."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "labkit", name]
    told = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (told.returncode, told.stderr) == (cli.NOBODY_READS, b"")


def test_a_terminal_that_lacks_signs_gets_others() -> None:
    """What it cannot show is written out, and the command goes on."""
    command = [sys.executable, "-m", "labkit", "runs", "--runs", "días"]
    told = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, b"")
    assert rb"d\xedas" in told.stdout
