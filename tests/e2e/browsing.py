"""What test_watch.py has a real Chromium do, in the browser's image: `python3 browsing.py`, a command a line, in JSON.

usage: python3 -c THIS PLAN    (in a container of labkit/browser, in the host's network)

PLAN: a JSON list of lists, each the name of a method of Page and its arguments. Prints a JSON list of what they gave.
"""

import json
import shutil
import signal
import sys
import tempfile
import time

LIMIT_S = 120
KEYS = {"Tab": (9, ""), "Enter": (13, "\r")}

with open("/usr/lib/labkit/shoot") as driver:  # the image's own driver of Chromium, without its last line, which runs it
    exec(driver.read().rpartition("main(*")[0])  # defines Chromium


class Page:
    """One page of a Chromium."""

    def __init__(self, chromium):
        self._chromium = chromium
        target = chromium.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = chromium.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def _ask(self, method, **parameters):
        return self._chromium.ask(method, self._session, **parameters)

    def evaluate(self, expression):
        """The value of JavaScript."""
        told = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise RuntimeError(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def look(self, width, height, scheme):
        """The window's size from now on, and light or dark."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url):
        self._ask("Page.navigate", url=url)

    def await_true(self, expression, timeout_s):
        """Waits until JavaScript is true; gives whether it became so in time."""
        limit = time.monotonic() + timeout_s
        while not self.evaluate(expression):
            if time.monotonic() > limit:
                return False
            time.sleep(0.05)
        return True

    def press(self, key):
        """A key, as somebody at the keyboard presses it."""
        code, text = KEYS[key]
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self._ask("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **about)

    def tab_to(self, expression):
        """Tab until the focused element is right; gives the ids, faults or texts of those that had the focus."""
        passed = []
        for _ in range(60):
            self.press("Tab")
            passed.append(self.evaluate("(e => e.dataset.fault || e.id || e.textContent)(document.activeElement)"))
            if self.evaluate(f"(e => {expression})(document.activeElement)"):
                return passed
        raise RuntimeError(f"nothing that is {expression} can be reached by Tab; passed: {passed}")

    def roles(self):
        """What a screen reader is told: each element's role and name."""
        nodes = self._ask("Accessibility.getFullAXTree")["nodes"]
        return [[one["role"]["value"], one.get("name", {}).get("value", "")] for one in nodes if not one["ignored"]]

    def picture(self, whole):
        """A PNG in base64, of the whole page or of the window."""
        return self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]


def main(plan):
    signal.alarm(LIMIT_S)
    profile = tempfile.mkdtemp()
    chromium = Chromium(profile)  # noqa: F821 - of the driver
    try:
        page = Page(chromium)
        print(json.dumps([getattr(page, name)(*arguments) for name, *arguments in json.loads(plan)]))
    finally:
        chromium.close()
        shutil.rmtree(profile, ignore_errors=True)


main(sys.argv[1])
