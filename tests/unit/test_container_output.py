"""What a command in a container says is heard from its first byte on."""

import io
import struct
from types import SimpleNamespace

from labkit.engine.container import _pieces


def _answered(*frames: tuple[int, bytes]) -> SimpleNamespace:
    """A stream as the SDK gives it, with the frames in the buffer of the engine's answer."""
    buffer = io.BytesIO(b"".join(struct.pack(">BxxxL", kind, len(piece)) + piece for kind, piece in frames))
    return SimpleNamespace(_response=SimpleNamespace(raw=SimpleNamespace(_fp=SimpleNamespace(fp=buffer))))


def test_output_that_came_with_the_head_of_the_answer_is_heard() -> None:
    """It lies in the answer's buffer; the socket beneath has no more to say."""
    said = [(1, b"hello\n"), (2, b"a warning\n"), (1, b"")]
    assert list(_pieces(_answered(*said))) == said


def test_a_command_that_says_nothing() -> None:
    assert list(_pieces(_answered())) == []
