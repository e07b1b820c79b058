"""The live view: what it makes of events, and who may talk to the page's server, over a real connection."""

import http.client
import json
import re
import socket
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from rich.console import Group

from labkit.cli.common import out
from labkit.cli.watch import _picture
from labkit.cluster import NodeStatus
from labkit.errors import NotAvailable
from labkit.faults import all_faults
from labkit.history import trials
from labkit.judging import REPORT
from labkit.language import Said, Text, same
from labkit.live.steps import Steps
from labkit.live.view import SHOWN_S, View
from labkit.live.watcher import BUSY
from labkit.live.web import LOOPBACK, served
from labkit.live.words import WORDS, words
from labkit.measure import result
from labkit.spec import Spec
from labkit.timing import MS, SECOND
from tests.unit.histories import failover, run_event

MASTER, SLAVE = "master-cluster", "slave-cluster"
MACS = {"02:00:00:00:00:01": MASTER, "02:00:00:00:00:02": SLAVE}
MAC = {node: mac for mac, node in MACS.items()}
START_NS = 1000 * SECOND
TEMPLATES = Path(__file__).resolve().parents[2] / "labkit" / "templates"


class Seen:
    """A view, and short ways to tell it things. Instants in ms after the start."""

    def __init__(self) -> None:
        self.news: list[str] = []
        self.view = View(Spec(), MACS, lambda text: self.news.append(text.en))

    def at(self, ms: float, event: str, **more: Any) -> None:
        self.view.take({"event": event, "t_ns": START_NS + int(ms * MS), **more})

    def asked(self, ms: float, *owners: str) -> None:
        """A round of the ARP watcher that ends at that time, and who answered in it."""
        for owner in owners:
            self.at(ms - 1, "arp", kind="reply", mac=MAC.get(owner, owner))
        self.at(ms, "arp-probe")

    def answer(self, ms: float, server: str | None, outcome: str = "good") -> None:
        self.at(ms, "request", server=server, outcome=outcome, took_us=2000)

    @property
    def now(self) -> dict[str, Any]:
        """What is shown, as a page gets it."""
        document: dict[str, Any] = json.loads(json.dumps(self.view.document("en")))
        return document

    def node(self, name: str) -> dict[str, Any]:
        return next(node for node in self.now["nodes"] if node["name"] == name)


@pytest.fixture
def seen() -> Seen:
    return Seen()


# What is seen


def test_nothing_is_claimed_before_it_was_seen(seen: Seen) -> None:
    """Null, not false or 0, for who has the VIP, for heartbeats and for what the nodes say."""
    assert seen.now["owners"] is None
    assert seen.now["without_answer_ms"] is None
    assert seen.now["seconds"] == [None] * SHOWN_S
    for node in seen.now["nodes"]:
        unknown = ("state", "vip", "heartbeat_ago_ms", "heartbeats_per_s", "resources", "apache2")
        assert [node[name] for name in unknown] == [None] * len(unknown)


def test_before_two_rounds_nobody_knows_the_owner(seen: Seen) -> None:
    """Unknown is not nobody."""
    seen.asked(100, MASTER)
    assert seen.now["seconds"][-1]["owners"] is None
    seen.asked(200, MASTER)
    assert seen.now["seconds"][-1]["owners"] == [MASTER]


def test_an_owner_is_new_after_two_rounds_that_agree(seen: Seen) -> None:
    """One lost answer is no change of the owner; a lasting one is, and is told once."""
    for ms, owner in ((100, MASTER), (200, MASTER), (300, None), (400, MASTER)):
        seen.asked(ms, *([owner] if owner else []))
    assert seen.now["owners"] == [MASTER]
    for ms in (500, 600, 700):
        seen.asked(ms, SLAVE)
    assert seen.now["owners"] == [SLAVE]
    assert [seen.node(node)["vip"] for node in (MASTER, SLAVE)] == [False, True]
    assert seen.news == [f"{MASTER} has the VIP", f"{SLAVE} has the VIP"]


def test_two_owners_nobody_and_a_stranger(seen: Seen) -> None:
    """Each is told in words, a stranger by his address."""
    seen.asked(100, SLAVE, MASTER)
    seen.asked(200, SLAVE, MASTER)
    seen.asked(300)
    seen.asked(400)
    seen.asked(500, "02:00:00:00:00:99")
    seen.asked(600, "02:00:00:00:00:99")
    assert seen.news == [
        f"two owners: {MASTER} and {SLAVE} answer for the VIP",
        "nobody has the VIP",
        "02:00:00:00:00:99 has the VIP",
    ]


def test_answers_second_by_second(seen: Seen) -> None:
    """Each request counts in the second in which it was due, by who answered it, and for a minute only."""
    for ms in (0, 100, 1000):
        seen.answer(ms, MASTER)
    seen.answer(1100, None, "timeout")
    seen.answer(1200, SLAVE)
    *_, first, second = seen.now["seconds"]
    assert (first["good"], first["failed"]) == ({MASTER: 2}, 0)
    assert (second["good"], second["failed"]) == ({MASTER: 1, SLAVE: 1}, 1)
    assert seen.now["summary"].startswith("4 good answers and 1 requests")
    seen.answer(SHOWN_S * 1000, SLAVE)
    assert [one for one in seen.now["seconds"] if one and one["good"].get(MASTER)] == [second]


def test_a_late_time_out_is_no_news(seen: Seen) -> None:
    """A request that was due before service came back says nothing about now."""
    seen.answer(0, MASTER)
    seen.answer(100, None, "refused")
    seen.answer(900, SLAVE)
    seen.answer(200, None, "timeout")
    assert seen.news == [
        f"the client is served by {MASTER}", "the client gets no page: refused", f"the client is served by {SLAVE}",
    ]  # fmt: skip
    assert seen.now["served"]


def test_how_long_there_was_no_answer(seen: Seen) -> None:
    """From the last good one to now, while requests fail."""
    seen.answer(0, MASTER)
    seen.answer(100, None, "refused")
    seen.asked(1500, MASTER)
    assert seen.now["without_answer_ms"] == 1500
    seen.answer(1600, SLAVE)
    assert seen.now["without_answer_ms"] is None


def test_heartbeats(seen: Seen) -> None:
    """Their pace, the time since the last one, and silence after deadtime, which is 5 s by default."""
    for ms in range(0, 10001, 500):
        seen.at(ms, "wire", kind="heartbeat", mac=MAC[MASTER])
        if ms <= 4000:
            seen.at(ms, "wire", kind="heartbeat", mac=MAC[SLAVE])
        seen.at(ms, "arp-probe")
    assert (seen.node(MASTER)["heartbeat_ago_ms"], seen.node(SLAVE)["heartbeat_ago_ms"]) == (0, 6000)
    assert (seen.node(MASTER)["silent"], seen.node(SLAVE)["silent"]) == (False, True)
    assert 2 <= seen.node(MASTER)["heartbeats_per_s"] <= 2.5
    assert seen.node(SLAVE)["heartbeats_per_s"] == 0
    seen.at(10**9, "wire", kind="heartbeat", mac=MAC[MASTER])  # somebody has set the wall clock
    assert (seen.now["seen_ms"], seen.node(MASTER)["heartbeat_ago_ms"]) == (10000, 0)


def test_what_nodes_say_is_shown_while_they_are_asked(seen: Seen) -> None:
    """During a trial they are not, and yesterday's word does not stand there for today's."""
    seen.view.looked({MASTER: "running", SLAVE: "exited"}, MACS, None)
    seen.view.told({MASTER: NodeStatus(True, True, "all", "dead", True, True), SLAVE: NodeStatus(False)})
    assert (seen.node(MASTER)["resources"], seen.node(MASTER)["apache2"]) == ("all", True)
    assert seen.node(SLAVE)["state_in_words"] == "off"
    seen.view.told(None)
    assert (seen.node(MASTER)["resources"], seen.node(MASTER)["apache2"]) == (None, None)


def test_a_trial_from_the_button_to_its_figures(seen: Seen) -> None:
    """Its stages and steps are shown as they come; its figures are those of the judged run, null where not measured."""
    seen.view.pressed("node-kill")
    assert (seen.now["busy"], seen.now["trial"]["stage"], seen.now["trial"]["steps"]) == (True, "preparing", [])
    events = [run_event(), *failover(1)]
    for event in events[1:]:
        seen.view.follow(event)
    steps = [step["what"] for step in seen.now["trial"]["steps"]]
    assert any(step.startswith(f"node-kill on {MASTER}") for step in steps)
    assert f"client: good, {SLAVE}" in steps
    seen.view.measured({**result(events), "checks": []}, f"runs/one/{REPORT}")
    (shown,) = seen.now["results"]
    assert not seen.now["busy"]
    assert shown["outage_ms"] == result(events)["trials"][0]["outage_ms"] > 0
    assert shown["report"] == f"runs/one/{REPORT}"
    assert shown["verdict"] == "unknown"
    assert seen.now["trial"]["result"] == shown


def test_a_trial_that_came_to_nothing(seen: Seen) -> None:
    """It is told, it has no figures, not even those of an earlier one, and the next one can be pressed."""
    seen.view.pressed("node-kill")
    seen.view.measured({**result([run_event(), *failover(1)]), "checks": []}, f"runs/one/{REPORT}")
    seen.view.pressed("node-kill")
    seen.view.failed("node-kill", same("the disk is full"))
    assert not seen.now["busy"]
    assert seen.now["trial"]["result"] is None
    assert len(seen.now["results"]) == 1
    assert seen.news[-1] == "the trial of node-kill failed: the disk is full"


def test_steps_before_the_fault_is_known_are_kept(seen: Seen) -> None:
    """Injecting takes a while; what came in after its beginning counts from there, what came before is left out."""
    (trial,) = trials([run_event(), *failover(1)])
    steps, told = Steps(MACS), []
    for event in sorted(trial.events, key=lambda event: int(event["t_ns" if "t_ns" in event else "after_ns"])):
        told += steps.take(event)
    assert told[0].kind == "fault"
    assert all(step.after_ms >= 0 for step in told)
    assert len({step.what.en for step in told if step.kind == "seen"}) == sum(step.kind == "seen" for step in told)


# The page's server


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


@pytest.mark.parametrize(("width", "height"), [(80, 24), (110, 45)])
def test_the_keys_stay_on_a_screen(seen: Seen, monkeypatch: pytest.MonkeyPatch, width: int, height: int) -> None:
    """However much a trial has to tell, every fault can be read, and a line that is too long is cut."""
    monkeypatch.setattr(out, "_width", width)
    step = {"after_ms": 1234.5, "kind": "log", "what": "declared-dead", "detail": "a line of a log " * 10}
    trial = {"fault": "node-kill", "stage_in_words": "", "steps": [step] * 50}
    results = [{"verdict": "pass", "fault": "node-kill", "node": MASTER, "outage": "1.50 s"}] * 5
    keys = dict(zip(string.ascii_letters, all_faults(), strict=False))
    document = {**seen.now, "trial": trial, "results": results}
    drawn = out.render_lines(Group(*_picture(document, words("en"), "en", "lab", keys, "", height)))
    assert len(drawn) == height
    told = " ".join("".join(segment.text for segment in line) for line in drawn).split()
    assert set(told) >= {*keys, *keys.values(), "declared-dead"}


class Site:
    """A server, what was pressed there, and a client that sends what it is told to, path and headers as they stand."""

    def __init__(self, folder: Path) -> None:
        self.pressed: list[str] = []
        self.seen = Seen()
        self.reports = {"one": folder / "one"}
        self.lab = SimpleNamespace(name="lab", spec=Spec(), vip="172.23.19.48", platform="debian-12")
        self.view = self.seen.view
        self.address = ""

    def press(self, fault: str) -> None:
        if self.pressed:
            raise Said(BUSY)
        self.pressed.append(fault)

    @property
    def port(self) -> int:
        return int(self.address.split(":")[2].partition("/")[0])

    @property
    def token(self) -> str:
        return self.address.split("/")[3]

    def ask(self, method: str, path: str, token: str | None = None, **headers: str) -> Answer:
        """One request; headers by name, of which Host is right if nothing is said."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=60)
        try:
            connection.putrequest(method, f"/{self.token if token is None else token}{path}", skip_host=True)
            for name, value in {"Host": f"{LOOPBACK}:{self.port}", **headers}.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode())
        finally:
            connection.close()


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    site: Any = Site(folder)
    with served(site, 0, "en") as site.address:
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """With a report of the run that was made here, and one of another."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / REPORT).write_text(f"<p>report of {name}</p>")
    with running(tmp_path) as site:
        yield site


def test_the_page(site: Site) -> None:
    """It needs nothing from elsewhere and may load nothing, and its address is not passed on."""
    page = site.ask("GET", "/")
    assert page.status == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    for path, kind in (("/watch.css", "text/css"), ("/watch.js", "text/javascript")):
        assert site.ask("GET", path).headers["content-type"].startswith(kind)
        page = page._replace(text=page.text + site.ask("GET", path).text)
    elsewhere = set(re.findall(r"https?://[^\s\"'<)]*", page.text)) - {"http://www.w3.org/2000/svg"}
    assert elsewhere == set()
    assert re.findall(r"@import|url\(|\bstyle=|\bon\w+=\"", page.text) == []


@pytest.mark.parametrize("token", ["", "x", "shorter", "longer", "x/../right"])
def test_without_the_token_nobody_gets_in(site: Site, token: str) -> None:
    """Neither the page nor its parts, states or buttons; a token that is nearly right is wrong."""
    wrong = {"shorter": site.token[:-1], "longer": site.token + "x", "x/../right": f"x/../{site.token}"}.get(
        token, token
    )
    for path in ("/", "/watch.css", "/events", f"/runs/one/{REPORT}"):
        assert site.ask("GET", path, token=wrong)[0] == 403
    origin = f"http://{LOOPBACK}:{site.port}"
    assert site.ask("POST", "/press/node-kill", token=wrong, Origin=origin).status == 403
    assert site.pressed == []


def test_the_host_must_be_this_one(site: Site) -> None:
    """After DNS rebinding a browser sends the other site's name, and is refused; both names of this host are right."""
    for host in (
        "evil.example",
        f"evil.example:{site.port}",
        LOOPBACK,
        f"{LOOPBACK}:1",
        f"{LOOPBACK}:{site.port}.evil.example",
        "",
    ):
        assert site.ask("GET", "/", Host=host).status == 403, host
        assert site.ask("POST", "/press/node-kill", Host=host, Origin=f"http://{host}").status == 403, host
    assert site.ask("GET", "/", Host=f"localhost:{site.port}").status == 200
    assert site.pressed == []


def test_a_page_elsewhere_cannot_press(site: Site) -> None:
    """A POST must say that it comes from this very page; nothing else presses."""
    here = f"{LOOPBACK}:{site.port}"
    for origin in (
        "http://evil.example",
        "null",
        f"https://{here}",
        f"http://localhost:{site.port}",
        f"http://{here}.evil.example",
    ):
        assert site.ask("POST", "/press/node-kill", Origin=origin).status == 403, origin
    assert site.ask("POST", "/press/node-kill").status == 403
    assert site.ask("GET", "/press/node-kill", Origin=f"http://{here}").status == 405
    assert site.pressed == []
    assert site.ask("POST", "/press/node-kill", Origin=f"http://{here}").status == 202
    assert site.pressed == ["node-kill"]


def test_a_page_elsewhere_cannot_listen(site: Site) -> None:
    """States are for this page; a request that tells another origin is refused, one that tells none has the token."""
    site.view.ended("enough")
    assert site.ask("GET", "/events", Origin="http://evil.example").status == 403
    assert site.ask("GET", "/events", Origin=f"http://{LOOPBACK}:{site.port}").status == 200


def test_states_are_sent_until_the_end(site: Site) -> None:
    """As server-sent events, each a whole document, in the page's language; the last one says why it is the last."""
    site.seen.asked(100, MASTER)
    site.seen.asked(200, MASTER)
    site.view.ended("enough")
    told = site.ask("GET", "/events?lang=es")
    assert told.headers["content-type"].startswith("text/event-stream")
    (state,) = [json.loads(line.removeprefix("data: ")) for line in told.text.splitlines() if line]
    assert (state["owned"], state["ended"]) == (f"{MASTER} tiene la IP virtual", "enough")


def test_a_refused_button_says_why(site: Site) -> None:
    """In the page's language."""
    here = {"Origin": f"http://{LOOPBACK}:{site.port}"}
    site.ask("POST", "/press/node-kill", **here)
    for language, text in (("en", BUSY.en), ("es", BUSY.es)):
        refused = site.ask("POST", f"/press/node-kill?lang={language}", **here)
        assert (refused.status, json.loads(refused.text)) == (409, {"why": text})


def test_reports_of_this_watch_alone(site: Site) -> None:
    """That of a run made here, and no other file, whatever the path looks like."""
    assert site.ask("GET", f"/runs/one/{REPORT}").text == "<p>report of one</p>"
    assert "script-src" not in site.ask("GET", f"/runs/one/{REPORT}").headers["content-security-policy"]
    for path in (
        f"/runs/other/{REPORT}",
        "/runs/one/history.jsonl",
        f"/runs/one/../other/{REPORT}",
        f"/runs/one%2f..%2fother/{REPORT}",
        f"/runs/..%2fother/{REPORT}",
        f"/runs/%2e%2e/{REPORT}",
        "/runs/one/%2e%2e/other/" + REPORT,
        "//etc/passwd",
    ):
        assert site.ask("GET", path).status == 404, path


def test_it_listens_on_this_host_alone(site: Site) -> None:
    """Another address of the loopback network reaches nothing, so no other network does."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", site.port), timeout=10)


def test_a_port_that_is_taken(site: Site) -> None:
    """An error that says which, and what to do."""
    same: Any = site
    with pytest.raises(NotAvailable, match=rf"127\.0\.0\.1:{site.port}.*--port"), served(same, site.port, "en"):
        pass


def test_every_fault_has_its_button(site: Site) -> None:
    """By discovery, with its description in the page's language."""
    for language, other in (("en", "es"), ("es", "en")):
        page = site.ask("GET", f"/?lang={language}").text
        assert f'<html lang="{language}">' in page
        assert f'hreflang="{other}"' in page
        assert sorted(re.findall(r'data-fault="([^"]+)"', page)) == sorted(all_faults())
        plain = page.replace("&#39;", "'")
        for fault in all_faults().values():
            assert (fault.describe if language == "en" else fault.describe_es) in plain
            assert fault.describe != fault.describe_es


def test_words_are_those_that_are_used() -> None:
    """The page, its script and the terminal know every word that they ask for, and none is kept for nobody."""
    sources = [TEMPLATES / "watch.html", TEMPLATES / "watch.js", TEMPLATES.parent / "cli" / "watch.py"]
    text = "".join(source.read_text(encoding="utf-8") for source in sources)
    asked = set(re.findall(r"\bwords\.(\w+)", text)) | set(re.findall(r"word\[['\"](\w+)['\"]\]", text))
    by_name = {"pass", "fail", "unknown", "runs", "stopped", "outage", "detection", "takeover", "failback", "report"}
    assert asked <= WORDS.keys()
    assert WORDS.keys() - asked <= by_name
    assert all(isinstance(text, Text) for text in WORDS.values())
