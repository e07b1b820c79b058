"""The guide as data: what is typed, what is judged from what was seen, and what is made of a student's files."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from labkit import render
from labkit.cli.guide import outcome
from labkit.guide import audit as audits
from labkit.guide import shell
from labkit.guide.album import Drawn
from labkit.guide.audit import Audited
from labkit.guide.check import Life, apache_life, ha_cf_mistakes, heartbeat_life, resources, stopped_by_hand
from labkit.guide.claims import CLAIMS, SIZES, FileSeen, Finding, Judgement, Seen, judge
from labkit.guide.figures import BY_NUMBER
from labkit.guide.steps import STEPS
from labkit.guide.walk import Typed, Walked
from labkit.heartbeat import commands, hacf
from labkit.language import Language
from labkit.spec import Profile, Spec
from tests.unit.test_render import SAMPLES

MASTER, SLAVE = "master-cluster", "slave-cluster"
PROFILES: tuple[Profile, ...] = ("as-printed", "corrected")
KEY = "0123456789abcdef"
SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs" / "guide.schema.json").read_text(encoding="utf-8"))


def trial(
    before: str | None, after: str | None, outage_ms: float | None, back_ms: float | None = 0.0
) -> dict[str, Any]:
    return {
        "server_before": before,
        "server_after": after,
        "outage_ms": outage_ms,
        "failback_outage_ms": back_ms,
        "requests_failed": 100,
        "failback_requests_failed": 10,
    }


def seen(profile: Profile = "corrected", **changes: Any) -> Seen:
    """What is seen on a pair where all is as it is known."""
    spec = Spec(profile=profile)
    printed = profile == "as-printed"
    both = (MASTER, SLAVE)
    known = Seen(
        spec,
        files=tuple(
            FileSeen(node, name, SIZES[name][number], SIZES[name][number], True)
            for number, node in enumerate(both)
            for name in SIZES
        ),
        tasks=dict.fromkeys(both, 10 if printed else 8),
        media=dict.fromkeys(both, 4 if printed else 3),
        own_pages={MASTER: "MASTER-CLUSTER ON", SLAVE: "SLAVE-CLUSTER ON"},
        vip_page="MASTER-CLUSTER ON",
        owners=both if printed else (MASTER,),
        struck=MASTER,
        refused=shell.REFUSED,
        moved_page=shell.REFUSED if printed else "SLAVE-CLUSTER ON",
        moved_owners=both if printed else (SLAVE,),
        returned_page="MASTER-CLUSTER ON",
        returned_owners=both if printed else (MASTER,),
        trials={
            "apache-stop": trial(MASTER, None, None, 200.0) if printed else trial(MASTER, SLAVE, 2000.0, 2500.0),
            "node-kill": trial(MASTER, SLAVE, 24000.0 if printed else 5000.0),
            "standby": trial(MASTER, SLAVE, 24000.0 if printed else 2000.0, 2000.0),
        },
    )
    return replace(known, **changes)


def verdicts(of: Seen) -> dict[str, str]:
    return {one.claim.id: one.judgement.verdict for one in judge(of)}


# Steps and what is typed


def test_steps_and_claims_are_numbered() -> None:
    """S1 to S15 and C1 to C9, in order, and each of the guide's 19 figures belongs to one step."""
    assert [step.id for step in STEPS] == [f"S{number}" for number in range(1, 16)]
    assert [claim.id for claim in CLAIMS] == [f"C{number}" for number in range(1, 10)]
    assert [figure for step in STEPS for figure in step.figures] == list(range(1, 20))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("node", [MASTER, SLAVE])
def test_what_is_typed_gives_what_is_rendered(profile: Profile, node: str, tmp_path: Path) -> None:
    """The commands of S6, S7, S8 and S11, run on the samples by a real shell, make byte for byte the rendered files."""
    spec = Spec(profile=profile)
    begin = {
        commands.HA_CF: SAMPLES.ha_cf,
        commands.HARESOURCES: SAMPLES.haresources,
        commands.AUTHKEYS: SAMPLES.authkeys,
        commands.INDEX_HTML: SAMPLES.index_html,
    }
    for path, text in begin.items():
        (tmp_path / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.lstrip("/")).write_text(text)
    for step in ("S6", "S7", "S8", "S11"):
        for line in shell.on_node(step, spec, node, KEY):
            moved = re.sub(r"(?<=[ ])/(etc|var)/", rf"{tmp_path}/\1/", line)
            subprocess.run(["sh", "-ec", moved], check=True, capture_output=True)
    for file in render.node_files(spec, SAMPLES, KEY, node):
        if file.path in begin and file.path != commands.INDEX_HTML:
            assert (tmp_path / file.path.lstrip("/")).read_text() == file.text, file.path
    assert render.heading(node) in (tmp_path / commands.INDEX_HTML.lstrip("/")).read_text()
    assert (tmp_path / commands.AUTHKEYS.lstrip("/")).stat().st_mode & 0o777 == 0o600


# Claims


@pytest.mark.parametrize("profile", PROFILES)
def test_known_outcome(profile: Profile) -> None:
    """As printed, C4, C5, C7, C8 and C9 do not hold; corrected, all do. The audit then ends with 0."""
    told = verdicts(seen(profile))
    refuted = {"C4", "C5", "C7", "C8", "C9"} if profile == "as-printed" else set()
    assert told == {claim.id: "fail" if claim.id in refuted else "pass" for claim in CLAIMS}
    assert outcome(judge(seen(profile))) == "pass"


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_seen_is_never_judged(profile: Profile) -> None:
    """Without anything seen no claim holds or fails, and the trouble is told."""
    findings = judge(Seen(Spec(profile=profile), troubles=("the engine went away\nand more",)))
    assert {one.judgement.verdict for one in findings} == {"unknown"}
    assert all("the engine went away" in one.judgement.detail.es for one in findings)
    assert outcome(findings) == "unknown"


@pytest.mark.parametrize(
    ("claim", "changes"),
    [
        ("C1", {"files": tuple(replace(one, right=one.name != "ha.cf") for one in seen().files or ())}),
        ("C2", {"tasks": {MASTER: 8, SLAVE: 7}}),
        ("C3", {"own_pages": {MASTER: "MASTER-CLUSTER ON", SLAVE: "MASTER-CLUSTER ON"}}),
        ("C4", {"owners": (MASTER, SLAVE)}),
        ("C4", {"vip_page": "SLAVE-CLUSTER ON"}),
        ("C5", {"trials": {**seen().trials, "apache-stop": trial(MASTER, MASTER, 0.0)}}),
        ("C5", {"trials": {**seen().trials, "apache-stop": trial(MASTER, SLAVE, 6000.0)}}),
        ("C6", {"refused": "MASTER-CLUSTER ON"}),
        ("C6", {"refused": "timed out"}),
        ("C7", {"returned_owners": (SLAVE,)}),
        ("C7", {"returned_page": shell.REFUSED}),
        ("C8", {"trials": {**seen().trials, "node-kill": trial(MASTER, SLAVE, 10001.0)}}),
        ("C8", {"trials": {"node-kill": trial(MASTER, None, None)}}),
        ("C9", {"trials": {**seen().trials, "standby": trial(MASTER, MASTER, 0.0)}}),
    ],
)
def test_a_claim_that_does_not_hold(claim: str, changes: dict[str, Any]) -> None:
    """Each claim fails by what it is about, and the audit then ends with 1, for it was known to hold."""
    of = seen(**changes)
    assert verdicts(of)[claim] == "fail"
    assert outcome(judge(of)) == "fail"


def test_sizes_are_held_to_figure_9() -> None:
    """As printed, files that are rendered right but have not the guide's sizes refute C1."""
    files = tuple(replace(one, of_the_guide=one.of_the_guide + 1) for one in seen("as-printed").files or ())
    assert verdicts(seen("as-printed", files=files))["C1"] == "fail"


def test_a_claim_that_holds_as_printed_is_a_surprise() -> None:
    """A claim that is known not to hold, and does, is an outcome that differs."""
    assert outcome(judge(seen("as-printed", owners=(MASTER,)))) == "fail"


def test_half_measured_is_unknown() -> None:
    """One fault measured and the other not is no ground to call the whole claim right."""
    of = seen(trials={"apache-stop": seen().trials["apache-stop"]})
    assert (verdicts(of)["C8"], verdicts(of)["C9"]) == ("unknown", "unknown")


def test_a_silent_probe_refutes_nothing() -> None:
    """Neither an answer nor a failed request was seen: that is no outage, and nothing can be said."""
    silent = {**trial(MASTER, None, None), "requests_failed": 0, "failback_requests_failed": 0}
    told = verdicts(seen(trials=dict.fromkeys(("apache-stop", "node-kill", "standby"), silent)))
    assert [told[number] for number in ("C5", "C8", "C9")] == ["unknown"] * 3


def test_unknown_gives_way_to_a_different_outcome() -> None:
    """Exit code 1 says more than 2."""
    one, two, *_ = judge(seen())
    text = one.judgement.detail
    unknown = Finding(one.claim, "corrected", Judgement("unknown", text))
    assert outcome([unknown]) == "unknown"
    assert outcome([unknown, Finding(two.claim, "corrected", Judgement("fail", text))]) == "fail"


# The document


def audited(profile: Profile, of: Seen) -> Audited:
    typed = tuple(
        Typed(step.id, MASTER, "true", 0, "out\n", 1.5, claim)
        for step, claim in zip(STEPS, [*(one.id for one in CLAIMS), *[""] * 6], strict=True)
    )
    runs = {"apache-stop": "runs/x/apache-stop"}
    about = {
        "profile": profile,
        "platform": "debian-12",
        "network": "macvlan",
        "images": {"node": "sha256:0"},
        "packages": {"heartbeat": "1:3.0.6-13"},
        "spec": of.spec.model_dump(mode="json"),
    }
    figures = [
        Drawn(BY_NUMBER[1], profile, f"{profile}/figures/F01.svg"),
        Drawn(BY_NUMBER[18], profile, f"{profile}/figures/F18.png", "http://172.23.19.46/", "ERR_CONNECTION_REFUSED"),
        Drawn(BY_NUMBER[19], profile, None, "http://172.23.19.48/", trouble="no browser"),
    ]
    return Audited(profile, Walked(typed, of, runs), judge(of), about, figures)


def document(language: Language = "en") -> dict[str, Any]:
    of = [audited("as-printed", seen("as-printed")), audited("corrected", Seen(Spec(), troubles=("gone",)))]
    return dict(json.loads(json.dumps(audits.document("runs/x", of, language))))


def test_the_document_fits_its_schema() -> None:
    """What is answered, of claims and figures of which some could not be had, is as published, and the schema takes
    nothing else."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document(), SCHEMA, cls=jsonschema.Draft202012Validator)
    for wrong in ({"claims": [{"id": "C5"}]}, {"more": 1}, {"steps": None}, {"figures": [{"number": 20}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document() | wrong, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_document_has_each_claim_with_its_evidence() -> None:
    """Each claim stands once for each profile, with what was typed for it and the runs that measured it."""
    claims = document()["claims"]
    assert [(one["profile"], one["id"]) for one in claims] == [(of, one.id) for of in PROFILES for one in CLAIMS]
    for one in claims:
        assert [typed["claim"] for typed in one["evidence"]["typed"]] == [one["id"]]
    c5 = claims[4]
    assert (c5["verdict"], c5["known"], c5["evidence"]["runs"]) == ("fail", "fail", ["runs/x/apache-stop"])
    assert c5["evidence"]["figures_ms"] == {"outage": None}


def test_the_document_speaks_both_languages() -> None:
    """Only what people read differs; verdicts and evidence are the same."""
    english, spanish = document("en")["claims"], document("es")["claims"]
    words = ("claim", "detail")
    for one, other in zip(english, spanish, strict=True):
        assert one["claim"] != other["claim"]
        assert {k: v for k, v in one.items() if k not in words} == {k: v for k, v in other.items() if k not in words}


def test_the_transcript_shows_commands_as_they_were_typed() -> None:
    """A step's number, the prompt of its node with the command, and what came out."""
    text = Walked((Typed("S7", SLAVE, "tail -n 1 x", 0, "line\n", 2.0),), seen(), {}).transcript()
    assert text == "# S7\nroot@slave-cluster:~# tail -n 1 x\nline\n"


# By hand

RIGHT = "master-cluster 172.23.19.48 apache2\n"


@pytest.mark.parametrize(
    ("master", "slave", "state", "said"),
    [
        ("", "", "missing", MASTER),
        (RIGHT, "# nothing\n", "missing", SLAVE),
        (RIGHT, RIGHT, "right", "better than printed"),
        ("master-cluster IPaddr2::172.23.19.48/24/eth0 apache2\n",) * 2 + ("right", "better than printed"),
        (RIGHT, "slave-cluster 172.23.19.48 apache2\n", "right", "C4"),
        ("slave-cluster 172.23.19.48 apache2\n", RIGHT, "wrong", "the same"),
        (RIGHT.replace("48", "49"), RIGHT, "wrong", "172.23.19.48"),
        (RIGHT.replace(" apache2", ""), RIGHT, "wrong", "apache2"),
        (RIGHT.replace("master-cluster", "master"), RIGHT, "wrong", "master is no node"),
    ],
)
def test_resources_by_hand(master: str, slave: str, state: str, said: str) -> None:
    """The same line on both nodes is right however it is written, what the guide prints is right with a warning, and
    anything else is wrong."""
    found = resources({MASTER: master, SLAVE: slave}, Spec())
    assert found.state == state
    assert said in found.detail.en


def _own(change: Callable[[str], str] = lambda text: text) -> list[str]:
    text = change(render.ha_cf(Spec(profile="as-printed"), SAMPLES.ha_cf, MASTER))
    return [one.en for one in ha_cf_mistakes(hacf.parse(text, node=MASTER), Spec(), MASTER)]


def test_ha_cf_by_hand() -> None:
    """What Heartbeat takes for the guide's values is right; each value that differs is named with the right one."""
    assert _own() == []
    assert _own(lambda text: text.replace("keepalive 2", "keepalive 2000ms").replace("\nudp eth0", "")) == []
    assert _own(lambda text: text.replace("deadtime 5", "deadtime 30")) == ["deadtime (ms) is 30000.0, not 5000.0"]
    (peer,) = _own(lambda text: text.replace("172.23.19.47", "172.23.19.46"))
    assert "172.23.19.47" in peer
    assert _own(lambda text: text.replace("mcast eth0", "mcast ens18")) == ["mcast is ens18, not eth0"]
    assert _own(lambda text: re.sub(r"\nmcast .*", "", text)) == ["mcast is missing"]


APACHE = """\
[Sun Nov 22 12:00:00.100000 2026] [mpm_event:notice] [pid 1:tid 1] AH00489: Apache/2.4 configured -- resuming normal operations
[Sun Nov 22 12:00:00.100000 2026] [core:notice] [pid 1:tid 1] AH00094: Command line: '/usr/sbin/apache2'
[Sun Nov 22 12:05:00.600000 2026] [mpm_event:notice] [pid 1:tid 1] AH00491: caught SIGTERM, shutting down
"""  # noqa: E501 - as apache2 writes it
SYSLOG = """\
2026-11-22T12:01:00.000000+00:00 master-cluster heartbeat: [9]: info: Configuration validated. Starting heartbeat 3.0.6
2026-11-22T12:06:00.500000+00:00 master-cluster heartbeat: [9]: info: Heartbeat shutdown in progress. (9)
"""


def test_lives_are_read_from_logs() -> None:
    """Starts and stops come from the lines of apache2's log and of syslog, all in seconds since the epoch."""
    apache, heartbeat = apache_life(APACHE), heartbeat_life(SYSLOG)
    assert apache.stops[0] - apache.starts[0] == pytest.approx(300.5)
    assert heartbeat.starts[0] - apache.starts[0] == pytest.approx(59.9)
    assert heartbeat.stops[0] - heartbeat.starts[0] == pytest.approx(300.5)


@pytest.mark.parametrize(
    ("apache", "heartbeat", "stop"),
    [
        (Life((0,), ()), Life((10,), ()), None),
        (Life((0,), (5,)), Life((10,), ()), None),  # before Heartbeat ran
        (Life((0, 21), (20,)), Life((10,), ()), None),  # a restart
        (Life((0,), (20,)), Life((10,), ()), 20),  # it is stopped now
        (Life((0, 30), (20,)), Life((10,), ()), 20),
        (Life((0, 45), (31,)), Life((10, 44), (30,)), None),  # Heartbeat took it along
        (Life((0, 28, 45), (20, 31)), Life((10, 44), (30,)), 20),  # by hand, and then by Heartbeat
    ],
)
def test_stopped_by_hand(apache: Life, heartbeat: Life, stop: float | None) -> None:
    """S14 is a stop while Heartbeat runs, long enough to look; neither a restart nor Heartbeat's own stop counts."""
    assert stopped_by_hand(apache, heartbeat) == stop
