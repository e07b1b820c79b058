"""YAML as plain data, with the line of every key. A small, strict part of YAML that has no surprises.

No anchors, aliases or tags (a spec needs none), keys are always text (`no: ...` is the key "no"), a key stands once in
its mapping, and numbers are decimal (`010` and `1:30` are text, not 8 and 90).
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from labkit.errors import BadInput

Place = tuple[str, ...]

_INT = re.compile(r"^[-+]?(0|[1-9][0-9]*)$")
_FLOAT = re.compile(r"^[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$")
_PREFIX = "tag:yaml.org,2002:"


@dataclass
class Document:
    """What a YAML file holds: plain data, the lines of its keys (from 1), and keys that cannot be."""

    data: object = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[tuple[Place, int, str]] = field(default_factory=list)

    def line_of(self, place: Place) -> int:
        """Line of the key at a place, or of the nearest key around it that the file has; 0 if there is none."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)


def parse(text: str, file: str) -> Document:
    """Read one YAML document. BadInput with the line where the text is not YAML, or not this part of it."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        document = Document()
        if node is not None:
            document.data = _plain(node, (), document)
        if document.data is None:
            document.data = {}
        return document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise BadInput(f"{file}{where}: this is not YAML that labkit reads: {what}. Mend the line.") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadInput(f"{file}, line {line}: there is a character that YAML does not allow. Remove it.") from None
    except (ValueError, OverflowError) as error:  # PyYAML does not check the numbers in escapes and directives
        raise BadInput(f"{file}: this is not YAML that labkit reads: {error}. Mend the file.") from None
    except RecursionError:
        raise BadInput(f"{file}: the YAML is nested too deep. A spec has three levels.") from None


class _Loader(yaml.SafeLoader):
    """PyYAML's pure parser, less what a spec does not need."""

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # nor do the stubs type it
        if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
            raise yaml.composer.ComposerError(
                None,
                None,
                "a spec has no anchors (&), aliases (*) or tags (!); write the value itself, or quote it",
                event.start_mark,
            )
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in entries if entry[0] in (_PREFIX + "bool", _PREFIX + "null")]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_PREFIX + "int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(_PREFIX + "float", _FLOAT, list("-+0123456789."))


def _plain(node: Node, place: Place, document: Document) -> object:
    if isinstance(node, MappingNode):
        return _mapping(node, place, document)
    if isinstance(node, SequenceNode):
        return [_plain(item, (*place, str(index)), document) for index, item in enumerate(node.value)]
    assert isinstance(node, ScalarNode)
    text: str = node.value
    match node.tag.removeprefix(_PREFIX):
        case "null":
            return None
        case "bool":
            return text.lower() in ("true", "yes", "on")
        case "int":
            return int(text)
        case "float":
            return float(text)
        case _:
            return text


def _mapping(node: MappingNode, place: Place, document: Document) -> dict[str, object]:
    data: dict[str, object] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, ScalarNode):
            document.problems.append((place, line, "a key is not text. Write `key: value` lines."))
            continue
        key: str = key_node.value
        here = (*place, key)
        if key in data:
            document.problems.append(
                (here, line, f"the key is already there on line {document.lines[here]}. Remove one of the two.")
            )
            continue
        document.lines[here] = line
        data[key] = _plain(value_node, here, document)
    return data


class _Dumper(yaml.SafeDumper):
    """Quotes whatever the loader above, or any other, would take for something else than text."""


_Dumper.add_implicit_resolver(_PREFIX + "int", _INT, list("-+0123456789"))
_Dumper.add_implicit_resolver(_PREFIX + "float", _FLOAT, list("-+0123456789."))


def dump(data: object) -> str:
    """Plain data as YAML that parse() reads back as the same."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
