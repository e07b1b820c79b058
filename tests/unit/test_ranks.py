"""Holds the direction of the flow: a module of labkit imports only from ranks below its own.

It reads the sources and imports nothing, so it holds for modules that need Docker or matplotlib too.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "labkit"

# What stands directly under labkit/, module or folder, by rank. A half rank is a module that builds on its neighbours.
RANKS: dict[str, float] = {
    name: rank
    for rank, names in {
        0: "__init__ errors progress",
        0.5: "language timing plugins resources",
        1: "heartbeat history",
        1.5: "spec",
        2: "render platforms",
        2.5: "compose",
        3: "engine",
        4: "cluster",
        4.5: "probe",
        5: "faults",
        6: "store wire",
        6.5: "runner",
        7: "measure",
        8: "checks",
        9: "plot",
        9.5: "report",
        9.8: "judging",
        10: "guide campaign",
        10.2: "exercises live",
        10.5: "course",
        11: "cli pytest_plugin",
        11.5: "__main__",
    }.items()
    for name in names.split()
}

# Libraries that one part alone may import, so that the rest works, and starts fast, without them.
SOLE_IMPORTERS = {
    "distributed": "campaign",
    "docker": "engine",
    "matplotlib": "plot",
    "typer": "cli",
    "scapy": "wire",
    "starlette": "live",
    "uvicorn": "live",
}

SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "_data" not in path.parts)


def part_of(path: Path) -> str:
    """The name directly under labkit/ that a source belongs to: spec for spec.py and for spec/fields.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Each (line, absolute dotted name) that a source imports, also inside functions and for type checking."""
    package = ("labkit", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            # `from labkit import spec` names a part of labkit only in its second half.
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def complaints(path: Path) -> list[str]:
    """What is wrong with the imports of one source, a line each."""
    part, wrong = part_of(path), []
    for line, name in imports(path):
        library, _, rest = name.partition(".")
        if SOLE_IMPORTERS.get(library, part) != part:
            wrong.append(f"line {line}: only {SOLE_IMPORTERS[library]} imports {library}")
        # A name that is no part of labkit is one that labkit/__init__.py defines: `from labkit import __version__`.
        target = rest.split(".")[0] if rest.split(".")[0] in RANKS else "__init__"
        if library == "labkit" and target != part and RANKS[target] >= RANKS[part]:
            wrong.append(f"line {line}: {part} (rank {RANKS[part]}) imports {target} (rank {RANKS[target]})")
    return wrong


def test_every_module_has_a_rank() -> None:
    """A new module must be given its place in the flow before anything else."""
    assert {part_of(path) for path in SOURCES} <= RANKS.keys()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_the_ranks(path: Path) -> None:
    """No source imports from its own rank or above, nor a library that another part keeps to itself."""
    assert complaints(path) == []
