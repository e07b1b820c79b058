"""From pydantic's errors to one `BadInput` that lists every problem with file, line, field and remedy."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from labkit.errors import BadInput
from labkit.spec.fields import show

Path = tuple[str, ...]

_MAPPINGS = ("dict_type", "mapping_type", "model_type", "model_attributes_type")
_EXPECTED = {
    "string_type": "text. Write it in quotes",
    "int_type": "a whole number. Write it without quotes and without a point",
    "float_type": "a number. Write it without quotes",
    "finite_number": "a finite number. Write one like `2`",
    "bool_type": "true or false. Write one of the two, without quotes",
}


class Problem(NamedTuple):
    """One thing that is wrong in a file: `line` counts from 1, and 0 means that no line can be named."""

    line: int
    text: str


def bad_file(file: str, problems: Sequence[Problem]) -> BadInput:
    """Make the error for a file out of its problems, in the order of the lines."""
    lines = [f"{file}, line {line}: {text}" if line else f"{file}: {text}" for line, text in sorted(set(problems))]
    return BadInput("\n".join(lines))


def bad_option(error: ValidationError, options: Mapping[Path, str]) -> BadInput:
    """Make the error for values from the command line: `options` maps a field to the option that set it."""
    changed = " and ".join(options.values())
    lines = []
    for path, text in _entries(error, None):
        lines.append(f"{options.get(path) or f'{changed}: {dotted(path)}'}: {text}")
    return BadInput("\n".join(lines))


def field_problems(
    error: ValidationError, line_of: Callable[[Path], int], keys_of: Callable[[Path], Sequence[str]]
) -> list[Problem]:
    """Turn pydantic's errors into problems.

    `line_of` tells where in the file a field stands, `keys_of` which keys the mapping at a place may have.
    """
    return [Problem(line_of(path), f"{dotted(path)}: {text}") for path, text in _entries(error, keys_of)]


def dotted(path: Path) -> str:
    """Write the name of a field: `timing.deadtime`, with odd names quoted."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else show(part) for part in path) or "the file"


def _entries(error: ValidationError, keys_of: Callable[[Path], Sequence[str]] | None) -> list[tuple[Path, str]]:
    entries = []
    for detail in error.errors(include_url=False):
        path = tuple(str(part) for part in detail["loc"] if part != "[key]")
        if detail["type"] == "extra_forbidden":
            text = _unknown(path[-1], keys_of(path[:-1]) if keys_of else ())
        else:
            text = _text(detail["type"], detail["input"], detail.get("ctx", {}), detail["msg"])
        entries.append((path, text))
    return entries


def _unknown(key: str, valid: Sequence[str]) -> str:
    near = difflib.get_close_matches(key.lower(), valid, 1)
    return "no such key. " + (f"Did you mean {near[0]!r}?" if near else f"Use one of: {', '.join(valid)}.")


def _text(kind: str, value: object, context: Mapping[str, Any], message: str) -> str:
    """Say in our words what is wrong with one value. Our own errors (kind `labkit`) are passed on as they are."""
    if kind == "labkit":
        return message
    if kind == "missing":
        return "is missing. Give it a value."
    if kind in _MAPPINGS:
        return f"{show(value)} is not a mapping. Write `key: value` lines, indented below it."
    if kind in _EXPECTED:
        return f"{show(value)} is not {_EXPECTED[kind]}."
    if kind == "literal_error":
        return f"{show(value)} is not possible. Use {context['expected']}."
    if kind == "greater_than_equal":
        return f"{show(value)} is too small. Use {context['ge']:g} or more."
    if kind == "less_than_equal":
        return f"{show(value)} is too large. Use {context['le']:g} or less."
    return f"{show(value)}: {message}."
