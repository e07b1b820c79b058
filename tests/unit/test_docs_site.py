"""The site's pages that are made, and its table of contents. `make docs` checks the links of the built site."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from labkit.checks import all_checks
from labkit.cli import app
from labkit.faults import all_faults
from labkit.spec import Spec
from scripts.docs_site import ELSEWHERE, generated, linked
from tests.unit.test_docs import keys

ROOT = Path(__file__).resolve().parents[2]
PROGRAM: Any = typer.main.get_command(app)


def leaves(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        for part in entry.values() if isinstance(entry, dict) else [entry]:
            yield from leaves(part) if isinstance(part, list) else [part]


def test_every_page_is_in_the_contents() -> None:
    """Each once, translations too, and no page that there is not."""
    site = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(leaves(site["nav"])) == sorted([*pages, *generated()])


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("commands", [f"## labkit {name}\n" for name in PROGRAM.commands]),
        ("commands", [f"## labkit exercise {name}\n" for name in PROGRAM.commands["exercise"].commands]),
        ("spec", [f"| `{key}` |" for key in keys(Spec)]),
        ("faults", [f"| `{name}` |" for name in all_faults()]),
        ("checks", [f"| `{name}` |" for name in all_checks()]),
    ],
)
def test_reference_pages_are_complete(page: str, names: list[str]) -> None:
    """What is found by discovery has its place, and no row of a table is broken by what it quotes."""
    text = generated()[f"reference/{page}.md"]
    assert names
    assert [name for name in names if name not in text] == []
    rows = [re.sub(r"\\\|", "", line).count("|") for line in text.splitlines() if line.startswith("| ")]
    assert page == "commands" or len(set(rows)) == 1


@pytest.mark.parametrize(
    ("source", "page", "text", "wanted"),
    [
        ("README.md", "index.md", "[a](docs/spec.md#keys)", "[a](spec.md#keys)"),
        ("README.md", "index.md", "[a](compose/README.md)", "[a](compose.md)"),
        ("docs/commands.md", "commands.md", "[a](../compose/README.md)", "[a](compose.md)"),
        ("docs/guide/one.md", "guide/one.md", "[a](../spec.md)", "[a](../spec.md)"),
        ("README.md", "index.md", "[a](LICENSE)", "a (`LICENSE`)"),
        ("README.md", "index.md", "[a](https://x.org/docs/y) [b](#c)", "[a](https://x.org/docs/y) [b](#c)"),
        ("README.md", "index.md", "![a [b]](docs/images/x.svg)", "![a [b]](images/x.svg)"),
    ],
)
def test_links_lead_to_the_site(source: str, page: str, text: str, wanted: str) -> None:
    """Links between the repository's files become links between pages; a file that is no page is named."""
    assert linked(text, source, page) == wanted


def test_pages_from_elsewhere_are_there() -> None:
    """Each file that the site takes from outside docs/ exists, and begins with its title."""
    for source, page in ELSEWHERE.items():
        assert generated()[page].startswith("# "), source
