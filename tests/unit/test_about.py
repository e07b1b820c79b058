"""--version and help: short, offline, and never waiting for an engine."""

import socket
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labkit import __version__
from labkit.cli import about, app
from labkit.cli.common import completed
from labkit.errors import BadInput
from labkit.faults import all_faults

DOCS = Path(__file__).resolve().parents[2] / "docs"


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_version_does_not_wait_for_a_silent_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something takes the connection and never answers: after the limit, that is what is told."""
    monkeypatch.setattr(about, "ENGINE_ANSWERS_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        before = time.monotonic()
        lines = said("--version").splitlines()
    assert time.monotonic() - before < 10  # the SDK's own limit is far above
    assert lines[0] == f"labkit {__version__}"
    assert lines[-1] == "engine: no answer within 0.2 s"


def test_version_with_a_wrong_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is none is told, too, with exit code 0: the report is about to be written."""
    monkeypatch.setenv("DOCKER_HOST", "nonsense")
    assert "engine: no Docker engine answers at nonsense" in said("--version")


def test_help_lists_every_page() -> None:
    """Each page of docs/ once, translations counted with their original, with its title."""
    rows = said("help").splitlines()
    paths = [path.relative_to(DOCS) for path in DOCS.rglob("*.md") if not path.stem.endswith(".es")]
    topics = {(path.parent if path.stem == "README" else path.with_suffix("")).as_posix() for path in paths}
    assert {row.split()[0] for row in rows} == topics
    assert next(row for row in rows if row.startswith("whats-here ")).endswith(" What is where")


@pytest.mark.parametrize(("language", "file"), [("en", "exercises.md"), ("es", "exercises.es.md")])
def test_help_prints_a_page(language: str, file: str) -> None:
    """As it is written where it does not go to a terminal; in Spanish where there is a Spanish one."""
    assert said("help", "exercises", "--lang", language) == (DOCS / file).read_text(encoding="utf-8")


def test_help_in_spanish_falls_back() -> None:
    """A page that is not translated comes in English."""
    assert said("help", "faults", "--lang", "es") == (DOCS / "faults.md").read_text(encoding="utf-8")


def test_help_refuses_other_topics() -> None:
    """An unknown page is bad input, and the message lists those that there are."""
    with pytest.raises(BadInput, match=r"no page '\.\./README'; use one of: .*, commands, .*tutorial"):
        CliRunner().invoke(app, ["help", "../README"], catch_exceptions=False)


def test_completion_offers_what_fits() -> None:
    """Only names that begin with what is typed; everything if nothing is."""
    assert completed(all_faults)("node-k") == ["node-kill"]
    assert completed(all_faults)("") == list(all_faults())
