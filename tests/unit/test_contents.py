"""The list of what images are made of: written, read, compared. That it is made of real images is in tests/docker."""

from pathlib import Path

import pytest

from labkit.engine import contents
from labkit.errors import BadInput

SET = {"platform": "debian-12", "base": "debian@sha256:1f", "node heartbeat": "1:3.0.6-13+b2", "client socat": "1.7"}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """And is the same set."""
    contents.write(tmp_path / "lock", SET)
    assert contents.read(tmp_path / "lock") == SET
    assert contents.changes(SET, SET) == []


def test_every_difference_is_told() -> None:
    """Another version, a package more, a package less."""
    now = {**SET, "node heartbeat": "1:3.0.7", "node nano": "7.2"}
    del now["client socat"]
    assert contents.changes(SET, now) == [
        "client socat: locked 1.7, built nothing",
        "node heartbeat: locked 1:3.0.6-13+b2, built 1:3.0.7",
        "node nano: locked nothing, built 7.2",
    ]


@pytest.mark.parametrize(
    ("text", "says"), [(b"one\n", "line 1"), (b"\xff", "cannot read"), (b"", "no platform"), (b"# x\n\na\n", "line 3")]
)
def test_another_file_is_refused(tmp_path: Path, text: bytes, says: str) -> None:
    """With the line that is none of ours."""
    (tmp_path / "lock").write_bytes(text)
    with pytest.raises(BadInput, match=says):
        contents.read(tmp_path / "lock")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read"):
        contents.read(tmp_path / "none")
