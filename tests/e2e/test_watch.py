"""The live view of a real pair, in a real Chromium and in a real terminal: a fault pressed, the failover seen."""

import base64
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from matplotlib.image import imread

from labkit.cluster import Lab, lock
from labkit.engine import Engine, images
from labkit.guide.album import SHM
from labkit.progress import Silent
from labkit.store import runs
from labkit.timing import SECOND, now_ns, wait_until
from tests.e2e.helpers import ROOT, Running, complaint, fast, lab_up, named, run_cli

BROWSE = (Path(__file__).parent / "browse").read_text(encoding="utf-8")
MASTER, SLAVE = "master-cluster", "slave-cluster"
SOON_S, MOVED_S, MEASURED_S = 60, 90, 240
FAULT = "node-kill"
SIZES = {"wide": (1200, 900), "narrow": (390, 800)}
LOOKS = [(language, scheme, size) for language in ("en", "es") for scheme in ("light", "dark") for size in SIZES]
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def own(engine: Engine) -> Iterator[Lab]:
    """A pair of these tests, because one of them removes it; the others have put it right when they end."""
    spec = fast(named("watch")).with_options(keepalive="500ms", deadtime="3")
    with lab_up(engine, spec) as up:
        yield up


@contextmanager
def watched(lab: Lab, *options: str) -> Iterator[tuple[Running, str]]:
    """`labkit watch --web` in the background, and the address that it prints; ended by Ctrl-C unless it has ended."""
    watch = Running("watch", "--web", "--name", lab.name, *options)
    try:
        watch.await_line("http://127.0.0.1:")
        yield watch, next(word for word in watch.output.split() if word.startswith("http://"))
    finally:
        watch.send(signal.SIGINT)
        watch.finish()


def browse(lab: Lab, plan: list[list[Any]]) -> list[Any]:
    """What each step of a plan gave, done by a Chromium on the engine's host; `browse` says what steps there are."""
    built = images.ensure(lab.engine, lab.spec.platform, Silent())
    browser = images.ensure_browser(lab.engine, built, Silent())
    command = ["python3", "-c", BROWSE, json.dumps(plan)]
    told: list[Any] = json.loads(lab.engine.run_helper(browser, lab.name, command, network_mode="host", shm_size=SHM))
    return told


def at_work(lab: Lab) -> str:
    """What of the watch runs in the lab."""
    return lab.client.run("pgrep", "-a", "-f", "labkit/agent|tcpdump").output


def text(name: str) -> str:
    return f"(document.getElementById('{name}')?.textContent ?? '')"


def looks(language: str, scheme: str, size: str, url: str) -> list[list[Any]]:
    """The steps to a picture of the page when a trial was measured, and whether anything sticks out of the window."""
    return [
        ["look", *SIZES[size], scheme],
        ["open", f"{url}?lang={language}"],
        ["await_true", f"{text('outcome')} !== ''", SOON_S],
        ["evaluate", "document.documentElement.scrollWidth <= innerWidth"],
        ["picture", True],
    ]


def test_a_fault_pressed_in_a_browser(own: Lab, working_folder: Path) -> None:
    """By keyboard alone: the owner changes on the page and is told to screen readers, the outage appears as it was
    measured, its link leads to the report, and the page fits a phone in both languages, light and dark. Ctrl-C then
    leaves the lab as it was, with nothing of the watch in it."""
    with watched(own) as (watch, url):
        told = browse(
            own,
            [
                ["look", *SIZES["wide"], "light"],
                ["open", url],
                ["await_true", f"{text('owned')} == '{MASTER} has the VIP'", SOON_S],
                ["evaluate", "new MutationObserver(() => (window.heard ??= []).push(announce.textContent))"
                             ".observe(announce, {childList: true})"],
                ["roles"],
                ["tab_to", f"e.dataset.fault == '{FAULT}'"],
                ["evaluate", "getComputedStyle(document.activeElement).outlineStyle"],
                ["press", "Enter"],
                ["await_true", f"{text('owned')} == '{SLAVE} has the VIP'", MOVED_S],
                ["await_true", f"document.querySelector('.owner').dataset.node == '{SLAVE}'", SOON_S],
                ["await_true", f"{text('outcome')} !== ''", MEASURED_S],
                ["evaluate", "window.heard"],
                ["evaluate", "document.querySelector('#results tbody').innerText"],
                *(step for look in LOOKS for step in looks(*look, url)),
                ["tab_to", "e.closest('#outcome') !== null"],
                ["press", "Enter"],
                ["await_true", f"document.title.startsWith('{FAULT}: ')", SOON_S],
            ],
        )  # fmt: skip
        watch.send(signal.SIGINT)
        ended = watch.finish()
    _, _, there, _, roles, passed, outline, _, moved, marked, measured, heard, row, *pictures = told
    assert [there, moved, marked, measured, told[-1]] == [True] * 5, ended.stdout
    assert ["button", FAULT] in roles
    assert {role for role, _ in roles} >= {"status", "main", "heading", "table"}
    assert passed[0] == "Skip to the faults"
    assert outline == "solid"
    assert f"{SLAVE} has the VIP" in " ".join(heard)
    _assert_looks(pictures[:-3], working_folder)

    (folder,) = runs(working_folder / "runs")
    result: Any = folder.result()
    (trial,) = result["trials"]
    assert (result["fault"], trial["server_before"], trial["server_after"]) == (FAULT, MASTER, SLAVE)
    assert f"{trial['outage_ms'] / 1000:.2f} s" in row
    assert ended.exit_code == 0, ended.stdout
    assert at_work(own) == ""
    assert own.owners() == [MASTER]


def _assert_looks(told: list[Any], folder: Path) -> None:
    """Each look has a picture of the right width, dark where it should be; they are kept beside the test's runs."""
    for number, (language, scheme, size) in enumerate(LOOKS):
        *_, loaded, fits, picture = told[5 * number : 5 * number + 5]
        png = base64.b64decode(picture)
        (folder / f"{language}-{scheme}-{size}.png").write_bytes(png)
        pixels = imread(BytesIO(png))
        assert (loaded, fits) == (True, True), (language, scheme, size)
        assert pixels.shape[1] == SIZES[size][0]
        assert (pixels[..., :3].mean() > 0.5) == (scheme == "light")


def test_watching_keeps_nobody_waiting(own: Lab) -> None:
    """Other commands may change the lab meanwhile, and then a button is refused, with who it is."""
    with watched(own) as (_, url):
        assert lock.holder(own.name, own.engine.identity) is None
        with lock.held(own.name, own.engine.identity, Silent()):
            pressed = requests.post(f"{url}press/{FAULT}", headers={"Origin": url[: url.index("/", 8)]}, timeout=SOON_S)
        assert pressed.status_code == 409
        assert f"process {os.getpid()}" in pressed.json()["why"]


def test_the_terminal(own: Lab) -> None:
    """It shows the pair; a key begins a trial; Ctrl-C in it ends all, gives the terminal back as it was, and leaves
    nothing at work in the lab."""
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    before = termios.tcgetattr(inside)
    command = [sys.executable, "-m", "labkit", "watch", "--name", own.name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "TERM": "xterm"}
    watch = subprocess.Popen(command, env=environment, stdin=inside, stdout=inside, stderr=inside)
    shown = bytearray()

    def seen(wanted: bytes) -> bool:
        while select.select([outside], [], [], 0)[0]:
            shown.extend(os.read(outside, 1 << 16))
        return wanted in shown

    try:
        wait_until(lambda: seen(f"{MASTER} has the VIP".encode()), bool, SOON_S, "the owner is shown", shown.decode)
        os.write(outside, b"p")
        watched = b"the client is watched before the fault"
        wait_until(lambda: seen(watched), bool, SOON_S, "the trial is shown", shown.decode)
        watch.send_signal(signal.SIGINT)
        limit_ns = now_ns() + int(MEASURED_S * SECOND)
        while watch.poll() is None and now_ns() < limit_ns:
            seen(b"")
        assert watch.returncode == 0, shown.decode()
    finally:
        watch.kill()
        watch.wait()
        after = termios.tcgetattr(inside)
        os.close(outside)
        os.close(inside)
    assert after == before
    assert at_work(own) == ""


def test_nothing_to_watch(own: Lab) -> None:
    """No lab of that name is an error that says what to do, and so is one that is removed while it is watched: the
    page's last state says why, and the command ends."""
    told = complaint(run_cli("watch", "--name", named("nobody")), 4)
    assert "`labkit up`" in told
    assert "--web" in complaint(run_cli("watch", "--port", "8080"), 3)

    with watched(own) as (watch, url), requests.get(f"{url}events", stream=True, timeout=SOON_S) as stream:
        assert run_cli("down", "--name", own.name).exit_code == 0
        *_, last = (line for line in stream.iter_lines() if line)
        ended = watch.finish()
    assert "no longer there" in json.loads(last.removeprefix(b"data: "))["ended"]
    assert ended.exit_code == 4, ended.stdout
    assert "Traceback" not in ended.stdout
    assert "`labkit up`" in ended.stdout
