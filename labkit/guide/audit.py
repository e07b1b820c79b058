"""The whole audit: a fresh pair for each profile, walked and judged, and a run folder with all of it."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

import labkit
from labkit.cluster import Lab, access, lifecycle
from labkit.engine import Engine
from labkit.errors import NotAvailable
from labkit.guide.album import Album, Drawn, entries
from labkit.guide.claims import Finding, judge
from labkit.guide.steps import STEPS, Step
from labkit.guide.walk import Typed, Walked, walk
from labkit.language import Language, Text
from labkit.progress import Silent
from labkit.spec import Profile, Spec
from labkit.store import RunFolder

StepDone = Callable[[Profile, Step, Sequence[Typed]], None]
NewAlbum = Callable[[Lab], Album]
LAB = {"as-printed": "printed", "corrected": "corrected"}  # the end of a pair's name


@dataclass(frozen=True)
class Audited:
    """One profile: its walk, the claims judged on it, what ran it, and its figures if they were asked for."""

    profile: Profile
    walked: Walked
    findings: list[Finding]
    about: dict[str, Any]
    figures: Sequence[Drawn] = ()


def audit(
    engine: Engine,
    specs: Sequence[Spec],
    options: lifecycle.Options,
    at_once: bool,
    folder: RunFolder,
    after: StepDone,
    heard: Callable[[Profile, Text], None],
    new_album: NewAlbum | None = None,
) -> list[Audited]:
    """Audits a pair of each spec, which are removed afterwards, whatever happens.

    at_once: all pairs at the same time. after: told each step that is done, and may wait. heard: told what goes on.
    new_album: begins the figures of a pair; None for none.
    Raises LabkitError if a pair cannot be had; what goes wrong on a pair that is up is a claim that cannot be judged.
    """
    stopped, turn = threading.Event(), threading.Lock()

    def one(spec: Spec) -> Audited:
        album: Album | None = None

        def go_on() -> None:
            if stopped.is_set():
                raise NotAvailable("another pair's audit has ended early")

        def done(step: Step, typed: Sequence[Typed]) -> None:
            go_on()
            if album is not None:
                album.add(step, typed)
            after(spec.profile, step, typed)

        try:
            with turn:  # in order: the first pair has the guide's own addresses, if they are free
                go_on()
                starting = Text("starting a pair without configuration", "arrancando una pareja sin configurar")
                heard(spec.profile, starting)
                lifecycle.remove(engine, spec.name, Silent())
                lab = lifecycle.up(engine, spec, options, Silent()).lab
            heard(spec.profile, _where(lab))
            about = {"profile": spec.profile, "platform": lab.platform, "network": lab.network, "images": lab.images(),
                     "packages": lab.packages(), "spec": lab.spec.model_dump(mode="json")}  # fmt: skip
            album = new_album(lab) if new_album else None
            walked = walk(lab, folder, done, lambda text: heard(spec.profile, text))
        finally:
            lifecycle.remove(engine, spec.name, Silent())
        folder.write(f"{spec.profile}/transcript.txt", walked.transcript())
        return Audited(spec.profile, walked, judge(walked.seen), about, album.drawn if album else ())

    if not at_once:
        return [one(spec) for spec in specs]
    with ThreadPoolExecutor(len(specs)) as pool:
        walks = [pool.submit(one, spec) for spec in specs]
        try:
            return [each.result() for each in walks]
        except BaseException:  # the other walks end at their next step, or as soon as they miss their pair
            stopped.set()
            for spec in specs:
                lifecycle.remove(engine, spec.name, Silent())
            raise


def _where(lab: Lab) -> Text:
    """Where a browser and SSH reach the pair."""
    ports, there = lab.spec.ports, lab.gateway.published()
    pages = (
        f"http://127.0.0.1:{there.get(port, port)}/" for port in (ports.first_http, ports.second_http, ports.vip_http)
    )
    text = Text(
        "for a browser: {first} {second}, the VIP {vip}; for SSH: labkit ssh --name {name} NODE",
        "para un navegador: {first} {second}, la IP virtual {vip}; para SSH: labkit ssh --name {name} NODO",
    )
    where = text.filled(**dict(zip(("first", "second", "vip"), pages, strict=True)), name=lab.name)
    remark = access.remark(lab.engine)
    return Text("{where} ({remark})", "{where} ({remark})").filled(where=where, remark=remark) if remark else where


def document(run: str, audited: Sequence[Audited], language: Language) -> dict[str, Any]:
    """What `guide --json` answers: the claims with verdict and evidence, and all that was typed. run: its folder.

    docs/guide.schema.json tells the shape.
    """
    return {
        "run": run,
        "labkit": labkit.__version__,
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "claims": [_finding(one, finding, language) for one in audited for finding in one.findings],
        "profiles": [
            {**one.about, "runs": one.walked.runs, "troubles": list(one.walked.seen.troubles)} for one in audited
        ],
        "steps": [
            {
                "id": step.id,
                "profile": one.profile,
                "title": step.title.within(language),
                "typed": [asdict(typed) for typed in one.walked.typed if typed.step == step.id],
            }
            for one in audited
            for step in STEPS
        ],
        "figures": [figure for one in audited for figure in entries(one.figures, language)],
    }


def _finding(audited: Audited, finding: Finding, language: Language) -> dict[str, Any]:
    claim, judgement, walked = finding.claim, finding.judgement, audited.walked
    return {
        "id": claim.id,
        "profile": finding.profile,
        "claim": claim.title.within(language),
        "verdict": judgement.verdict,
        "known": claim.known(finding.profile),
        "detail": judgement.detail.within(language),
        "evidence": {
            "typed": [asdict(one) for one in walked.typed if one.claim == claim.id],
            "figures_ms": dict(judgement.figures_ms),
            "runs": [walked.runs[fault] for fault in claim.faults if fault in walked.runs],
        },
    }
