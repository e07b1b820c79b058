"""The pages keep up with the program: commands, keys, names, links, and the schema of a result."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main
from pydantic import BaseModel

from labkit.checks import all_checks, judge_all
from labkit.cli import WrongUse, app
from labkit.cli.guide import WORD
from labkit.engine import grants
from labkit.exercises import all_exercises
from labkit.faults import all_faults, parameters
from labkit.guide.claims import CLAIMS, PROFILE
from labkit.guide.steps import STEPS
from labkit.history import Event
from labkit.language import LANGUAGES, Language
from labkit.measure import PHASES, Cost, Phase, Step, Summary, TrialMeasures, result
from labkit.platforms import discover
from labkit.spec import Spec, default, load
from labkit.spec.models import Node
from tests.pages import DOCS, PAGES, ROOT, Line, blocks, commands, words
from tests.unit.histories import dual_owner, failover, never_back, no_op, run_event

GUIDE: dict[Language, Path] = {"en": DOCS / "guide" / "README.md", "es": DOCS / "guide" / "README.es.md"}
SCHEMA = json.loads((DOCS / "result.schema.json").read_text(encoding="utf-8"))
CLI: Any = typer.main.get_command(app)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def of_program(name: str) -> list[Line]:
    return [line for line in commands() if line.text.startswith(f"{name} ")]


def name_of(line: Line) -> str:
    return f"{line.page.name}:{line.number}"


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no {heading!r}"
    return found[1]


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted keys of a spec; nodes have any names."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if name == "nodes":
            yield from keys(Node, "nodes.NAME.")
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def judged(events: list[Event]) -> dict[str, Any]:
    """A result as a user gets it: plain JSON, checks included."""
    document = result(events, "runs/one") | {"checks": [asdict(judgement) for judgement in judge_all(events)]}
    return dict(json.loads(json.dumps(document)))


# The schema of a result


@pytest.mark.parametrize(
    "events",
    [
        [run_event(2), *failover(1), *failover(2, 1700)],
        [run_event(fault="apache-stop", profile="as-printed", predicted={"outage_ms": None}), *never_back()],
        [run_event(fault="none", expects_move=False, predicted={"outage_ms": [0, 0]}), *no_op()],
        [run_event(), *dual_owner()],
        [run_event()],
        [{"event": "run", "fault": "x", "trials": 1, "cadence_ms": 10.0, "limit_ms": 800.0, "arp_ms": 50.0}],
    ],
    ids=["two-trials", "never-back", "no-outage", "dual-owner", "nothing-injected", "bare-header"],
)
def test_results_fit_their_schema(events: list[Event]) -> None:
    """Whatever happened in a run, its JSON is as published."""
    jsonschema.validate(judged(events), SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_schema_is_one() -> None:
    """It is a schema of the draft that it names, and has a version."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"].endswith("/2020-12/schema")
    assert re.fullmatch(r"urn:labkit:result:\d+", SCHEMA["$id"])


def test_the_schema_has_every_field() -> None:
    """No more and no fewer than a result has; a field without a description would tell nobody anything."""
    document, parts = judged([run_event(), *failover()]), SCHEMA["$defs"]
    assert list(SCHEMA["properties"]) == list(document)
    assert set(parts["trial"]["properties"]) == {field.name for field in fields(TrialMeasures)}
    trial = parts["trial"]["properties"]
    phase, step, cost = trial["phases"]["items"], trial["steps"]["items"], trial["cost"]
    for part, kind in ((phase, Phase), (step, Step), (cost, Cost)):
        assert set(part["properties"]) == {field.name for field in fields(kind)}
    assert phase["properties"]["name"]["enum"] == list(PHASES)
    assert set(parts["summary"]["properties"]) == {field.name for field in fields(Summary)}
    assert set(SCHEMA["properties"]["summary"]["properties"]) == set(document["summary"])
    for properties in (SCHEMA["properties"], trial, *(part["properties"] for part in (phase, step, cost))):
        assert [name for name, value in properties.items() if not value.get("description")] == []


@pytest.mark.parametrize(
    ("change", "value"), [("network", "ether"), ("fault", None), ("trials", {}), ("timing", {"keepalive_ms": 1})]
)
def test_the_schema_refuses_what_is_no_result(change: str, value: object) -> None:
    """It is no schema that takes everything."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(judged([run_event(), *failover()]) | {change: value}, SCHEMA)


def test_every_field_of_a_result_is_explained() -> None:
    """docs/measuring.md names each, field by field."""
    text = section(page("measuring.md"), "## The JSON of `failover --json`, field by field")
    trial = SCHEMA["$defs"]["trial"]
    parts = (SCHEMA, trial, trial["properties"]["cost"], SCHEMA["$defs"]["summary"], SCHEMA["$defs"]["judgement"])
    assert {name for part in parts for name in part["properties"] if f"`{name}`" not in text} == set()


# Commands


@pytest.mark.parametrize("name", CLI.commands)
def test_every_command_stands_in_the_docs(name: str) -> None:
    """docs/commands.md has a section for each, with an example and with all of its options."""
    text = section(page("commands.md"), f"### {name}")
    command = CLI.commands[name]
    all_of_it = [command, *getattr(command, "commands", {}).values()]
    options = {option for part in all_of_it for one in part.params for option in one.opts if option.startswith("-")}
    assert f"\nlabkit {name}" in text.replace("\n$ ", "\n")
    assert [option for option in sorted(options - {"--help", "-h", "-f"}) if f"`{option}" not in text] == []


def test_options_of_the_program_stand_in_the_docs() -> None:
    """docs/commands.md has a row for each option that stands before a command."""
    text = section(page("commands.md"), "## Options of labkit itself")
    options = {option for one in CLI.params for option in one.opts} - {"--help", "-h"}
    assert "--version" in options
    assert [option for option in sorted(options) if f"\n| `{option}` |" not in text] == []


@pytest.mark.parametrize("name", CLI.commands["exercise"].commands)
def test_every_subcommand_stands_in_the_docs(name: str) -> None:
    """The table of `exercise` has a row for each."""
    assert re.search(rf"^\| `{name}[ `]", section(page("commands.md"), "### exercise"), re.MULTILINE)


@pytest.mark.parametrize(("name", "language"), [("exercises.md", "en"), ("exercises.es.md", "es")])
def test_every_exercise_stands_in_the_docs(name: str, language: Language) -> None:
    """A row for each, in the order of the course, with its title, minutes and prerequisites."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \| (\d+) \| (.*) \|$", page(name), re.MULTILINE)
    wanted = [
        (one.name, one.title.within(language), str(one.minutes), ", ".join(f"`{need}`" for need in one.needs) or "-")
        for one in all_exercises().values()
    ]
    assert rows == wanted


def test_the_docs_have_no_other_commands() -> None:
    """A command that went is gone from docs/commands.md too."""
    text = page("commands.md")
    headings = {
        heading
        for part in ("## The experiment", "## The course", "## The lab by hand")
        for heading in re.findall(r"^### (\S+)$", section(text, part), re.MULTILINE)
    }
    assert headings == set(CLI.commands)


@pytest.mark.parametrize("line", of_program("labkit"), ids=name_of)
def test_command_lines_in_the_docs_can_be_typed(line: Line) -> None:
    """Each command exists, and so does each of its options."""
    arguments = words(line)[1:]
    if arguments[0].startswith("-"):  # these act as soon as they are read
        assert set(arguments) <= {option for one in CLI.params for option in one.opts}
        return
    try:
        with CLI.make_context("labkit", list(arguments)) as context:
            name, command, rest = CLI.resolve_command(context, arguments)
            with command.make_context(name, list(rest), parent=context) as inner:
                if hasattr(command, "commands"):
                    name, command, rest = command.resolve_command(inner, rest)
                    command.make_context(name, rest, parent=inner)
    except WrongUse as error:
        pytest.fail(f"{line.text}: {error.format_message()}")


@pytest.mark.parametrize("line", of_program("make"), ids=name_of)
def test_targets_in_the_docs_exist(line: Line) -> None:
    """Each `make TARGET` is one of the Makefile."""
    targets = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {word for word in words(line)[1:] if "=" not in word} <= set(targets)


# Keys and names


@pytest.mark.parametrize("key", sorted(keys(Spec)))
def test_every_key_stands_in_the_docs(key: str) -> None:
    """docs/spec.md has a row for each key of lab.yaml."""
    assert re.search(rf"^\| `{re.escape(key)}` \|", page("spec.md"), re.MULTILINE)


def test_specs_in_the_docs_are_valid(tmp_path: Path) -> None:
    """Each lab.yaml that is shown can be loaded, and the one that has all keys is the default."""
    shown = [
        "\n".join(line.text for line in block)
        for path in (ROOT / "README.md", DOCS / "spec.md")
        for language, block in blocks(path)
        if language == "yaml"
    ]
    shutil.copytree(DOCS / "examples" / "service", tmp_path, dirs_exist_ok=True)  # what they name beside themselves
    specs = []
    for number, text in enumerate(shown):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        specs.append(load(file))
    assert len(specs) >= 3
    assert default() in specs


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("faults.md", [f"| `{name}` |" for name in all_faults()]),
        ("faults.md", [f"| `{name}` | `{key}` |" for name, one in all_faults().items() for key in parameters(one)]),
        ("measuring.md", list(all_checks())),
        ("troubleshooting.md", list(all_checks())),
        ("platforms.md", list(discover())),
    ],
)
def test_faults_checks_and_platforms_stand_in_the_docs(name: str, words: list[str]) -> None:
    """A plug-in that is found is explained."""
    assert [word for word in words if word not in page(name)] == []


def test_every_capability_stands_in_the_docs() -> None:
    """docs/least-privilege.md has a row for each capability that a container gets, and for no other."""
    text = section((DOCS / "least-privilege.md").read_text(encoding="utf-8"), "## Capability by capability")
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \| \S", text, re.MULTILINE)
    assert rows == [(kind, name) for kind, names in grants.LEAST.items() for name in names]


def test_every_module_stands_in_the_docs() -> None:
    """docs/whats-here.md has a row for each module and folder of the package."""
    rows = set(re.findall(r"^\| [\d.]+ \| `(\w+)/?` \|", page("whats-here.md"), re.MULTILINE))
    found = (path for path in (ROOT / "labkit").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
    assert rows == {path.stem for path in found if not path.name.startswith("_")}


# Pages


def anchors(path: Path) -> set[str]:
    """What a link may name after `#`, as GitHub makes it from the headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Each relative link names a file of the repository, and a heading that is there."""
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        if not place.exists() or (anchor and anchor not in anchors(place)):
            dead.append(target)
    assert dead == []


def test_every_page_can_be_reached() -> None:
    """The README links to each page of docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in DOCS.glob("*.md") if f"(docs/{path.name}" not in text] == []


# The guide


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guides_page_is_whole(language: Language) -> None:
    """In either language: a section for each step under its own title, a picture of each figure, made by the lab, and
    a row for each claim with its verdict on both profiles as it is known."""
    text = GUIDE[language].read_text(encoding="utf-8")
    titles = [f"{step.id}. {step.title.within(language)}" for step in STEPS]
    assert re.findall(r"^## (S\d.*)$", text, re.MULTILINE) == titles
    for step in STEPS:
        pictures = re.findall(r"!\[F(\d+)", section(text, f"## {step.id}. {step.title.within(language)}"))
        assert set(map(int, pictures)) == set(step.figures)
    rows = dict(re.findall(r"^\| (C\d) \| (.*) \|$", text, re.MULTILINE))
    assert list(rows) == [claim.id for claim in CLAIMS]
    for claim in CLAIMS:
        title, *cells = rows[claim.id].split(" | ")
        assert title == claim.title.within(language)
        known = [WORD[claim.known(profile)].within(language) for profile in PROFILE]
        assert [cell.startswith(word) for cell, word in zip(cells, known, strict=True)] == [True, True]
    for author in (
        "Tomás Sánchez",
        "Deiler Mosquera",
        "Rafael",
        "Universidad Tecnológica de Panamá",
        "CC BY-NC-SA 4.0",
    ):
        assert author in text


def test_both_languages_of_the_guide_say_the_same() -> None:
    """Neither page has been shortened: the same headings in the same order, the same pictures, boxes, tables, links."""
    english, spanish = (GUIDE[language].read_text(encoding="utf-8") for language in LANGUAGES)
    for pattern in (r"^#+", r"\(figures/[^)]+\)", r"^\|", r"\]\(", r"\b[SFC]\d+\b"):
        told = [re.findall(pattern, text, re.MULTILINE) for text in (english, spanish)]
        if "[SFC]" in pattern:
            told = [sorted(one) for one in told]
        assert told[0] == told[1], pattern
    boxes = [[block for kind, block in blocks(GUIDE[one]) if kind.startswith("sh ")] for one in LANGUAGES]
    assert [[line.text for line in one] for one in boxes[0]] == [[line.text for line in one] for one in boxes[1]]


def test_the_guides_pictures_are_all_used() -> None:
    """No picture lies in docs/guide/figures that no page shows."""
    there = {str(path.relative_to(DOCS / "guide")) for path in (DOCS / "guide" / "figures").rglob("*.*")}
    shown = set(re.findall(r"\((figures/[^)]+)\)", GUIDE["en"].read_text(encoding="utf-8")))
    assert there == shown


def test_pictures_load_nothing() -> None:
    """A picture is complete in itself: no font, style or script from elsewhere."""
    pictures = list(DOCS.rglob("*.svg"))
    assert pictures
    for picture in pictures:
        text = picture.read_text(encoding="utf-8")
        assert not re.search(r"@font-face|@import|<script|<image|url\((?!#)", text), picture
