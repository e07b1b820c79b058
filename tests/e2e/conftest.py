"""Fixtures of the end-to-end tests: the engine, and pairs that tests share because bringing one up takes seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.cluster import Lab
from labkit.engine import Engine
from labkit.errors import LabkitError
from tests.e2e.catalogue import Catalogue
from tests.e2e.helpers import await_whole, fast, lab_up, named
from tests.e2e.walk import Walk
from tests.engines import can_run
from tests.processes import MEASURING

HERE = Path(__file__).parent
PAGES, CATALOGUE = "test_pages.py", "test_catalogue.py"
LAST = ("test_campaigns.py", PAGES, CATALOGUE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what lies in this folder; pytest hands over everything that it collected. The tests of what goes on beside
    all others come last, the pages' and the catalogue's; before them those that run several pairs at once."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
    items.sort(key=lambda item: LAST.index(item.path.name) if item.path.name in LAST else -1)


@pytest.fixture(autouse=True)
def begun(request: pytest.FixtureRequest) -> None:
    """What goes on beside the measuring tests begins with the first of them."""
    if request.path.name in MEASURING:
        request.getfixturevalue("walk")
        request.getfixturevalue("catalogue")


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keys and SSH configurations of the labs, away from the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder: empty, so neither a lab.yaml nor stored runs of the user count."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine.connect()


@pytest.fixture(scope="session")
def pair(engine: Engine) -> Iterator[Lab]:
    """The corrected pair of the whole session. Tests take `lab`, which looks after it."""
    with lab_up(engine, fast(named("pair"))) as up:
        await_whole(up)
        yield up


@pytest.fixture
def lab(pair: Lab) -> Iterator[Lab]:
    """The shared corrected pair, whole. A test that leaves it otherwise fails, and it is mended for the next one."""
    yield pair
    try:
        await_whole(pair)
    except LabkitError:
        pair.restore()
        raise


@pytest.fixture(scope="session")
def printed(engine: Engine) -> Iterator[Lab]:
    """A pair configured as the guide prints it but for its timing, when both nodes have brought the VIP up."""
    with lab_up(engine, fast(named("printed"), profile="as-printed", initdead="1")) as up:
        up.await_nodes(lambda now: all(node.vip for node in now.values()), "both nodes have the VIP")
        yield up


@pytest.fixture(scope="session")
def catalogue(
    engine: Engine, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalogue]:
    """A trial of each fault that a selected test asks for, by its parameter `fault`; begun before the first test."""
    tests = [item for item in request.session.items if item.path.name == CATALOGUE]
    asked = [test.callspec.params for test in tests if isinstance(test, pytest.Function) and hasattr(test, "callspec")]
    wanted = dict.fromkeys(str(parameters["fault"]) for parameters in asked)
    with Catalogue(engine, wanted, tmp_path_factory.mktemp("catalogue")) as runs:
        yield runs


@pytest.fixture(scope="session")
def walk(
    engine: Engine, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Walk | None]:
    """The pages' commands, typed one after the other, begun before the first test if they are asked for."""
    if not any(item.path.name == PAGES and can_run() for item in request.session.items):
        yield None
        return
    with Walk(engine, tmp_path_factory.mktemp("walk")) as walking:
        yield walking
