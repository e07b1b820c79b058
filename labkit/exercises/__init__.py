"""Exercises: one file each, with task, hints, solution and checks, in English and Spanish. Rank 10.2.

An exercise is a pair in some state, usually a broken one, and what must be true of it in the end. What is looked at and
what is made of it are kept apart: `look` gathers facts from the live pair, `judge` decides from these alone, so that
whoever grades can decide again without the pair.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from labkit import plugins
from labkit.checks import Verdict
from labkit.exercises._pair import Facts, Pair
from labkit.exercises._variant import Shape, Variant
from labkit.history import Event
from labkit.language import Said, Text
from labkit.measure import result
from labkit.spec import Spec

__all__ = [
    "NO_ANSWER",
    "Exercise",
    "Facts",
    "Judged",
    "Pair",
    "Seen",
    "Shape",
    "Variant",
    "all_exercises",
    "attended",
    "exercise",
    "words",
]

NO_ANSWER = Text("no answer yet", "aún sin respuesta")  # to a question of the task
FOLDER = "LABKIT_EXERCISES"  # of the environment: where an author's own exercises lie


@dataclass(frozen=True)
class Seen:
    """All that a judgement may rest on. facts: what `look` gave. runs: the history of each trial that it ran, by the
    name it was given. answers: what the student wrote. variant, spec: which pair it was."""

    spec: Spec
    variant: Variant
    facts: Facts
    runs: Mapping[str, list[Event]] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)

    def trial(self, name: str) -> Facts | None:
        """The figures of a trial, as docs/result.schema.json has them, or None if it was not run."""
        events = self.runs.get(name)
        if not events:
            return None
        trial: Facts = result(events, run=name)["trials"][0]
        return trial


@dataclass(frozen=True)
class Judged:
    """One check of an exercise. It tells what was expected, what was seen and where to look, and no answers.

    check: a word or two with hyphens, the same in every language. unknown: it cannot be judged, as when a node is off.
    """

    check: str
    verdict: Verdict
    expected: Text
    seen: Text
    look: Text


class Exercise(Protocol):
    """What a module of this package offers; its `name` is the file's with hyphens.

    order: its place in the course. minutes: what it takes a student. needs: what to have done before. shape: the pair.
    task, solution: Markdown. hints: from a nudge to nearly all. questions: what the student answers in words, by key,
    which may be none. In task, hints, solution and questions stand the names of `words` in braces.
    """

    name: str
    order: int
    minutes: int
    needs: tuple[str, ...]
    title: Text
    shape: Shape
    task: Text
    hints: tuple[Text, ...]
    solution: Text
    questions: Mapping[str, Text]

    def configure(self, pair: Pair) -> None:
        """Changes the nodes' files before they have power: reads and writes, runs nothing. They boot with them."""

    def prepare(self, pair: Pair) -> None:
        """Does the rest when the nodes have power, and waits for the starting state, which fails at least one check."""

    def look(self, pair: Pair) -> Facts:
        """What is to be seen on the pair now. Changes nothing that a student has done; a trial heals what it breaks."""

    def judge(self, seen: Seen) -> list[Judged]:
        """Decides, from what was seen alone."""

    def solve(self, pair: Pair) -> None:
        """The solution by script: what a student does, answers to the questions among it."""


def all_exercises() -> dict[str, Exercise]:
    """Every exercise by name, in the order of the course: labkit's own, and those in the folder that LABKIT_EXERCISES
    names. Raises BadInput for a file there that is no exercise."""
    import labkit.exercises as package

    folder = os.environ.get(FOLDER)
    if folder and folder not in package.__path__:
        package.__path__.append(folder)
    found = plugins.discover(package, Exercise)  # type: ignore[type-abstract]  # modules satisfy it, not classes
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def exercise(name: str) -> Exercise:
    """Raises BadInput, with the valid names, for no such exercise."""
    found = all_exercises()
    if name not in found:
        no_such = Text(
            "there is no exercise {name!r}; use one of: {all}", "no hay ejercicio {name!r}; use uno de: {all}"
        )
        raise Said(no_such.filled(name=name, all=", ".join(found)))
    return found[name]


def attended(one: Exercise, pair: Pair) -> AbstractContextManager[None] | None:
    """What an exercise keeps going outside of the pair while it is looked at or worked on, if it has a function
    `attended(pair)` for that; else None. Harmless if it is entered twice."""
    keep = getattr(one, "attended", None)
    context: AbstractContextManager[None] | None = keep(pair) if keep else None
    return context


def words(spec: Spec, variant: Variant, name: str) -> dict[str, Any]:
    """What may stand in braces in an exercise's texts: the pair's names, addresses and times, and what the exercise
    plants, if it has a function `planted(spec, random)`.

    first, second: the nodes, the preferred one first; first_address, second_address, vip, client, nic, keepalive,
    deadtime (as in ha.cf), lab.
    """
    first, second = spec.nodes
    planted = getattr(exercise(name), "planted", None)
    return {
        "first": first,
        "second": second,
        "first_address": spec.nodes[first].address,
        "second_address": spec.nodes[second].address,
        "vip": spec.network.vip,
        "client": spec.network.client,
        "nic": spec.network.interface,
        "keepalive": spec.timing.keepalive,
        "deadtime": spec.timing.deadtime,
        "lab": spec.name,
        **(planted(spec, variant.random(name)) if planted else {}),
    }
