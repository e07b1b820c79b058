"""The guide put to the test on real pairs, and its steps done by hand over SSH as a student does them.

The audit of both profiles takes minutes, nearly all of them waiting. It runs beside the tests that do not need it.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.image import imread
from numpy import unique

from labkit.cluster import Lab, access, lifecycle
from labkit.cluster.lab import settled
from labkit.cluster.lifecycle import Options
from labkit.engine import Engine
from labkit.guide.check import LOOK_S
from labkit.progress import Silent
from labkit.spec import Spec
from labkit.timing import SECOND, now_ns, pause_until
from tests.e2e.helpers import ROOT, Outcome, complaint, fast, leftovers, named, run_cli, swept

AUDIT_S = 500.0  # about 190 s on an idle machine with two cores, and 35 s more where the browser has to be built
pytestmark = pytest.mark.timeout(AUDIT_S + 100)

AUDIT, BY_HAND, STEPPED = named("guide"), named("hand"), named("stepped")
PROFILES = ("as-printed", "corrected")
REFUTED = {"C4", "C5", "C7", "C8", "C9"}
MASTER, SLAVE = "master-cluster", "slave-cluster"
GUIDE = ROOT / "docs" / "guide" / "README.md"


# The audit


@pytest.fixture(scope="module", autouse=True)
def begun(
    engine: Engine, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Future[Outcome] | None]:
    """`labkit guide --figures --json`, beside the first tests; none if no test was selected that needs it."""
    if not any("audited" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    arguments = ("guide", "--figures", "--json", "--name", AUDIT, "--runs", str(tmp_path_factory.mktemp("guide")))
    with swept(engine, f"{AUDIT}-printed"), swept(engine, f"{AUDIT}-corrected"), ThreadPoolExecutor(1) as pool:
        yield pool.submit(run_cli, *arguments, timeout_s=AUDIT_S)


# By hand


@pytest.fixture(scope="module")
def bare(engine: Engine) -> Iterator[Lab]:
    """A pair without configuration, with the guide's own times."""
    spec = Spec(name=BY_HAND, platform=fast(BY_HAND).platform)
    options = Options(bare=True, auto_ports=True, auto_subnet=True)
    with swept(engine, spec.name):
        yield lifecycle.up(engine, spec, options, Silent()).lab


def ssh(lab: Lab, node: str, command: str) -> str:
    """What a command prints that is typed on a node over SSH; it has to succeed."""
    config = access.folder(lab.name, lab.engine.identity) / "ssh_config"
    done = subprocess.run(
        ["ssh", "-F", str(config), "-o", "BatchMode=yes", node, command],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def on_both(lab: Lab, command: str) -> list[str]:
    """The same on both nodes, in two terminals at once."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda node: ssh(lab, node, command), (MASTER, SLAVE)))


def checked(lab: Lab, exit_code: int) -> dict[str, tuple[str, str]]:
    """`labkit guide --check`: step -> state and detail."""
    told = run_cli("guide", "--check", "--name", lab.name, "--json")
    assert told.exit_code == exit_code, told
    return {one["id"]: (one["state"], one["detail"]) for one in told.document["steps"]}


def boxes(step: str) -> list[tuple[str, str]]:
    """What the guide's page has one type in a step: where (both, or a node), and the commands."""
    part = re.search(rf"^## {step}\. .*?(?=^## )", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert part
    return re.findall(r"^```sh (\S+)\n(.*?)^```$", part[0], re.MULTILINE | re.DOTALL)


def follow(lab: Lab, box: tuple[str, str]) -> list[str]:
    """Types a box of the page as it stands there, but for the lab's own subnet, and gives what each node said."""
    where, text = box
    typed = text.replace("172.23.19.", lab.vip.removesuffix("48"))
    return on_both(lab, typed) if where == "both" else [ssh(lab, where, typed)]


def sizes(lab: Lab, node: str) -> dict[str, int]:
    """Name -> size in bytes of the files of /etc/ha.d."""
    listed = ssh(lab, node, "cd /etc/ha.d && find . -maxdepth 1 -type f -printf '%s %f\\n'")
    return {name: int(size) for size, name in (line.split() for line in listed.splitlines())}


def test_by_hand_nothing_is_done(bare: Lab) -> None:
    """On a pair without configuration no step is done but the one that the image has done."""
    steps = checked(bare, 1)
    assert list(steps) == [f"S{number}" for number in range(5, 16)]
    assert {step for step, (state, _) in steps.items() if state != "missing"} == {"S10"}
    assert steps["S10"][0] == "right"


def test_by_hand_the_files(bare: Lab) -> None:
    """S5 to S8 as the guide prints them, typed from the page: the check finds them right and warns of haresources, and
    the files on the node have the sizes of figure 9, but for this subnet's addresses and four times eth0 for ens18
    (tests/docker has the guide's own sizes with ens18)."""
    for box in (*boxes("S5"), *boxes("S6"), *boxes("S7")[:2], *boxes("S8")):
        follow(bare, box)
    longer = len(bare.vip) - len("172.23.19.48")
    for node in (MASTER, SLAVE):
        guides = {
            "ha.cf": 10525 + longer - 4,
            "haresources": (5941 if node == MASTER else 5940) + longer,
            "authkeys": 658,
        }
        assert sizes(bare, node) == {**guides, "harc": 745, "README.config": 692, "shellfuncs": 2064}
    steps = checked(bare, 1)
    assert {step: steps[step][0] for step in ("S5", "S6", "S7", "S8")} == dict.fromkeys(
        ("S5", "S6", "S7", "S8"), "right"
    )
    assert "C4" in steps["S7"][1]
    assert steps["S9"][0] == "missing"


def test_by_hand_mistakes(bare: Lab) -> None:
    """A node that names itself as its peer, and a secret that others can read, are wrong, and it is said what is."""
    slave = bare.spec.nodes[SLAVE].address
    ssh(bare, SLAVE, f"sed -i 's/^ucast .*/ucast eth0 {slave}/' /etc/ha.d/ha.cf; chmod 644 /etc/ha.d/authkeys")
    steps = checked(bare, 1)
    assert (steps["S6"][0], steps["S8"][0]) == ("wrong", "wrong")
    assert str(bare.spec.nodes[MASTER].address) in steps["S6"][1]
    assert SLAVE in steps["S8"][1]
    master = bare.spec.nodes[MASTER].address
    ssh(bare, SLAVE, f"sed -i 's/^ucast .*/ucast eth0 {master}/' /etc/ha.d/ha.cf; chmod 600 /etc/ha.d/authkeys")


def test_by_hand_in_spanish(bare: Lab) -> None:
    """A Spanish locale is enough for a check in Spanish, and --lang wins over it."""
    asked = ("guide", "--check", "--name", bare.name)
    spanish = run_cli(*asked, env={"LC_ALL": "es_PA.UTF-8"})
    assert spanish.exit_code == 1
    assert "sin hacer" in spanish.stdout
    assert "Una página para cada nodo" in spanish.stdout
    assert "not done" in run_cli(*asked, "--lang", "en", env={"LC_ALL": "es_PA.UTF-8"}).stdout


def test_by_hand_to_the_end(bare: Lab) -> None:
    """With the page's one haresources for both nodes, S9 to S15 typed from it lead to a pair that serves and, after its
    fault, is as before; the init scripts say what figures 10 and 11 show, and the pages have the headings of figure 12.
    """
    follow(bare, boxes("S7")[2])
    restart, status = boxes("S9")
    for said in follow(bare, restart):
        dialogue = [
            "Stopping High-Availability services:",
            "Waiting to allow resource takeover to complete:",
            "Starting High-Availability services:",
        ]
        assert re.search(r"[\s\S]*?".join(map(re.escape, dialogue)) + r"[\s\S]*Done\.", said), said
    for node, said in zip((MASTER, SLAVE), follow(bare, status), strict=True):
        assert re.match(rf"heartbeat OK \[pid \d+ et al\] is running on {node} \[{node}\]", said)
        assert said.split()[-1] == "10"
    for box in (*boxes("S11"), *boxes("S12")):
        follow(bare, box)
    bare.await_nodes(lambda now: settled(now) and now[MASTER].vip, f"the pair is settled and {MASTER} has the VIP")
    (look,) = boxes("S13")
    assert follow(bare, look) == ["MASTER-CLUSTER ON\nSLAVE-CLUSTER ON\nMASTER-CLUSTER ON\n"]
    steps = checked(bare, 1)
    done = {f"S{number}" for number in range(5, 14)}
    assert {step for step, (state, _) in steps.items() if state == "right"} == done, steps
    assert "10" in steps["S9"][1]
    assert "better than printed" in steps["S7"][1]

    stop, look = boxes("S14")
    follow(bare, stop)
    stopped_ns = now_ns()
    assert follow(bare, look) == ["Connection refused\n" * 2]
    steps = checked(bare, 1)
    assert steps["S14"][0] == "right"
    assert "C5" in steps["S14"][1]
    assert (steps["S13"][0], steps["S15"][0]) == ("unknown", "missing")
    pause_until(stopped_ns + int((LOOK_S + 1) * SECOND))  # a student looks at the pages meanwhile

    start, start_on_the_slave, *_ = boxes("S15")
    follow(bare, start)
    bare.await_nodes(lambda now: settled(now) and now[MASTER].vip, f"the VIP is back on {MASTER}")
    follow(bare, start_on_the_slave)
    assert {state for state, _ in checked(bare, 0).values()} == {"right"}


def test_by_hand_the_second_mistake_is_cured(bare: Lab) -> None:
    """With the page's monitor the next stop of apache2 moves the VIP, and its page is the slave's."""
    monitor, stop, look = boxes("S15")[2:]
    follow(bare, monitor)
    follow(bare, stop)
    bare.await_nodes(lambda now: settled(now) and now[SLAVE].vip, f"{SLAVE} has the VIP")
    bare.await_page(bare.vip, "the VIP answers")
    assert follow(bare, look) == ["SLAVE-CLUSTER ON\n"]


def test_status_in_spanish(lab: Lab) -> None:
    """`labkit status --lang es` has Spanish words for what the nodes say; its JSON is the same in both."""
    spanish = run_cli("status", "--name", lab.name, "--lang", "es")
    assert spanish.exit_code == 0
    for words in (
        "dirección",
        "IP virtual aquí",
        "par activo (active)",
        "apache2 funciona",
        "perfil corregido",
        f"{lab.spec.limits.memory_mib} MiB",
    ):
        assert words in " ".join(spanish.stdout.split())
    told = [run_cli("status", "--name", lab.name, "--json", "--lang", one).document for one in ("en", "es")]
    assert told[0] == told[1]


def test_check_in_spanish(lab: Lab) -> None:
    """`labkit check --lang es` has no English word left; its JSON is for programs and stays as it is."""
    spanish = run_cli("check", "--name", lab.name, "--lang", "es")
    assert spanish.exit_code == 0, spanish
    for words in ("bien", "página de la IP virtual", "un solo dueño de la IP virtual", "muestra MASTER-CLUSTER ON"):
        assert words in spanish.stdout
    assert not re.search(r"\b(pass|page|shows|owner|answered)\b", spanish.stdout)
    assert run_cli("check", "--name", lab.name, "--json", "--lang", "es").document[0]["check"] == f"page of {MASTER}"


# Step by step


def test_step_by_step(engine: Engine) -> None:
    """`--step` says what each step did, why, and what differs, and waits for Enter; where none can come, it says so and
    removes its pair."""
    arguments = ("--step", "--profile", "corrected", "--name", STEPPED)
    with swept(engine, f"{STEPPED}-corrected"):
        told = run_cli("guide", *arguments, typed="\n" * 5)
        assert "standard input has ended" in complaint(told, 3)
        assert leftovers(engine, f"{STEPPED}-corrected") == []
    for step in ("S1", "S2", "S3", "S4", "S5", "S6"):
        assert re.search(rf"{step} \w", told.stdout), step
    assert not re.search(r"S7 \w", told.stdout)
    for words in ("what it does", "why", "the guide types", "what differs here", "keepalive 2", "cp ha.cf haresources"):
        assert words in told.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--profile", "nonsense"), 3, "both, as-printed, corrected"),
        (("--lang", "xx"), 3, "en, es"),
        (("--step", "--json"), 3, "--json"),
        (("--figures", "--check"), 3, "--figures"),
        (("--ports", "1"), 3, "auto"),
        (("--check", "--name", named("nobody")), 4, "labkit up"),
    ],
    ids=["profile", "language", "step-json", "figures-check", "ports", "no-lab"],
)
def test_nonsense(arguments: tuple[str, ...], code: int, said: str) -> None:
    """What cannot be is one message with what can, and leaves no run folder behind."""
    assert said in complaint(run_cli("guide", *arguments), code)
    assert not Path("runs").exists()


# What the audit found


@pytest.fixture(scope="module")
def audited(begun: Future[Outcome] | None) -> Outcome:
    """`labkit guide --figures --json`, over."""
    assert begun is not None
    return begun.result()


def claim(audited: Outcome, number: str, profile: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        one for one in audited.document["claims"] if (one["id"], one["profile"]) == (number, profile)
    )
    return found


def test_the_audit_comes_out_as_known(audited: Outcome) -> None:
    """Both profiles in one run: as printed, five of the nine claims do not hold; corrected, all do; exit code 0."""
    for profile in PROFILES:
        told = {one["id"]: one["verdict"] for one in audited.document["claims"] if one["profile"] == profile}
        refuted = REFUTED if profile == "as-printed" else set()
        details = [one for one in audited.document["claims"] if one["profile"] == profile]
        assert told == {f"C{n}": "fail" if f"C{n}" in refuted else "pass" for n in range(1, 10)}, details
    assert audited.exit_code == 0, audited.stderr


@pytest.mark.parametrize("profile", PROFILES)
def test_each_claim_has_evidence(audited: Outcome, profile: str) -> None:
    """Each claim has a sentence and either what was typed with its output or the run in which it was measured; such a
    run can be judged again."""
    for number in range(1, 10):
        one = claim(audited, f"C{number}", profile)
        assert one["detail"]
        evidence = one["evidence"]
        assert evidence["typed"] or evidence["runs"]
        assert all(typed["command"] for typed in evidence["typed"])
        assert all((Path(run) / "history.jsonl").exists() for run in evidence["runs"])


def test_as_printed_two_owners_by_arp(audited: Outcome) -> None:
    """As printed, two MAC addresses answer for the VIP on both sides of the scene; corrected, one does."""

    def answers(profile: str) -> int:
        typed = claim(audited, "C4", profile)["evidence"]["typed"]
        (asked,) = (one["output"] for one in typed if one["command"].startswith("arping"))
        return len(re.findall(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", asked))

    assert (answers("as-printed"), answers("corrected")) == (2, 1)


def test_as_printed_ten_processes_corrected_eight(audited: Outcome) -> None:
    """Heartbeat runs as the 10 processes of figure 11 as printed, and as 8 without the second broadcast."""
    counts = {
        profile: {typed["output"].strip() for typed in claim(audited, "C2", profile)["evidence"]["typed"]}
        for profile in PROFILES
    }
    assert counts == {"as-printed": {"10"}, "corrected": {"8"}}


def test_corrected_times_are_measured(audited: Outcome) -> None:
    """Every outage of the corrected profile has a time; as printed, that of apache2's stop has none, for there was no
    end to it."""
    figures = {
        number: claim(audited, number, "corrected")["evidence"]["figures_ms"] for number in ("C5", "C7", "C8", "C9")
    }
    assert all(ms is not None and ms > 0 for of in figures.values() for ms in of.values()), figures
    assert figures["C8"]["node_kill"] > 2000  # deadtime less keepalive is 3 s
    assert claim(audited, "C5", "as-printed")["evidence"]["figures_ms"] == {"outage": None}


def test_the_run_folder(audited: Outcome) -> None:
    """guide.json is what was answered, and each profile has a transcript with every step and without the secret."""
    folder = Path(audited.document["run"])
    assert json.loads((folder / "guide.json").read_text()) == audited.document
    for profile in PROFILES:
        text = (folder / profile / "transcript.txt").read_text()
        assert [number for number in range(1, 16) if f"# S{number}\n" not in text] == []
    assert "1 sha1 [secret]" in (folder / "corrected" / "transcript.txt").read_text()
    assert not re.search(r"sha1 [0-9a-f]{10}", (folder / "guide.json").read_text())


def figure(audited: Outcome, number: int, profile: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        one for one in audited.document["figures"] if (one["number"], one["profile"]) == (number, profile)
    )
    return found


@pytest.mark.parametrize("profile", PROFILES)
def test_each_figure_is_there(audited: Outcome, profile: str) -> None:
    """F1 to F19 of each pair are pictures: scenes as SVG with something in them, pages as PNG of the window's size that
    are not blank; figures.html shows all of them."""
    folder = Path(audited.document["run"])
    of_profile = [one for one in audited.document["figures"] if one["profile"] == profile]
    assert [(one["number"], one["trouble"]) for one in of_profile] == [(number, None) for number in range(1, 20)]
    page = (folder / "figures.html").read_text()
    for one in of_profile:
        picture = (folder / one["file"]).read_bytes()
        assert f'src="{one["file"]}"' in page
        if one["address"] is None:
            assert f"F{one['number']}:" in "".join(ElementTree.fromstring(picture).itertext())
        else:
            pixels = imread(BytesIO(picture))
            assert pixels.shape[:2] == (440, 900)
            assert len(unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 10


def test_what_chromium_saw(audited: Outcome) -> None:
    """The three pages of S13; then, while apache2 is stopped, a refusal of the master, and on the VIP the slave's page
    if the pair is corrected, but a refusal, too, as printed. It opened the lab's own addresses."""
    pages = ["MASTER-CLUSTER ON", "SLAVE-CLUSTER ON", "MASTER-CLUSTER ON", "ERR_CONNECTION_REFUSED"]
    for profile, last in (("as-printed", "ERR_CONNECTION_REFUSED"), ("corrected", "SLAVE-CLUSTER ON")):
        seen = [figure(audited, number, profile) for number in (14, 15, 16, 18, 19)]
        assert [one["shows"] for one in seen] == [*pages, last]
        (about,) = (one for one in audited.document["profiles"] if one["profile"] == profile)
        nodes = [one["address"] for one in about["spec"]["nodes"].values()]
        vip = about["spec"]["network"]["vip"]
        assert [one["address"] for one in seen] == [f"http://{one}/" for one in (*nodes, vip, nodes[0], vip)]


def test_the_first_figure_is_the_pair(audited: Outcome) -> None:
    """F1 tells both hosts with CPUs, memory and network, as `labkit status` does."""
    (about,) = (one for one in audited.document["profiles"] if one["profile"] == "corrected")
    svg = (Path(audited.document["run"]) / figure(audited, 1, "corrected")["file"]).read_text()
    words = "".join(ElementTree.fromstring(svg).itertext())
    for said in (MASTER, SLAVE, "CPUs", str(about["spec"]["limits"]["memory_mib"]), about["network"], "/24"):
        assert said in words


def test_the_audit_leaves_nothing(audited: Outcome, engine: Engine) -> None:
    """Both pairs are gone afterwards."""
    assert audited.exit_code == 0
    assert [left for end in ("printed", "corrected") for left in leftovers(engine, f"{AUDIT}-{end}")] == []
