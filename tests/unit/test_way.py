"""Which engine is meant, and what is said where there is no way to it. Contexts lie as Docker writes them."""

import json
import shutil
import socket
from hashlib import sha256
from pathlib import Path

import pytest

from labkit.engine import way
from labkit.errors import NotAvailable


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's own folder: empty, and nothing in the environment."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def make_context(docker: Path, name: str, host: str) -> None:
    """As `docker context create` does."""
    folder = docker / "contexts" / "meta" / sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    about = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    (folder / "meta.json").write_text(json.dumps(about))


def test_the_order_is_that_of_the_docker_command(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket of this host; before it the chosen context, DOCKER_CONTEXT, DOCKER_HOST, and a context that is asked
    for by name."""
    for name in ("chosen", "named", "asked"):
        make_context(docker, name, f"tcp://{name}:2375")
    assert way.find().where == way.DEFAULT
    (docker / "config.json").write_text('{"currentContext": "chosen"}')
    assert (way.find().where, way.find().options) == ("tcp://chosen:2375", ("--context", "chosen"))
    monkeypatch.setenv("DOCKER_CONTEXT", "named")
    assert way.find().where == "tcp://named:2375"
    monkeypatch.setenv("DOCKER_HOST", "tcp://other:2375")
    assert (way.find().where, way.find().options) == ("tcp://other:2375", ("--host", "tcp://other:2375"))
    assert way.find("asked").where == "tcp://asked:2375"


def test_a_context_is_found_without_a_config_file_and_an_unknown_one_is_named(docker: Path) -> None:
    """`docker context create` writes no config.json."""
    make_context(docker, "far", "tcp://far:2375")
    assert way.find("far").address == "tcp://far:2375"
    with pytest.raises(NotAvailable, match=r"no Docker context 'fra'; `docker context ls`"):
        way.find("fra")


def test_a_damaged_context_is_one_clear_error(docker: Path) -> None:
    """No traceback comes of a file that is no JSON."""
    make_context(docker, "far", "tcp://far:2375")
    next(docker.rglob("meta.json")).write_text("{")
    with pytest.raises(NotAvailable, match="no way to the Docker engine"):
        way.find("far")


@pytest.mark.parametrize("url", ["ssh://", "ssh://-oProxyCommand=x", "ssh://-l@host", "ssh://host:door"])
def test_an_ssh_address_without_a_host_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before ssh is started, which would take some of these for its own options."""
    monkeypatch.setenv("DOCKER_HOST", url)
    with pytest.raises(NotAvailable, match="no way to the Docker engine"):
        way.find()


@pytest.mark.skipif(shutil.which("ssh") is None, reason="takes ssh")
def test_a_host_that_refuses_is_told_in_the_words_of_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command by which a user tries it alone."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        port = taken.getsockname()[1]
        monkeypatch.setenv("DOCKER_HOST", f"ssh://ana@127.0.0.1:{port}")
        with pytest.raises(NotAvailable, match="Connection refused") as told:
            way.find()
    assert f"`ssh -p {port} ana@127.0.0.1 true`" in str(told.value)


def test_ports_come_here_by_the_ssh_that_leads_there() -> None:
    """From a host with a name; a socket file has none."""
    by_ssh = way.Way("ssh://ana@Server:22022", "", False, ())
    assert by_ssh.forwarding([8048]) == "ssh -N -L 8048:127.0.0.1:8048 -p 22022 ana@Server"
    assert way.Way("tcp://server:2376", "", False, ()).forwarding([1, 2]) == (
        "ssh -N -L 1:127.0.0.1:1 -L 2:127.0.0.1:2 server"
    )
    assert way.Way("unix:///run/d.sock", "", False, ()).forwarding([1]) is None


def test_a_listener_of_ours_shares_our_loopback(tmp_path: Path) -> None:
    """One behind a socket file does, one behind any other address is not relied upon, nor is a file without one."""
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert way.Way(f"unix://{path}", "", False, ()).shares_loopback
    assert not way.Way(f"unix://{path}", "", False, ()).shares_loopback
    assert not way.Way("tcp://127.0.0.1:2375", "", False, ()).shares_loopback
