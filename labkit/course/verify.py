"""Proves that an exercise can be failed and solved, on a real pair, and leaves nothing behind."""

from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from labkit.cluster import lifecycle
from labkit.course import work
from labkit.engine import Engine
from labkit.errors import LabkitError, NotAvailable
from labkit.exercises import Exercise, Judged, Pair, Variant, words
from labkit.language import LANGUAGES, Text
from labkit.progress import Progress, Silent
from labkit.spec import Spec
from labkit.timing import SECOND, now_ns


@dataclass(frozen=True)
class Verified:
    """What verifying an exercise found. wrong: what is not as it must be, in words; none if it is proved.

    took_s: start, first check, solution, second check and clearing up, in seconds.
    """

    name: str
    wrong: tuple[str, ...]
    took_s: dict[str, float]


def verify_all(
    engine: Engine,
    exercises: Sequence[Exercise],
    variant: Variant,
    base: Spec,
    root: Path,
    parallel: int,
    shown: Progress,
) -> list[Verified]:
    """Verifies exercises, several at a time, each on a pair of its own called NAME-ORDER, as in `verify-20`.

    If one cannot be verified at all, or the user interrupts, the others end too, and no pair stays. Other commands
    leave the pairs alone meanwhile.
    """

    def one(exercise: Exercise) -> Verified:
        return verify(engine, exercise, variant, _called(base, exercise), root, shown)

    with ExitStack() as stack:
        for exercise in exercises:
            stack.enter_context(lifecycle.changing(engine, _called(base, exercise).name, shown))
        pool = stack.enter_context(ThreadPoolExecutor(parallel))
        going = [pool.submit(one, exercise) for exercise in exercises]
        try:
            wait(going, return_when=FIRST_EXCEPTION)
            return [each.result() for each in going]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(each.done() for each in going):  # those at work end as soon as they miss their pair
                for exercise in exercises:
                    lifecycle.remove(engine, _called(base, exercise).name, Silent())
                wait(going, 1)
            raise


def _called(base: Spec, exercise: Exercise) -> Spec:
    """By its place in the course: some exercises' names are longer than a lab's may be."""
    return base.with_options(name=f"{base.name}-{exercise.order}")


def verify(engine: Engine, one: Exercise, variant: Variant, base: Spec, root: Path, shown: Progress) -> Verified:
    """Verifies one exercise. base: name and platform of the pair. root: where trials are kept.

    An exercise that raises is wrong, and says with what; only what is nobody's fault but the engine's is raised.
    """
    took: dict[str, float] = {}
    spec = variant.spec(base, one.shape)
    wrong = texts(one, spec, variant)
    since = now_ns()

    def lap(what: str) -> None:
        nonlocal since
        took[what] = round((now_ns() - since) / SECOND, 1)
        since = now_ns()
        shown.step(f"{one.name}: {what} {took[what]:.1f} s")

    try:
        pair = work.begin(engine, one, lambda lab: Pair(lab, variant, runs=root), spec)
        lap("start")
        before = work.examine(one, pair)
        lap("check")
        wrong += [f"the starting state's verdict is {before.verdict}, not fail"] if before.verdict != "fail" else []
        wrong += [_told("at the start", judged) for judged in before.judged if judged.verdict == "unknown"]
        one.solve(pair)
        lap("solution")
        after = work.examine(one, pair)
        lap("check again")
        wrong += [_told("solved", judged) for judged in after.judged if judged.verdict != "pass"]
        wrong += [] if after.judged else ["it has no checks"]
    except NotAvailable:
        raise
    except LabkitError as error:
        wrong.append(str(error))
    finally:
        lifecycle.remove(engine, spec.name, Silent())
        lap("clearing up")
    wrong += [f"left behind: {left.name}" for left in lifecycle.leftovers(engine, spec.name)]
    return Verified(one.name, tuple(wrong), took)


def _told(when: str, judged: Judged) -> str:
    return f"{when}, {judged.check} is {judged.verdict}: expected {judged.expected.en}; seen {judged.seen.en}"


def texts(one: Exercise, spec: Spec, variant: Variant) -> list[str]:
    """What is wrong with an exercise's texts: one that is empty, the same in both languages, or has unknown words."""
    known = words(spec, variant, one.name)
    named: dict[str, Text] = {
        "title": one.title,
        "task": one.task,
        "solution": one.solution,
        **{f"hint {number}": hint for number, hint in enumerate(one.hints, 1)},
        **{f"question {key}": text for key, text in one.questions.items()},
    }
    wrong = [] if one.hints else ["it has no hints"]
    for what, text in named.items():
        for language in LANGUAGES:
            written = text.within(language)
            try:
                filled = written.format(**known)
            except (KeyError, ValueError, IndexError) as error:
                wrong.append(f"{what} ({language}): {error} stands in braces; known are {', '.join(known)}")
                continue
            wrong += [] if filled.strip() else [f"{what} ({language}) is empty"]
        wrong += [f"{what} is the same in every language"] if text.en == text.es else []
    return wrong
