"""labkit's pytest plug-in: a failover pair as fixtures for a test suite of somebody's own. Rank 11, beside `cli`.

pytest imports this module wherever labkit is installed, also for suites that never ask for a pair. So nothing of labkit
is imported before a fixture needs it.
"""

import logging
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from labkit.cluster import Lab
    from labkit.spec import Spec

FILE = "lab.yaml"
RUN = "labkit_run"  # the property of a test that names a run's folder; JUnit's XML has it, too

_log = logging.getLogger("labkit")


@dataclass(frozen=True)
class Measured:
    """A measured trial. Its figures are attributes, named as those of a trial of `labkit failover --json`: outage_ms,
    server_before, server_after, ...; one that was not measured is None.

    result: the whole answer, as of `labkit failover --json`. folder: the run's folder.
    """

    result: dict[str, Any] = field(repr=False)
    folder: Path

    @property
    def verdict(self) -> str:
        """That of all checks: pass, fail or unknown."""
        from labkit.report import verdict

        return verdict(self.result)

    def __getattr__(self, name: str) -> Any:
        trial = self.__dict__.get("result", {}).get("trials", [{}])[0]
        if name not in trial:
            raise AttributeError(f"a trial has no {name!r}; it has {', '.join(trial)}")
        return trial[name]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("labkit", "labkit: a failover pair for tests")
    group.addoption("--labkit-file", metavar="FILE", help=f"the pair's spec; default: {FILE} in pytest's root folder")
    group.addoption("--labkit-platform", metavar="NAME", help="auto, or one that `labkit platforms` lists")
    group.addoption("--labkit-keep", action="store_true", help="leave the pair up, for a look and for the next session")
    parser.addini("labkit_file", f"the pair's spec, seen from pytest's root folder; default: {FILE} if there is one")


@pytest.fixture(scope="session")
def ha_lab(pytestconfig: pytest.Config) -> Iterator["Lab"]:
    """The session's pair, or the xdist worker's, as `lab.yaml` has it. Tests take `ha_pair`, which looks after it."""
    from labkit.cluster import lifecycle
    from labkit.engine import Engine
    from labkit.errors import LabkitError

    options = lifecycle.Options(auto_ports=True, auto_subnet=True)
    with ExitStack() as stack:
        try:
            spec = _spec(pytestconfig)
            engine = Engine.connect()
            stack.enter_context(lifecycle.changing(engine, spec.name, _Logged()))
            lab = lifecycle.up(engine, spec, options, _Logged()).lab
        except LabkitError as error:
            raise pytest.fail.Exception(f"labkit: {error}", pytrace=False) from None
        yield lab
        if not pytestconfig.getoption("labkit_keep"):
            lifecycle.remove(engine, spec.name, _Logged())


@pytest.fixture
def ha_pair(ha_lab: "Lab") -> Iterator["Lab"]:
    """The pair in its starting state: both nodes well, the VIP and the service on the preferred one. Healed afterwards,
    whatever the test did to it."""
    from labkit import faults
    from labkit.cluster.lab import settled

    now = ha_lab.statuses()
    if not settled(now) or ha_lab.idle(now) or not now[ha_lab.spec.preferred].vip:
        ha_lab.restore()  # it has just come up, or the cure of the test before has failed
    yield ha_lab
    faults.heal_left(ha_lab)
    ha_lab.restore()


@pytest.fixture
def ha_fault(ha_pair: "Lab", request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """Measures a trial of a fault: `trial = ha_fault("node-kill"); assert trial.outage_ms < 3000`.

    Called with the fault, as `labkit failover --fault` takes it, and perhaps a seed. Healed when it returns. The test
    fails, in labkit's words, where the fault cannot be measured.
    """
    import random

    from labkit import faults, runner
    from labkit.errors import LabkitError
    from labkit.judging import judged
    from labkit.store import RunFolder

    def measured(fault: str, seed: int | None = None) -> Measured:
        try:
            return measure(fault, seed)
        except LabkitError as error:
            raise pytest.fail.Exception(f"labkit: {error}", pytrace=False) from None

    def measure(fault: str, seed: int | None) -> Measured:
        scenario = runner.Scenario(faults.fault(fault), 1, random.randrange(2**31) if seed is None else seed)
        faults.require(ha_pair.spec, scenario.fault)
        folder = RunFolder.create(request.config.rootpath / "runs", fault)
        request.node.user_properties.append((RUN, str(folder.path)))
        return Measured(judged(folder, lambda: runner.run(ha_pair, scenario, folder, lambda event: None)), folder.path)

    return measured


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tells in the report of a test that failed where its runs are."""
    report = yield
    folders = [str(value) for name, value in item.user_properties if name == RUN]
    if report.failed and folders:
        report.sections.append(("labkit runs", "\n".join(f"{folder}/report.html" for folder in folders)))
    return report


def _spec(config: pytest.Config) -> "Spec":
    """The spec that options and settings ask for, under a name that is this session's, or this worker's, alone."""
    from labkit import spec as specs

    named = config.getoption("labkit_file") or config.getini("labkit_file")
    file = config.rootpath / (named or FILE)
    spec = specs.load(file if named or file.exists() else None)
    worker = getattr(config, "workerinput", {}).get("workerid")  # xdist's
    suffix = f"-pytest-{worker}" if worker else "-pytest"
    platform = config.getoption("labkit_platform") or os.environ.get("LABKIT_PLATFORM")
    return spec.with_options(name=spec.name[: 31 - len(suffix)] + suffix, platform=platform)


class _Logged:
    """Progress that goes to the log, where `--log-cli-level=INFO` shows it while it happens."""

    def step(self, text: str) -> None:
        _log.info(text)

    def detail(self, text: str) -> None:
        _log.debug(text)
