"""Which language a student gets, and that each text is whole in both."""

import importlib
import pkgutil
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

import labkit.guide
from labkit.cli.show import in_words
from labkit.cluster import NodeStatus
from labkit.cluster.lab import SETTLED, STOPPING
from labkit.errors import BadInput
from labkit.guide import check
from labkit.language import Text, choose, listed, same

# Written with all modules loaded: every Text that stands in one by itself.
MODULES = [
    *(importlib.import_module(f"labkit.guide.{one.name}") for one in pkgutil.iter_modules(labkit.guide.__path__)),
    *(importlib.import_module(f"labkit.live.{one}") for one in ("steps", "view", "watcher", "words")),
    importlib.import_module("labkit.cluster.look"),
    importlib.import_module("labkit.cli.guide"),
    importlib.import_module("labkit.cli.labs"),
    importlib.import_module("labkit.cli.show"),
    importlib.import_module("labkit.cli.watch"),
]


def texts(value: Any) -> Iterator[Text]:
    """Every Text inside a module's value."""
    if isinstance(value, Text):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for one in value.values() for text in texts(one))
    elif isinstance(value, (list, tuple)):
        yield from (text for one in value for text in texts(one))
    elif is_dataclass(value) and not isinstance(value, type):
        yield from (text for one in fields(value) for text in texts(getattr(value, one.name)))


def all_texts() -> list[Text]:
    return list(dict.fromkeys(text for module in MODULES for value in vars(module).values() for text in texts(value)))


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_texts_are_whole_in_both_languages() -> None:
    """No text of a table lacks a language, repeats the other one, or has other names to fill in."""
    found = all_texts()
    assert len(found) > 60
    assert [text for text in found if not text.en.strip() or not text.es.strip()] == []
    assert [text for text in found if text.en == text.es] == []
    assert [text for text in found if names(text.en) != names(text.es)] == []


@pytest.mark.parametrize(
    ("asked", "environment", "wanted"),
    [
        (None, {}, "en"),
        ("es", {}, "es"),
        ("en", {"LC_ALL": "es_PA.UTF-8"}, "en"),
        (None, {"LANG": "es_PA.UTF-8"}, "es"),
        (None, {"LANG": "es"}, "es"),
        (None, {"LANG": "en_US.UTF-8", "LC_MESSAGES": "es_ES@euro"}, "es"),
        (None, {"LANG": "es_PA.UTF-8", "LC_MESSAGES": "C.UTF-8"}, "en"),
        (None, {"LANG": "es_PA.UTF-8", "LC_ALL": "de_DE.UTF-8"}, "en"),
        (None, {"LC_ALL": "", "LANG": "es_PA"}, "es"),
        (None, {"LANG": "est_EE"}, "en"),
    ],
)
def test_choice(asked: str | None, environment: dict[str, str], wanted: str) -> None:
    """What is asked for wins, then the locale in its own order; an empty variable counts as none."""
    assert choose(asked, environment) == wanted


def test_no_such_language() -> None:
    """A language that there is not is wrong use, and the message names those there are."""
    with pytest.raises(BadInput, match=r"'xx'.*en, es"):
        choose("xx", {})


def test_filling_and_listing() -> None:
    """Values and texts fill a text in each language; several texts become one."""
    filled = Text("{n} and {other}", "{n} y {other}").filled(n=1, other=check.NOTHING)
    assert filled.within("es") == f"1 y {check.NOTHING.es}"
    assert listed([filled, same("x")]).en == f"1 and {check.NOTHING.en}, x"


@pytest.mark.parametrize("resources", [*(word for pair in SETTLED.items() for word in pair), "transition", STOPPING])
def test_a_nodes_state_in_spanish(resources: str) -> None:
    """Whatever Heartbeat says of its resources stands in Spanish, with its own word behind."""
    said = in_words(NodeStatus(True, True, resources, "active", vip=True, apache2=False)).within("es")
    pattern = rf"heartbeat: recursos [\w ]+ \({resources}\), par activo \(active\), IP virtual aquí, apache2 detenido"
    assert re.fullmatch(pattern, said), said


def test_a_node_that_does_nothing_in_spanish() -> None:
    """No container, no daemon, and a daemon that says nothing yet."""
    assert in_words(NodeStatus(False)).within("es") == "no está en marcha"
    assert "sin heartbeat" in in_words(NodeStatus(True)).within("es")
    assert "recursos arrancando, par ?" in in_words(NodeStatus(True, True)).within("es")
