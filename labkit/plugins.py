"""Discovery of plug-ins: every module of a package that satisfies a protocol, one file each.

There is no second list: adding a fault or a check is adding one file. A module whose name begins with an underscore is
a helper, not a plug-in.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol, TypeVar, get_type_hints

from labkit.errors import BadInput


class Plugin(Protocol):
    """What every plug-in has, whatever it plugs into."""

    name: str


P = TypeVar("P", bound=Plugin)


def discover(package: ModuleType, protocol: type[P]) -> dict[str, P]:
    """All plug-ins of `package` by their `name`, sorted.

    Each module must have the protocol's attributes, texts not empty, and its functions with the same parameters; more
    that have defaults and are given by keyword do no harm.
    BadInput names the file and what is wrong with it: an attribute that is missing or of the wrong type, or a `name`
    that another plug-in has already.
    """
    found: dict[str, P] = {}
    files: dict[str, str] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith("_"):
            continue
        module: Any = importlib.import_module(f"{package.__name__}.{info.name}")
        if wrong := _wrong(module, protocol):
            raise BadInput(f"{module.__file__} is no {protocol.__name__.lower()}: {wrong}.")
        if module.name in files:
            raise BadInput(f"{module.__file__} and {files[module.name]} are both called {module.name!r}. Rename one.")
        files[module.name] = str(module.__file__)
        found[module.name] = module
    return dict(sorted(found.items()))


def _wrong(module: ModuleType, protocol: type) -> str | None:
    for name, kind in get_type_hints(protocol).items():
        value = getattr(module, name, None)
        if isinstance(kind, type) and not isinstance(value, kind):
            return f"its `{name}` should be of type {kind.__name__} and is {value!r}"
        if kind is str and not value:
            return f"its `{name}` is empty"
    for name, function in inspect.getmembers(protocol, inspect.isfunction):
        if name.startswith("_"):
            continue
        wanted = list(inspect.signature(function).parameters)[1:]  # without self
        given = getattr(module, name, None)
        if not inspect.isfunction(given) or _required(given) != wanted:
            return f"it should define {name}({', '.join(wanted)})"
    return None


def _required(function: Callable[..., object]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [one.name for one in parameters if one.kind is not one.KEYWORD_ONLY or one.default is one.empty]
