"""The guide put to the test, and done by hand: guide."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from labkit.cli.common import (
    RUNS,
    FileOption,
    JsonOption,
    LangOption,
    LeastOption,
    MirrorOption,
    PlatformOption,
    PortsOption,
    RunsOption,
    SubnetOption,
    answer,
    auto,
    err,
    lab_name,
    leave,
    out,
    progress,
    read_spec,
    worst,
)
from labkit.cli.show import markup, status_in_words
from labkit.cluster import Lab, lifecycle
from labkit.engine import Engine, images
from labkit.errors import BadInput
from labkit.guide import audit as audits
from labkit.guide.album import PAGE, Album, page
from labkit.guide.check import State, check
from labkit.guide.claims import PROFILE, Finding, Verdict
from labkit.guide.steps import Step
from labkit.guide.walk import CLIENT, Typed
from labkit.language import Language, Text, choose, same
from labkit.plot import duration
from labkit.spec import Profile, Spec
from labkit.store import RunFolder

DOCUMENT = "guide.json"
BOTH = "both"
PROFILES: tuple[Profile, ...] = ("as-printed", "corrected")
LONGEST_SHOWN = 12  # lines of a command's output, when steps are shown

COLOUR = {"pass": "green", "fail": "red", "unknown": "yellow"}
WORD: dict[Verdict, Text] = {
    "pass": Text("holds", "se cumple"),
    "fail": Text("does not hold", "no se cumple"),
    "unknown": Text("could not be judged", "no se pudo juzgar"),
}
STATE: dict[State, tuple[str, Text]] = {
    "right": ("green", Text("right", "bien")),
    "wrong": ("red", Text("WRONG", "MAL")),
    "missing": ("yellow", Text("not done", "sin hacer")),
    "unknown": ("yellow", Text("cannot tell", "no se sabe")),
}


def guide(
    profile: Annotated[str, typer.Option("--profile", help="as-printed, corrected, or both.")] = BOTH,
    step: Annotated[bool, typer.Option("--step", help="Say what each step did and why, and wait for Enter.")] = False,
    by_hand: Annotated[
        bool, typer.Option("--check", help="Say how far a pair is that is configured by hand (`labkit up --bare`).")
    ] = False,
    figures: Annotated[
        bool,
        typer.Option("--figures", help="Make the guide's figures F1 to F19 from the lab, web pages by a Chromium."),
    ] = False,
    lang: LangOption = None,
    file: FileOption = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="With --check the lab, by default lab.yaml's or lab; else how pairs' names begin."),
    ] = None,
    platform: PlatformOption = None,
    subnet: SubnetOption = "auto",
    ports: PortsOption = "auto",
    least: LeastOption = False,
    mirror: MirrorOption = "",
    root: RunsOption = RUNS,
    as_json: JsonOption = False,
) -> None:
    """Does the guide's steps on fresh pairs, as printed and corrected, and says which of its claims hold.

    The audit's outcome is known: as printed, C4, C5, C7, C8 and C9 do not hold; corrected, all do. Exit code 0 if it
    came out so, 1 if not, 2 if something could not be judged or a figure not be made. With --check: 0 if all steps are
    done and right, 1 if one is wrong or missing, 2 if some cannot be told.

    Example: labkit guide --step --profile as-printed
    """
    language = choose(lang, os.environ)
    if profile not in (BOTH, *PROFILES):
        raise BadInput(f"--profile: there is no profile {profile!r}; use one of: {', '.join((BOTH, *PROFILES))}")
    if step and as_json:
        raise BadInput("--step waits for Enter, and --json is for programs; use one of the two")
    if by_hand and figures:
        raise BadInput(
            "--check looks at what was done by hand, and --figures are made as the guide's steps are done; use"
            " one of the two"
        )
    engine = Engine.connect()
    if by_hand:
        _check(engine, lab_name(name), language, as_json)
        return
    wanted = PROFILES if profile == BOTH else tuple(one for one in PROFILES if one == profile)
    specs = _specs(wanted, name or "guide", file, platform, subnet, least)
    options = lifecycle.Options(
        staged=False, bare=True, auto_ports=auto("--ports", ports), auto_subnet=subnet == "auto", mirror=mirror
    )
    with progress(as_json) as shown, ExitStack() as stack:
        for spec in specs:
            stack.enter_context(lifecycle.changing(engine, spec.name, shown))
        built = images.ensure(engine, specs[0].platform, shown, mirror)
        browser = images.ensure_browser(engine, built, shown) if figures else ""
        folder = RunFolder.create(root, "guide")

        def after(of: Profile, done: Step, typed: Sequence[Typed]) -> None:
            if step:
                _tell_step(of, done, typed, language)
                _await_enter(language)
            else:
                shown.step(f"{PROFILE[of].within(language)}: {done.id} {done.title.within(language)}")

        def heard(of: Profile, text: Text) -> None:
            shown.step(f"{PROFILE[of].within(language)}: {text.within(language)}")

        def new_album(lab: Lab) -> Album:
            return Album(lab, folder, browser, language, status_in_words)

        at_once = not step and subnet == "auto" and options.auto_ports
        audited = audits.audit(engine, specs, options, at_once, folder, after, heard, new_album if figures else None)
    document = audits.document(str(folder.path), audited, language)
    folder.write_json(DOCUMENT, document)
    if figures:
        folder.write(PAGE, page(document["figures"], language))
    findings = [finding for one in audited for finding in one.findings]
    if as_json:
        answer(document)
    else:
        _tell_findings(findings, wanted, language)
        out.print(f"{Text('all of it', 'todo').within(language)}: {markup(str(folder.path))}", soft_wrap=True)
        if figures:
            out.print(
                f"{Text('the figures', 'las figuras').within(language)}: {markup(str(folder.path / PAGE))}",
                soft_wrap=True,
            )
    for one in document["figures"]:
        if one["trouble"]:
            profile_of = PROFILE[one["profile"]].within(language)
            err.print(f"[yellow]F{one['number']}, {profile_of}: {markup(one['trouble'])}[/yellow]")
    whole = all(one["file"] for one in document["figures"])
    leave(worst([outcome(findings), "pass" if whole else "unknown"]))


def _specs(
    profiles: Sequence[Profile],
    name: str,
    file: Path | None,
    platform: str | None,
    subnet: str | None,
    least: bool,
) -> list[Spec]:
    return [
        read_spec(file, f"{name}-{audits.LAB[profile]}", platform, profile, subnet=subnet, least=least)
        for profile in profiles
    ]


def outcome(findings: Sequence[Finding]) -> str:
    """pass if every claim came out as it is known; else fail, or unknown if some could not be judged and none came
    out otherwise."""
    verdicts = {
        "pass" if one.as_known else "unknown" if one.judgement.verdict == "unknown" else "fail" for one in findings
    }
    return worst(sorted(verdicts))


# By hand


def _check(engine: Engine, name: str, language: Language, as_json: bool) -> None:
    """Says which steps are done and right on the lab that is up, and ends with its exit code."""
    checked = check(lifecycle.require(engine, name))
    if as_json:
        steps = [
            {
                "id": one.step.id,
                "title": one.step.title.within(language),
                "state": one.state,
                "detail": one.detail.within(language),
            }
            for one in checked
        ]
        answer({"steps": steps})
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for one in checked:
            colour, word = STATE[one.state]
            title, detail = (markup(text.within(language)) for text in (one.step.title, one.detail))
            table.add_row(f"[{colour}]{word.within(language)}[/{colour}]", one.step.id, title, detail)
        out.print(table)
    states = {one.state for one in checked}
    leave("fail" if states & {"wrong", "missing"} else "unknown" if "unknown" in states else "pass")


# Steps


def _tell_step(profile: Profile, step: Step, typed: Sequence[Typed], language: Language) -> None:
    out.rule(f"[bold]{step.id} {markup(step.title.within(language))}[/bold] ({PROFILE[profile].within(language)})")
    rows = [
        (Text("what it does", "qué hace"), step.does),
        (Text("why", "por qué"), step.why),
        (Text("the guide types", "la guía escribe"), same("; ".join(step.typed) or "-")),
        (Text("what differs here", "qué difiere aquí"), step.differs),
    ]
    table = Table(box=None, show_header=False, pad_edge=False)
    for what, text in rows:
        table.add_row(f"[cyan]{what.within(language)}[/cyan]", markup(text.within(language)))
    out.print(table)
    for one in typed:
        prompt = "$" if one.node == CLIENT else "#"
        out.print(f"[green]{one.node}[/green]{prompt} [bold]{markup(one.command)}[/bold]", soft_wrap=True)
        lines = one.output.rstrip().splitlines()
        if len(lines) > LONGEST_SHOWN:
            lines = [*lines[:LONGEST_SHOWN], "..."]
        for line in lines:
            out.print(f"  {markup(line)}", soft_wrap=True)


def _await_enter(language: Language) -> None:
    """Waits for Enter. Raises BadInput where nobody can press it."""
    prompt = Text("Enter goes on, Ctrl-C ends ", "Enter continúa, Ctrl-C termina ").within(language)
    try:
        out.input(prompt)
    except EOFError:
        raise BadInput(
            Text(
                "--step waits for Enter, but the standard input has ended; leave --step out where nobody sits",
                "--step espera Enter, pero la entrada estándar terminó; quite --step donde no haya nadie",
            ).within(language)
        ) from None


# The audit


def _tell_findings(findings: Sequence[Finding], profiles: Sequence[Profile], language: Language) -> None:
    by_claim: dict[str, dict[Profile, Finding]] = {}
    for one in findings:
        by_claim.setdefault(one.claim.id, {})[one.profile] = one
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column(Text("what the guide claims", "lo que afirma la guía").within(language), overflow="fold")
    for profile in profiles:
        table.add_column(PROFILE[profile].within(language), no_wrap=True)
    for name, of in by_claim.items():
        title = next(iter(of.values())).claim.title.within(language)
        table.add_row(name, markup(title), *(_cell(of[profile], language) for profile in profiles))
    out.print(table)
    evidence = Table(box=None, show_header=False, pad_edge=False)
    for one in findings:
        colour = COLOUR[one.judgement.verdict]
        evidence.add_row(
            f"[{colour}]{one.claim.id}[/{colour}]",
            PROFILE[one.profile].within(language),
            markup(one.judgement.detail.within(language)),
        )
    out.print(f"[bold]{Text('Evidence', 'Pruebas').within(language)}[/bold]")
    out.print(evidence)
    for one in findings:
        if one.judgement.verdict == "fail" and one.profile == "as-printed" and one.claim.why and one.claim.cure:
            out.print(f"[bold]{one.claim.id}[/bold] {markup(one.claim.why.within(language))}")
            cured = Text("Corrected: ", "Corregido: ").within(language)
            out.print(f"   [green]{cured}[/green]{markup(one.claim.cure.within(language))}")
    for one in findings:
        if not one.as_known:
            text = Text("{claim}, {profile}: known is `{known}`", "{claim}, {profile}: lo conocido es `{known}`")
            known = WORD[one.claim.known(one.profile)]
            said = text.filled(claim=one.claim.id, profile=PROFILE[one.profile], known=known)
            err.print(f"[yellow]{markup(said.within(language))}[/yellow]")


def _cell(finding: Finding, language: Language) -> str:
    verdict = finding.judgement.verdict
    figures = [duration(ms) for ms in finding.judgement.figures_ms.values() if ms is not None]
    shown = f" ({', '.join(figures)})" if figures else ""
    return f"[{COLOUR[verdict]}]{WORD[verdict].within(language)}[/{COLOUR[verdict]}]{shown}"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(guide)
