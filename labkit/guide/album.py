"""The figures' counterparts, made on a pair while the guide's steps are done there, and the page that shows them.

Scenes are drawn from what was typed and what came out. Web pages are photographed by a Chromium in the network of the
lab's client, which is the guide's administrator's machine: it opens the lab's own addresses, and is refused as that
machine would be.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text as Line

from labkit.cluster import Lab
from labkit.errors import LabkitError
from labkit.guide import scene
from labkit.guide.claims import PROFILE
from labkit.guide.figures import BY_NUMBER, FIGURES, STATUS, Figure
from labkit.guide.steps import STEPS, Step
from labkit.guide.walk import CLIENT, Typed
from labkit.language import Language, Text
from labkit.render import heading
from labkit.report import environment
from labkit.spec import Profile, Spec
from labkit.store import RunFolder

PAGE = "figures.html"
COLUMNS = 100
SHOOT = "/usr/lib/labkit/shoot"
SIZE = "900x440"  # of the browser's window, in pixels
SHM = "256m"  # Chromium has its pictures in /dev/shm, and the engine's usual 64 MiB are too few for that

InWords = Callable[[Lab, Language], RenderableType]

WORDS: Mapping[str, Text] = {
    "title": Text("The guide's figures, from the lab", "Las figuras de la guía, desde el laboratorio"),
    "figure": Text("Figure", "Figura"),
    "guide": Text("The guide", "La guía"),
    "here": Text("The lab", "El laboratorio"),
    "credit": Text(
        'The numbers are those of the guide "Clúster de alta disponibilidad con Heartbeat" (Tomás Sánchez, Deiler'
        " Mosquera, Rafael Vejarano; Universidad Tecnológica de Panamá; CC BY-NC-SA 4.0). None of its pictures is here:"
        " all of these come from the lab.",
        'Los números son los de la guía "Clúster de alta disponibilidad con Heartbeat" (Tomás Sánchez, Deiler Mosquera,'
        " Rafael Vejarano; Universidad Tecnológica de Panamá; CC BY-NC-SA 4.0). Ninguna de sus imágenes está aquí:"
        " todas estas vienen del laboratorio.",
    ),
    "missing": Text("It could not be made: ", "No se pudo hacer: "),
}


@dataclass(frozen=True)
class Drawn:
    """A figure's counterpart from one pair. file: in the run's folder, None where trouble kept it from being made.

    address, shows: of a web page, its URL and its heading or the browser's error; None for a scene.
    """

    figure: Figure
    profile: Profile
    file: str | None
    address: str | None = None
    shows: str | None = None
    trouble: str | None = None


class Album:
    """The counterparts from one pair, step by step."""

    def __init__(self, lab: Lab, folder: RunFolder, browser: str, language: Language, in_words: InWords) -> None:
        self.drawn: list[Drawn] = []
        self._lab = lab
        self._folder = folder
        self._browser = browser
        self._language = language
        self._in_words = in_words

    def add(self, step: Step, typed: Sequence[Typed]) -> None:
        """Makes the figures of a step that has just been done. One that cannot be made is kept with its trouble."""
        figures = [BY_NUMBER[number] for number in step.figures]
        self.drawn += [self._scene(figure, typed) for figure in figures if figure.page is None]
        pages = [figure for figure in figures if figure.page is not None]
        if pages:
            self.drawn += self._photographs(pages)

    def _scene(self, figure: Figure, typed: Sequence[Typed]) -> Drawn:
        try:
            svg = self._status(figure) if figure.typed == STATUS else terminal(figure, typed)
        except LabkitError as error:
            return Drawn(figure, self._lab.spec.profile, None, trouble=str(error))
        return Drawn(figure, self._lab.spec.profile, self._kept(figure, "svg", svg))

    def _status(self, figure: Figure) -> str:
        window = scene.window(COLUMNS)
        language = "" if self._language == "en" else f" --lang {self._language}"
        window.print(f"$ [bold]{STATUS} --name {self._lab.name}{language}[/bold]")
        window.print(self._in_words(self._lab, self._language))
        return scene.picture(window, f"{figure.id}: {STATUS}")

    def _photographs(self, figures: Sequence[Figure]) -> list[Drawn]:
        """Web pages, all in one run of the browser."""
        spec = self._lab.spec
        urls = {figure.number: url(spec, figure) for figure in figures}
        try:
            shots = self._shoot(list(urls.values()))
        except LabkitError as error:
            return [Drawn(one, spec.profile, None, urls[one.number], trouble=str(error)) for one in figures]
        drawn = []
        for figure in figures:
            shot = shots[urls[figure.number]]
            file = self._kept(figure, "png", base64.b64decode(shot["picture"]))
            drawn.append(Drawn(figure, spec.profile, file, urls[figure.number], telling(spec, shot["text"])))
        return drawn

    def _shoot(self, urls: Sequence[str]) -> dict[str, dict[str, str]]:
        lab = self._lab
        said = lab.engine.run_helper(
            self._browser,
            lab.name,
            [SHOOT, SIZE, *urls],
            network_mode=f"container:{lab.client.sdk.id}",
            shm_size=SHM,
        )
        try:
            return dict(json.loads(said))
        except ValueError as error:
            raise LabkitError(f"the browser did not answer as it should: {said!r}") from error

    def _kept(self, figure: Figure, kind: str, content: str | bytes) -> str:
        name = f"{self._lab.spec.profile}/figures/F{figure.number:02}.{kind}"
        self._folder.write(name, content)
        return name


def terminal(figure: Figure, typed: Sequence[Typed]) -> str:
    """A figure's scene as a terminal shows it. typed: of its step. Raises LabkitError if nothing of it was typed."""
    shown = [one for one in typed if re.search(figure.typed, one.command)]
    if not shown:
        raise LabkitError("nothing of it was typed")
    lines = []
    for one in shown:
        prompt = Line(f"{one.node}{'$' if one.node == CLIENT else '#'} ", "green")
        lines += [prompt + Line(one.command, "bold"), *map(Line, one.output.rstrip().splitlines())]
    nodes = ", ".join(dict.fromkeys(one.node for one in shown))
    return scene.draw(lines, COLUMNS, f"{figure.id}: {nodes}")


def url(spec: Spec, figure: Figure) -> str:
    """What the browser opens for a figure."""
    first, second = (str(node.address) for node in spec.nodes.values())
    address = {"first": first, "second": second, "vip": str(spec.network.vip)}[figure.page or "vip"]
    return f"http://{address}/"


def telling(spec: Spec, text: str) -> str:
    """What a page says that matters: a node's heading or the browser's error; else its first line."""
    found = re.search("|".join([*(re.escape(heading(node)) for node in spec.nodes), r"\bERR_\w+"]), text)
    return found[0] if found else text.strip().partition("\n")[0]


# What is told of them


def entries(drawn: Sequence[Drawn], language: Language) -> list[dict[str, Any]]:
    """The figures' part of the audit's document."""
    step_of = {number: step.id for step in STEPS for number in step.figures}
    return [
        {
            "number": one.figure.number,
            "step": step_of[one.figure.number],
            "profile": one.profile,
            "guide": one.figure.there.within(language),
            "here": one.figure.here.within(language),
            "file": one.file,
            "address": one.address,
            "shows": one.shows,
            "trouble": one.trouble,
        }
        for one in drawn
    ]


def page(figures: Sequence[Mapping[str, Any]], language: Language) -> str:
    """A page with all figures, each beside its words. figures: as entries() gives them; it links to their files."""
    by_number = {figure.number: [one for one in figures if one["number"] == figure.number] for figure in FIGURES}
    titles = {number: step.title.within(language) for step in STEPS for number in step.figures}
    return (
        environment()
        .get_template(PAGE)
        .render(
            language=language,
            figures={number: of for number, of in by_number.items() if of},
            titles=titles,
            profiles={name: text.within(language) for name, text in PROFILE.items()},
            words={name: text.within(language) for name, text in WORDS.items()},
        )
    )
