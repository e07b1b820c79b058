"""The guide's figures: their words, scenes drawn from what was typed, what a web page tells, the page of them all."""

import re
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from labkit.cluster import Lab
from labkit.engine.images import BROWSER, _context
from labkit.errors import LabkitError, NotAvailable
from labkit.guide import shell
from labkit.guide.album import Album, Drawn, entries, page, telling, terminal, url
from labkit.guide.figures import BY_NUMBER, FIGURES, STATUS, Figure
from labkit.guide.steps import BY_ID, STEPS
from labkit.guide.walk import Typed
from labkit.language import LANGUAGES, Language
from labkit.resources import images_dir
from labkit.spec import Profile, Spec
from labkit.store import RunFolder
from tests.unit.test_guide import PROFILES

STEP_OF = {number: step.id for step in STEPS for number in step.figures}
SCENES = [figure for figure in FIGURES if figure.page is None and figure.typed != STATUS]
REFUSAL = "This site cannot be reached\n\n172.23.19.48 refused to connect.\n\nERR_CONNECTION_REFUSED\nReload"


def typed(step: str, profile: Profile) -> list[Typed]:
    """What a walk types in a step on both nodes, each command with an output of its own."""
    spec = Spec(profile=profile)
    lines = [(node, line) for node in spec.nodes for line in shell.on_node(step, spec, node, "key")]
    if step == "S9":
        lines += [(node, shell.processes()) for node in spec.nodes]
    return [Typed(step, node, line, 0, f"said {number} & <done>\n", 1.0) for number, (node, line) in enumerate(lines)]


def words_of(svg: str) -> str:
    """What can be read in a picture, without any blanks: long lines are folded, and blanks are drawn in many ways."""
    return re.sub(r"\s", "", "".join(ElementTree.fromstring(svg).itertext()))


def test_figures_are_the_guides() -> None:
    """F1 to F19 in order, each of them of one step; the five that show a web page there are web pages here."""
    assert [figure.number for figure in FIGURES] == list(range(1, 20)) == sorted(STEP_OF)
    assert sum(len(step.figures) for step in STEPS) == len(FIGURES)
    assert [figure.number for figure in FIGURES if figure.page] == [14, 15, 16, 18, 19]
    assert [figure.number for figure in FIGURES if bool(figure.typed) == bool(figure.page)] == []


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.id)
def test_captions_stand_in_both_languages(figure: Figure) -> None:
    """What the guide showed and what the lab shows are two sentences in each language."""
    for text in (figure.there, figure.here):
        assert text.en.endswith(".")
        assert text.es.endswith(".")
        assert text.en != text.es
    assert figure.there != figure.here


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("figure", SCENES, ids=lambda figure: figure.id)
def test_a_scene_has_what_was_typed_and_what_came_out(figure: Figure, profile: Profile) -> None:
    """Commands and outputs of the figure's own stand in the picture, with its number and nodes in the title, and
    nothing of the step's other commands does."""
    of_step = typed(STEP_OF[figure.number], profile)
    svg = terminal(figure, of_step)
    words = words_of(svg)
    shown = [one for one in of_step if re.search(figure.typed, one.command)]
    assert shown
    assert words.count("said") == len(shown)
    for one in shown:
        assert re.sub(r"\s", "", f"{one.node}# {one.command}{one.output}") in words
        assert one.node in words[: words.index("said")]
    assert f"{figure.id}:" in words
    assert not re.search(r"@font-face|@import|url\((?!#)", svg)


def test_a_scene_of_nothing_is_an_error() -> None:
    """A picture of an empty window would look as if all were well."""
    with pytest.raises(LabkitError, match="nothing"):
        terminal(BY_NUMBER[9], [one for one in typed("S8", "corrected") if not one.command.startswith("ls")])


def test_what_the_browser_opens() -> None:
    """The lab's own addresses: those of the two nodes and the VIP."""
    addresses = [url(Spec(), figure) for figure in FIGURES if figure.page]
    assert addresses == [f"http://172.23.19.{last}/" for last in (46, 47, 48, 46, 48)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SLAVE-CLUSTER ON\nIt works!\nThis is", "SLAVE-CLUSTER ON"),
        (REFUSAL, "ERR_CONNECTION_REFUSED"),
        ("Apache2 Debian Default Page\nIt works!", "Apache2 Debian Default Page"),
        ("", ""),
    ],
)
def test_what_a_page_tells(text: str, told: str) -> None:
    """A node's heading or the browser's error; of a stranger's page its first line."""
    assert telling(Spec(), text) == told


# The album


class OneShot:
    """An engine whose browser gives a page, or fails."""

    def __init__(self, answer: str | NotAvailable) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    def run_helper(self, *arguments: Any, **options: Any) -> str:
        self.asked.append((*arguments, options))
        if isinstance(self.answer, NotAvailable):
            raise self.answer
        return self.answer


def album(tmp_path: Path, engine: OneShot) -> Album:
    client = SimpleNamespace(sdk=SimpleNamespace(id="c1"))
    lab = SimpleNamespace(name="one", spec=Spec(), engine=engine, client=client)
    return Album(cast(Lab, lab), RunFolder(tmp_path), "browser:1", "en", lambda lab, _: "two")


def test_an_album_keeps_a_figure_for_each_number(tmp_path: Path) -> None:
    """Status, scenes and pages of one step after the other are files in the profile's folder; the browser runs in the
    network of the client, once for all pages of a step."""
    shot = '{"picture": "UE5H", "text": "MASTER-CLUSTER ON"}'
    pages = ", ".join(f'"http://172.23.19.{last}/": {shot}' for last in (46, 47, 48))
    engine = OneShot(f"{{{pages}}}")
    made = album(tmp_path, engine)
    for step in ("S1", "S13"):
        made.add(BY_ID[step], typed(step, "corrected"))
    assert [one.file for one in made.drawn] == [
        f"corrected/figures/{name}" for name in ("F01.svg", "F02.svg", "F14.png", "F15.png", "F16.png")
    ]
    assert [one.shows for one in made.drawn] == [None, None, *["MASTER-CLUSTER ON"] * 3]
    assert (tmp_path / "corrected/figures/F14.png").read_bytes() == b"PNG"
    assert "labkitstatus--nameonetwo" in words_of((tmp_path / "corrected/figures/F01.svg").read_text())
    ((image, lab, _, options),) = engine.asked
    assert (image, lab, options["network_mode"]) == ("browser:1", "one", "container:c1")


@pytest.mark.parametrize("answer", [NotAvailable("no browser\nat all"), "Segmentation fault"])
def test_a_figure_that_cannot_be_made_has_its_trouble(tmp_path: Path, answer: str | NotAvailable) -> None:
    """The walk goes on, and what is missing is told, with the address that was meant."""
    made = album(tmp_path, OneShot(answer))
    made.add(BY_ID["S14"], typed("S14", "corrected"))
    told = entries(made.drawn, "en")
    assert [one["number"] for one in told] == [17, 18, 19]
    assert told[0]["file"] == "corrected/figures/F17.svg"
    for one in told[1:]:
        assert (one["file"], one["shows"]) == (None, None)
        assert one["address"]
        assert str(answer).split()[0] in one["trouble"]


def drawn(profile: Profile) -> Sequence[Drawn]:
    pages = {figure.number: url(Spec(), figure) for figure in FIGURES if figure.page}
    return [
        Drawn(
            figure,
            profile,
            f"{profile}/F{figure.number}.svg",
            pages.get(figure.number),
            "A & B" if figure.page else None,
        )
        for figure in FIGURES[:-1]
    ] + [Drawn(FIGURES[-1], profile, None, pages[19], trouble="<no> browser")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_all_figures(language: Language) -> None:
    """Each figure with both profiles' pictures, its words, and for a web page its address; a missing one is told, and
    nothing that came from a lab is taken for markup."""
    told = entries([*drawn("as-printed"), *drawn("corrected")], language)
    html = page(told, language)
    assert f'<html lang="{language}">' in html
    for figure in FIGURES:
        assert html.count(f'<section id="F{figure.number}">') == 1
        for words in (figure.there, figure.here):
            assert words.within(language) in unescape(html)
    assert re.findall(r'<img src="([^"]+)"', html) == [
        f"{profile}/F{number}.svg" for number in range(1, 19) for profile in PROFILES
    ]
    assert html.count('<div class="address">http://172.23.19.46/</div>') == 4
    assert html.count("&lt;no&gt; browser") == 2
    assert "A &amp; B" in html


# The browser's image


def test_the_browser_is_no_part_of_the_others_images(tmp_path: Path) -> None:
    """Nobody has to build nodes anew when the browser changes: its folder leaves their build context as it is."""
    for name in ("shared/one", f"{BROWSER}/Dockerfile", f"shared/{BROWSER}"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    before = _context(tmp_path, but_for=BROWSER)
    (tmp_path / BROWSER / "Dockerfile").write_text("changed")
    assert _context(tmp_path, but_for=BROWSER) == before
    (tmp_path / "shared" / BROWSER).write_text("changed")
    assert _context(tmp_path, but_for=BROWSER) != before
    assert (images_dir() / BROWSER / "Dockerfile").is_file()
