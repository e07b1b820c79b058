"""`service:` in the spec: what is refused, what the nodes get of it, and which faults can strike it."""

from pathlib import Path

import pytest

from labkit import faults, render
from labkit.cluster import service
from labkit.errors import BadInput
from labkit.heartbeat import haresources
from labkit.spec import Service, Spec, load, to_yaml
from tests.unit.test_render import SAMPLES, texts

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "service" / "lab.yaml"
HEADER = "X-Served-By: master-cluster\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a script, an agent and pages, for a lab.yaml beside them."""
    (tmp_path / "mine").write_text("#!/bin/sh\n")
    (tmp_path / "agent.ocf").write_text("#!/bin/sh\n")
    (tmp_path / "binary").write_bytes(b"\x7fELF")
    (tmp_path / "site" / "deep").mkdir(parents=True)
    (tmp_path / "site" / "index.html").write_text("hello\n")
    (tmp_path / "site" / "deep" / "run").write_bytes(b"#!\0")
    (tmp_path / "site" / "deep" / "run").chmod(0o700)
    return tmp_path


def read(folder: Path, text: str) -> Spec:
    (folder / "lab.yaml").write_text(text)
    return load(folder / "lab.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("service:\n  init_script: gone", "line 2: service.init_script: '{folder}/gone' cannot be read (No such file"),
        ("service:\n  init_script: site", "line 2: service.init_script: '{folder}/site' cannot be read (Is a direct"),
        ("service:\n  init_script: binary", "line 2: service.init_script: {folder}/binary is no script. Let it begin"),
        ("service:\n  init_script: Mine", "line 2: service.init_script: 'Mine' cannot be a resource of Heartbeat's."),
        ("service:\n  resource_agent: apache2", "line 2: service.resource_agent: 'apache2' cannot be a resource of"),
        ("service:\n  document_root: mine", "line 2: service.document_root: {folder}/mine is not a folder. Name one"),
        ("service: {document_root: ''}", "line 1: service.document_root: "),
        (
            "service:\n  init_script: mine\n  resource_agent: agent.ocf",
            "line 3: service.resource_agent: there is an init_script, too.",
        ),
        ("service:\n  path: /x", "line 2: service.path: there is no service. Name its init_script,"),
        ("service:\n  says: '{node}'", "line 2: service.says: there is no service."),
        ("service:\n  init_script: mine\n  path: x", "line 3: service.path: 'x' is not the path of a page."),
        ("service:\n  init_script: mine\n  path: /$(reboot)", "line 3: service.path: '/$(reboot)' is not the path"),
        ("service:\n  init_script: mine\n  says: hello", "line 3: service.says: 'hello' does not tell one node"),
        (
            "nodes: {a: {}, ab: {}}\nservice:\n  init_script: mine\n  says: I am {node}",
            "line 4: service.says: 'I am a' and 'I am ab' cannot be told apart",
        ),
        (
            "profile: as-printed\nservice:\n  init_script: mine",
            "line 2: service: the profile as-printed is",
        ),
        ("service: {inti_script: mine}", "line 1: service.inti_script: no such key. Did you mean 'init_script'?"),
        ("service: mine", "line 1: service: 'mine' is not a mapping."),
    ],
)
def test_refusals_name_line_and_remedy(folder: Path, text: str, expected: str) -> None:
    """A service that cannot be is told before anything is made, as any other mistake in lab.yaml."""
    with pytest.raises(BadInput) as caught:
        read(folder, text)
    assert str(caught.value).startswith(f"{folder / 'lab.yaml'}, {expected.format(folder=folder)}")


def test_as_printed_is_refused_as_an_option_too(folder: Path) -> None:
    """A command's option may not bring together what the file may not."""
    with pytest.raises(BadInput, match="--profile: service: the profile as-printed"):
        read(folder, "service: {document_root: site}").with_options(profile="as-printed")


def test_files_are_beside_the_lab_yaml(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are seen from the file, not from the present folder; the spec of a run's folder finds them as well."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    spec = read(folder, "service: {init_script: mine, document_root: ./site}")
    assert (spec.service.init_script, spec.service.document_root) == (f"{folder}/mine", f"{folder}/site")
    Path("spec.yaml").write_text(to_yaml(spec))
    assert load(Path("spec.yaml")) == spec


def test_a_lab_that_is_up_is_found_without_the_files() -> None:
    """What stands in the labels of a lab is a spec, even where its files have gone since."""
    spec = Spec(service=Service(init_script="/gone/mine"))
    assert Spec.model_validate(spec.model_dump(mode="json")) == spec


def test_a_script_of_ones_own_takes_the_place_of_apache2() -> None:
    """Heartbeat starts it, the monitor asks for its page, the status script asks it, and apache2 has no port."""
    spec = load(EXAMPLE)
    files = texts(spec, "master-cluster")
    (group,) = haresources.parse(files["/etc/ha.d/haresources"])
    assert [one.script for one in group.resources] == ["IPaddr2", "counter"]
    assert f'path "{render.MONITOR_LOOK}"' in files[render.MONITRC]
    assert 'http://127.0.0.1/count"' in files[render.MONITOR_LOOK]
    assert "handing over to slave-cluster" in files[render.HAND_OVER]
    assert "Listen" not in files["/etc/apache2/ports.conf"]
    assert "/etc/ha.d/resource.d/counter status" in files[render.STATUS]
    assert "/var/www/html/index.html" not in files
    assert not [path for path in files if "apache2.pid" in files[path]]
    assert render.mark(spec, "master-cluster") == HEADER


def test_an_agent_gets_a_script_around_it() -> None:
    """haresources knows scripts alone; the wrapper runs the agent by the functions that ship."""
    files = texts(Spec(service=Service(resource_agent="/x/agent.ocf")), "master-cluster")
    assert "OCF_TYPE=agent\n" in files["/etc/ha.d/resource.d/agent"]
    assert files["/etc/ha.d/haresources"].endswith(" agent\n")


def test_a_document_root_alone_stays_with_apache2() -> None:
    """Then apache2's answers tell the node in a header, and the guide's page is not put there."""
    spec = Spec(service=Service(document_root="/x", path="/a?b=1"))
    files = texts(spec, "master-cluster")
    assert "X-Served-By master-cluster" in files[render.SERVED_BY]
    assert 'protocol http request "/a?b=1" with' in files[render.MONITRC]
    assert "/var/www/html/index.html" not in files
    assert files["/etc/ha.d/haresources"].endswith(" apache2\n")
    assert render.mark(spec, "master-cluster") == HEADER


def test_nothing_changes_without_a_service() -> None:
    """The guide's pair is what it was: no file more, and its heading tells the node."""
    paths = {file.path for file in render.node_files(Spec(), SAMPLES, "k", "master-cluster")}
    assert not paths & {render.SERVED_BY, render.STATUS, render.HAND_OVER, render.MONITOR_LOOK}
    assert render.mark(Spec(), "master-cluster") == "MASTER-CLUSTER ON"
    assert service.files(Spec()) == []


def test_files_go_where_the_service_finds_them(folder: Path) -> None:
    """A script is executable whatever it is here; the document root keeps its folders and what may be run."""
    spec = read(folder, "service: {init_script: mine, document_root: site}")
    placed = {file.path: file for file in service.files(spec)}
    assert {path: file.mode for path, file in placed.items()} == {
        "/etc/ha.d/resource.d/mine": 0o755,
        "/srv/mine/index.html": 0o644,
        "/srv/mine/deep/run": 0o755,
    }
    assert placed["/srv/mine/deep/run"].content == b"#!\0"
    assert {file.path for file in service.files(read(folder, "service: {document_root: site}"))} == {
        "/var/www/html/index.html",
        "/var/www/html/deep/run",
    }
    agent = read(folder, "service: {resource_agent: agent.ocf}")
    assert [file.path for file in service.files(agent)] == ["/usr/lib/ocf/resource.d/heartbeat/agent"]


def test_a_changed_file_is_another_service(folder: Path) -> None:
    """So a lab that is up with the old files is not taken for the one that is asked for."""
    spec = read(folder, "service: {init_script: mine, document_root: site}")
    before = service.digest(spec)
    assert service.digest(spec) == before != ""
    (folder / "site" / "index.html").write_text("other\n")
    assert service.digest(spec) != before
    assert service.digest(Spec()) == ""


def test_a_file_that_went_is_bad_input(folder: Path) -> None:
    """It may go between reading lab.yaml and making the lab."""
    spec = read(folder, "service: {init_script: mine}")
    (folder / "mine").unlink()
    with pytest.raises(BadInput, match="mine cannot be read: No such file"):
        service.files(spec)


def test_a_huge_document_root_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go through memory, twice a node."""
    monkeypatch.setattr(service, "MOST_MB", 0)
    with pytest.raises(BadInput, match=r"site holds more than 0 MB; name a smaller folder"):
        service.files(read(folder, "service: {document_root: site}"))


def test_faults_of_apache2_alone_are_refused() -> None:
    """A fault that needs apache2's configuration says what else there is; the others can strike any service."""
    own, root = load(EXAMPLE), Spec(service=Service(document_root="/x"))
    for name, fault in faults.all_faults().items():
        faults.require(Spec(), fault)
        faults.require(root, fault)
        if name != "apache-error":
            faults.require(own, fault)
    with pytest.raises(BadInput, match=r"serves counter; use apache-stop, apache-kill or apache-hang"):
        faults.require(own, faults.fault("apache-error"))


def test_no_outage_is_predicted_for_a_move_of_ones_own_service() -> None:
    """How long it takes to start is not known; that nothing happens where it does not move is."""
    own = load(EXAMPLE)
    assert faults.expect(faults.fault("none"), own).outage_ms == (0.0, 0.0)
    kill = faults.expect(faults.fault("apache-kill"), own)
    assert (kill.moves, kill.outage_ms) == (True, None)
    assert "finds no counter" in kill.why
    plain = faults.fault("node-kill")
    assert faults.expect(plain, Spec()) == plain.expect(Spec())
