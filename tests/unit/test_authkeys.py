"""The reader of authkeys. That it refuses what the daemon refuses is held by tests/docker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import BadInput
from labkit.heartbeat import authkeys
from labkit.heartbeat.authkeys import Method

SECRET = "hunter2"


def test_active_method_and_all_others_are_read() -> None:
    """All methods are kept by number, and the active one is the one that `auth` names."""
    keys = authkeys.parse(f"# comment\nauth 2\n1 crc\n2 sha1 {SECRET}\n3 md5 x # not part of the key\n")
    assert keys.active == 2
    assert dict(keys.methods) == {1: Method("crc"), 2: Method("sha1", SECRET), 3: Method("md5", "x")}


@pytest.mark.parametrize(
    ("text", "active"),
    [
        ("auth 1\n1 crc\n", 1),
        ("auth1\n1crc\n", 1),
        ("auth 1\n1 crc\nauth 2\n", 1),
        ("auth 1\n1 crc\nauth 2\n2 crc\n", 2),
        ("auth 0\n0 crc", 0),
    ],
)
def test_which_method_is_active(text: str, active: int) -> None:
    """A method is active if the last `auth` line above it names it; an `auth` line that finds none changes nothing."""
    assert authkeys.parse(text).active == active


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "authkeys: there is no `auth` line"),
        ("auth 1\n", "authkeys: there is no method 1"),
        ("1 crc\nauth 1\n", "authkeys: method 1 stands above the last `auth` line"),
        ("auth 1\n1 crc key\n", "authkeys, line 2: crc does not use a key"),
        ("auth 1\n1 sha1\n", "authkeys, line 2: sha1 needs a key"),
        ("auth 1\n1 SHA1 x\n", "authkeys, line 2: the method is none that Heartbeat has"),
        ("auth 16\n16 crc\n", "authkeys, line 2: number 16 is out of range"),
        ("auth x\n1 crc\n", "authkeys, line 1: the line starts like `auth` but has no number"),
        ("auth 1\nsha1 x\n1 crc\n", "authkeys, line 2: the line has no number and method"),
    ],
)
def test_refusals_name_line_and_reason(text: str, message: str) -> None:
    """Each thing that keeps the daemon from starting is named with its line, in our words."""
    with pytest.raises(BadInput) as caught:
        authkeys.parse(text)
    assert str(caught.value).splitlines()[0].startswith(message)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o100644])
def test_readable_by_others_is_refused(mode: int) -> None:
    """A file that the group or others can read is refused, whatever is in it."""
    with pytest.raises(BadInput, match=r"lets others read the keys\. Run `chmod 600 authkeys`"):
        authkeys.parse("auth 1\n1 crc\n", mode)


@pytest.mark.parametrize("mode", [None, 0o600, 0o622, 0o711, 0o100600])
def test_modes_that_pass(mode: int | None) -> None:
    """Only the right to read counts, as in the daemon, and an unknown mode is not judged."""
    assert authkeys.parse("auth 1\n1 crc\n", mode).active == 1


@pytest.mark.parametrize("text", [f"auth 1\n1 {SECRET}\n", f"auth 1\n{SECRET}\n", f"auth 1\n1 crc {SECRET}\n"])
def test_no_message_shows_a_key(text: str) -> None:
    """A key that ended up in the wrong place is not repeated in the error."""
    with pytest.raises(BadInput) as caught:
        authkeys.parse(text)
    assert SECRET not in str(caught.value)


def test_no_repr_shows_a_key() -> None:
    """Keys do not get into logs by way of repr."""
    assert SECRET not in repr(authkeys.parse(f"auth 1\n1 sha1 {SECRET}\n"))


SAMPLE = """#
#\tAvailable methods: crc sha1, md5.  Crc doesn't need/want a key.
#\tsha1 is believed to be the "best", md5 next best.
#auth 1
#1 crc
auth 2
1 crc
"""


def test_what_is_no_key_is_kept() -> None:
    """Comments, the choice of a method and a method without a key stand in a run's folder as they are."""
    assert authkeys.without_keys(SAMPLE) == SAMPLE
    assert authkeys.without_keys(f"auth 1\n1 sha1 {SECRET}\n") == "auth 1\n1 sha1 [secret]\n"


@pytest.mark.parametrize("number", ["1", "+1", "01", "15"])
@pytest.mark.parametrize("kind", ["sha1", "md5", "crc", "sha256", ""])
@pytest.mark.parametrize("form", ["{} {} {}", "\t{}\t{}  {} ", "{}{} {}", "#{} {} {}", "# {} {} {}", "{} {} x {}\r"])
def test_no_key_is_kept(number: str, kind: str, form: str) -> None:
    """However its line is written, also where the daemon would refuse it, and of a method that was commented out."""
    text = f"auth 1\n{form.format(number, kind, SECRET)}\n"
    if form.startswith("#") and kind not in ("sha1", "md5"):
        return  # no method's line: words of a comment
    assert SECRET not in authkeys.without_keys(text)


LINES = st.sampled_from(["auth 1", "1 crc", "1 sha1 k", "2 md5 k", "auth", "1 crc k", "#", "", "1", "auth 2"])


@given(st.one_of(st.text(), st.lists(LINES).map("\n".join)), st.one_of(st.none(), st.integers(0, 0o777)))
def test_any_text_is_read_or_bad_input(text: str, mode: int | None) -> None:
    """No text makes the reader fail in any way but BadInput, and what is read has its active method."""
    try:
        keys = authkeys.parse(text, mode)
    except BadInput:
        return
    assert keys.active in keys.methods


@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from(["auth 1", "1", " sha1", "\tmd5 ", "\n", "k3y", "\x0b", "#"])).map("".join)
    )
)
def test_no_key_that_is_read_is_kept(text: str) -> None:
    """Whatever the daemon would sign with is not in what is kept, but where it stands in a comment of its own."""
    try:
        keys = authkeys.parse(text)
    except BadInput:
        return
    kept = "\n".join(line for line in authkeys.without_keys(text).split("\n") if not line.lstrip().startswith("#"))
    assert "k3y" not in kept or not any("k3y" in method.key for method in keys.methods.values())
