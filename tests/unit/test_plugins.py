"""Discovery: a plug-in is a file that satisfies a protocol, and anything less is an error that names the file."""

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest

from labkit import plugins
from labkit.errors import BadInput


class Greeter(Protocol):
    name: str
    loud: bool

    def greet(self, who: str) -> str: ...


Make = Callable[..., ModuleType]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a package `greeters` out of FILE=text."""

    def package(**files: str) -> ModuleType:
        folder = tmp_path / "greeters"
        folder.mkdir()
        for name, text in {"__init__": "", **files}.items():
            (folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module("greeters")

    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == "greeters"]:
        del sys.modules[name]


def greeter(name: str, parameters: str = "who") -> str:
    return f"name = {name!r}\nloud = False\ndef greet({parameters}):\n    return {name!r} + who\n"


def names(package: ModuleType) -> Sequence[str]:
    return list(plugins.discover(package, Greeter))  # type: ignore[type-abstract]


def test_plugins_are_found_by_their_own_names_in_order(make: Make) -> None:
    """The order is that of the names, not of the files; helpers whose names begin with `_` are none."""
    package = make(one=greeter("z"), two=greeter("a"), _helper="raise RuntimeError")
    found = plugins.discover(package, Greeter)  # type: ignore[type-abstract]
    assert list(found) == ["a", "z"]
    assert found["z"].greet("!") == "z!"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "its `name` should be of type str and is None"),
        ("name = ''\nloud = True", "its `name` is empty"),
        ("name = 'x'\nloud = 'yes'", "its `loud` should be of type bool and is 'yes'"),
        ("name = 'x'\nloud = True", r"it should define greet\(who\)"),
        (greeter("x", "who, why"), r"it should define greet\(who\)"),
    ],
)
def test_an_incomplete_plugin_is_an_error_that_names_it(make: Make, text: str, says: str) -> None:
    """Missing and wrong attributes and functions are found when the plug-ins are, not in the middle of a run."""
    with pytest.raises(BadInput, match=rf"odd\.py is no greeter: {says}"):
        names(make(odd=text))


def test_two_plugins_of_one_name_are_an_error(make: Make) -> None:
    """Neither silently replaces the other."""
    with pytest.raises(BadInput, match=r"two\.py and .*one\.py are both called 'x'"):
        names(make(one=greeter("x"), two=greeter("x")))
