"""Run folders: what a run leaves, where, and what is said when it cannot be written or read."""

import json
import re
from pathlib import Path

import pytest

from labkit import store
from labkit.errors import BadInput, NotAvailable
from labkit.store import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A new run folder."""
    return RunFolder.create(tmp_path / "runs", "node-kill")


def test_name_tells_when_and_what(run: RunFolder) -> None:
    """A run folder's name begins with the time in UTC, so that names sort by age, and says what was run."""
    assert re.fullmatch(r"\d{8}T\d{6}Z-node-kill-[0-9a-f]{4}", run.path.name)


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    """Runs that begin in the same second have different folders."""
    assert len({RunFolder.create(tmp_path, "x").path for _ in range(5)}) == 5


def test_root_that_cannot_be_made(tmp_path: Path) -> None:
    """Where the folder cannot be made, the error names it and the option that puts it elsewhere."""
    (tmp_path / "file").touch()
    with pytest.raises(NotAvailable, match=r"cannot make the run folder .*file/\d{8}T.*: Not a directory; use --runs"):
        RunFolder.create(tmp_path / "file", "x")


def test_open_takes_a_folder_with_a_history(run: RunFolder) -> None:
    """A folder that holds a history can be opened again."""
    run.write(store.HISTORY, "")
    assert RunFolder.open(run.path).history == run.history


@pytest.mark.parametrize("name", ["nothing-there", "empty", "file"])
def test_open_refuses_anything_else(tmp_path: Path, name: str) -> None:
    """Anything without a history is refused, with a hint where to find the runs."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=rf"{name} is no run folder: it has no history\.jsonl; `labkit runs` lists"):
        RunFolder.open(tmp_path / name)


@pytest.mark.parametrize("content", ["text\nñ\n", b"\xd4\xc3\xb2\xa1\0"])
def test_write_makes_folders_and_keeps_every_byte(run: RunFolder, content: str | bytes) -> None:
    """Text is stored as UTF-8 and bytes as they are, in folders that are made as needed; a second write replaces."""
    run.write("logs/deep/file", "before")
    run.write("logs/deep/file", content)
    expected = content.encode() if isinstance(content, str) else content
    assert (run.path / "logs/deep/file").read_bytes() == expected


def test_write_that_fails_names_the_file(run: RunFolder) -> None:
    """A file that cannot be written is an error of the environment with its name and the system's reason."""
    run.write("taken", "")
    with pytest.raises(NotAvailable, match=r"cannot write .*/taken/file: (Not a directory|File exists)"):
        run.write("taken/file", "")


def test_write_that_fails_leaves_what_was_there(run: RunFolder) -> None:
    """A file is written whole or not at all: half a result, or half a sweep, would be worse than the one before."""
    run.write(store.RESULT, "before")
    (run.path / f".{store.RESULT}.part").mkdir()
    with pytest.raises(NotAvailable, match=r"cannot write .*result\.json"):
        run.write(store.RESULT, "after")
    assert (run.path / store.RESULT).read_text() == "before"


def test_json_is_readable_by_people_and_machines(run: RunFolder) -> None:
    """A document is stored indented, unescaped and ended by a newline, and reads back as it was."""
    document = {"run": "año", "outage_ms": None, "trials": [1, 2.5]}
    run.write_json(store.RESULT, document)
    text = (run.path / store.RESULT).read_text(encoding="utf-8")
    assert (json.loads(text), run.result()) == (document, document)
    assert "año" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("content", [None, "", "{", b"\xff"])
def test_a_run_cut_short_has_no_result(run: RunFolder, content: str | bytes | None) -> None:
    """A result that is missing, or torn in the middle of its writing, is no result and no error."""
    if content is not None:
        run.write(store.RESULT, content)
    assert run.result() is None


def test_rendered_files_come_back_by_node_and_path(run: RunFolder) -> None:
    """What the nodes ran with is read back as NODE/path, in order, whatever bytes are in it; nothing else is."""
    assert run.rendered() == {}
    run.write("rendered/slave-cluster/etc/ha.d/ha.cf", "b")
    run.write("rendered/master-cluster/etc/ha.d/ha.cf", b"a\xff")
    run.write("spec.yaml", "x")
    assert list(run.rendered().items()) == [
        ("master-cluster/etc/ha.d/ha.cf", "a\ufffd"),
        ("slave-cluster/etc/ha.d/ha.cf", "b"),
    ]


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    """Folders with a history are listed by age, other folders are not, and no root means no runs."""
    assert store.runs(tmp_path / "nothing-there") == []
    names = ["20240501T100000Z-node-kill-aaaa", "20240430T235959Z-node-kill-ffff", "20240501T100001Z-apache-stop-0000"]
    for name in names:
        RunFolder(tmp_path / name).write(store.HISTORY, "")
    (tmp_path / "20240501T100002Z-empty-0000").mkdir()
    assert [run.path.name for run in store.runs(tmp_path)] == sorted(names)
