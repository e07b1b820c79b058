"""The reader of haresources. That it refuses what the daemon refuses is held by tests/docker."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import BadInput
from labkit.heartbeat import haresources
from labkit.heartbeat.haresources import Resource, ResourceGroup

A, B = Resource("a"), Resource("b")


@pytest.mark.parametrize(
    ("word", "resource"),
    [
        ("apache2", Resource("apache2")),
        ("172.23.19.48", Resource("IPaddr", ("172.23.19.48",))),
        ("172.23.19.48/24/eth0", Resource("IPaddr", ("172.23.19.48/24/eth0",))),
        ("IPaddr2::172.23.19.48/24/eth0", Resource("IPaddr2", ("172.23.19.48/24/eth0",))),
        ("Filesystem::/dev/sda1::/data1::ext2", Resource("Filesystem", ("/dev/sda1", "/data1", "ext2"))),
    ],
)
def test_one_resource(word: str, resource: Resource) -> None:
    """`::` separates a script and its arguments, and what looks like an address is IPaddr's argument."""
    assert haresources.parse(f"node {word}\n") == (ResourceGroup("node", (resource,)),)


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("", ()),
        ("# comment\n\n \t\n", ()),
        ("one a b # c\ntwo\n", (ResourceGroup("one", (A, B)), ResourceGroup("two", ()))),
        ("  ONE a\n", (ResourceGroup("one", (A,)),)),
        ("one a \\\n  b\n", (ResourceGroup("one", (A, B)),)),
        ("one a \\\n \\\nb\ntwo", (ResourceGroup("one", (A, B)), ResourceGroup("two", ()))),
        ("# comment \\\none a\n", (ResourceGroup("one", (A,)),)),
        ("one a # comment \\\ntwo b\n", (ResourceGroup("one", (A,)), ResourceGroup("two", (B,)))),
        ("one a \\\nb # c\n", (ResourceGroup("one", (A, B, Resource("#"), Resource("c"))),)),
    ],
)
def test_lines_and_continuations(text: str, groups: tuple[ResourceGroup, ...]) -> None:
    """Lines are joined as ResourceManager's sed joins them: comments go first, but not in what a `\\` joins."""
    assert haresources.parse(text) == groups


@pytest.mark.parametrize(
    ("text", "line"),
    [("other x\n", 1), ("one a\nother b\n", 2), ("# c \\\nother b\n", 2), ("one a \\\nb\nother c\n", 3)],
)
def test_unknown_node_is_refused(text: str, line: int) -> None:
    """With the nodes of ha.cf known, a line for another node is refused, with its line and the nodes there are."""
    with pytest.raises(
        BadInput, match=rf"haresources, line {line}: 'other' is not a node of ha.cf. Use one of: one, two"
    ):
        haresources.parse(text, known_nodes=["two", "ONE"])


@pytest.mark.parametrize("text", ["", "ONE a\n", "one a \\\nother\n", "one\n", "one nosuch::x\none nosuch::x\n"])
def test_what_the_daemon_does_not_check(text: str) -> None:
    """Continued lines, scripts, duplicates and emptiness are not checked, for the daemon does not either."""
    haresources.parse(text, known_nodes=["one", "two"])


LINES = st.sampled_from(["one a", "two 1.2.3.4 b::c", "\\", "one \\", "# x", "# \\", "other", " ", "one a # b \\"])


@given(st.one_of(st.text(), st.lists(LINES).map("\n".join)))
def test_any_text_is_read_or_bad_input(text: str) -> None:
    """No text makes the reader fail in any way but BadInput, and without known nodes not even that."""
    groups = haresources.parse(text)
    assert all(group.node for group in groups)
    with contextlib.suppress(BadInput):
        haresources.parse(text, known_nodes=["one", "two"])
