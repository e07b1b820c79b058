"""Hooks of mkdocs: pages that lie outside docs/, and reference pages made from the code.

The pages are written for GitHub and for `labkit help`; their links are turned here into those of the site.
"""

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from labkit import spec
from labkit.checks import all_checks
from labkit.cli import app
from labkit.faults import all_faults, parameters
from labkit.plot import duration

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
STYLE = "td:first-child code { white-space: nowrap; }"  # the name of a fault or an option stays in one piece
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")

ELSEWHERE = {
    "README.md": "index.md",
    "compose/README.md": "compose.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
}
"""Path in the repository -> page of the site, for what does not lie in docs/."""


def linked(text: str, source: str, page: str) -> str:
    """A page's text with the links of the repository turned into those of the site; where there is no page, code.

    source: the page's path in the repository. page: its path in the site.
    """

    def turn(link: re.Match[str]) -> str:
        words, target = link.groups()
        path, hash_, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or not path:
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        there = ELSEWHERE.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if there is None:
            return f"{words} (`{path}`)"
        return f"[{words}]({posixpath.relpath(there, posixpath.dirname(page) or '.')}{hash_}{anchor})"

    return LINK.sub(turn, text)


def generated() -> dict[str, str]:
    """Page of the site -> text, of all pages that no file of docs/ has."""
    moved = {
        page: linked((ROOT / source).read_text(encoding="utf-8"), source, page) for source, page in ELSEWHERE.items()
    }
    return moved | {
        "reference/commands.md": _commands(),
        "reference/spec.md": _spec(),
        "reference/faults.md": _faults(),
        "reference/checks.md": _checks(),
        "reference/schemas.md": _schemas(),
    }


def _table(head: list[str], rows: Iterator[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _commands() -> str:
    program: Any = typer.main.get_command(app)
    return "# Every command and option\n\n" + "\n".join(
        _command(f"labkit {name}", command) for name, command in program.commands.items()
    )


def _command(name: str, command: Any) -> str:
    options = (
        [f"`{', '.join(one.opts) if one.param_type_name == 'option' else one.metavar or one.name.upper()}`", _help(one)]
        for one in command.params
        if "--help" not in one.opts
    )
    told = re.sub(r"^Example: (.*)$", r"    \1", command.help, flags=re.MULTILINE)
    text = f"## {name}\n\n{told}\n\n{_table(['option', 'meaning'], options)}"
    return "\n".join([text, *(_command(f"{name} {one}", sub) for one, sub in getattr(command, "commands", {}).items())])


def _help(option: Any) -> str:
    default = option.default
    plain = default not in (None, "", False) and not callable(default) and "Default" not in (option.help or "")
    return f"{option.help or ''}{f' Default: {default}.' if plain else ''}"


def _spec() -> str:
    schema = spec.json_schema()
    text = (
        "# Every key of lab.yaml\n\n[lab.yaml](../spec.md) explains them. `labkit schema` prints the JSON schema.\n\n"
    )
    return text + _table(["key", "default", "meaning"], _keys(schema, schema["$defs"], ""))


def _keys(part: dict[str, Any], parts: dict[str, Any], prefix: str) -> Iterator[list[str]]:
    for name, field in part["properties"].items():
        any_name = next(iter(field.get("patternProperties", {}).values()), None)
        inner = parts.get((any_name or field).get("$ref", "").removeprefix("#/$defs/"))
        if inner:
            yield from _keys(inner, parts, f"{prefix}{name}.NAME." if any_name else f"{prefix}{name}.")
        else:
            default = field.get("default")
            yield [
                f"`{prefix}{name}`", "" if default is None else f"`{json.dumps(default)}`", field.get("description", "")
            ]  # fmt: skip


def _faults() -> str:
    expected = {name: fault.expect(spec.default()) for name, fault in all_faults().items()}
    rows = (
        [
            f"`{name}`",
            fault.describe,
            ", ".join(f"`{key}={one.default:g}`: {one.meaning}" for key, one in parameters(fault).items()),
            ("moves" if expected[name].moves else "stays") + (", two owners" if expected[name].dual_owner else ""),
            _band(expected[name].outage_ms),
        ]
        for name, fault in all_faults().items()
    )
    return (
        "# Every fault\n\n[Faults](../faults.md) explains them. Expected with keepalive 2 s and deadtime 5 s.\n\n"
        + _table(["fault", "what it does", "parameters", "the service", "outage predicted"], rows)
    )


def _band(band: tuple[float, float] | None) -> str:
    if band is None:
        return "no band"
    return "none" if not any(band) else f"{duration(band[0])} to {duration(band[1])}"


def _checks() -> str:
    text = "# Every check\n\n[What is measured, and how](../measuring.md) tells what they go by.\n\n"
    return text + _table(["check", "passes if"], ([f"`{name}`", one.describe] for name, one in all_checks().items()))


def _schemas() -> str:
    rows = (
        [f"[{path.name}](../{path.name})", schema["title"], schema.get("description", "")]
        for path in sorted(DOCS.glob("*.schema.json"))
        for schema in [json.loads(path.read_text(encoding="utf-8"))]
    )
    return "# JSON schemas\n\n" + _table(["file", "of what", "about it"], rows)


# What mkdocs calls, by these names


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for name, text in generated().items():
        files.append(File.generated(config, name, content=text))
    files.append(File.generated(config, "site.css", content=STYLE))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    name = page.file.src_uri
    return markdown if name in generated() else linked(markdown, f"docs/{name}", name)
