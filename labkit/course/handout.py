"""What a student of a class is handed: a folder with the key, the SSH configuration, and a page that tells the rest.

Ports of a lab are on the 127.0.0.1 of its engine's host. Who sits elsewhere comes through an account there (Way).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from labkit.cluster import Lab
from labkit.cluster.access import KEY_IN_CLIENT
from labkit.engine import Engine
from labkit.errors import BadInput, NotAvailable
from labkit.exercises import Exercise, Variant, words
from labkit.language import Language, Text, listed, same
from labkit.spec import Spec
from labkit.store import RunFolder

ANSWERS = "/root/answers"  # on the first node: what a task asks for, as `key: value`, one a line
KEY, HOSTS, CONFIG, DOOR = "id_ed25519", "known_hosts", "ssh_config", "authorized_keys"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
PAGES: Mapping[Language, str] = {"en": "README.md", "es": "LEEME.md"}
JUMP, BROWSE = "way", "pages"  # what ssh_config calls the account on the engine's host


_PAGE = Text(
    """# {title}

A pair of servers of your own: {nodes}. The virtual IP is {vip}.

## To get in

In this folder, {where}:

{logins}

You are root there. If ssh complains that the key can be read by others: `chmod 600 id_ed25519`.

In a browser{tunnel}:

{pages}

## What to do

Where the text below says `labkit exercise check`: your teacher does that. `labkit ssh` is the line above.{answering}

{task}
""",
    """# {title}

Una pareja de servidores para usted: {nodes}. La IP virtual es {vip}.

## Para entrar

En esta carpeta, {where}:

{logins}

Allí usted es root. Si ssh se queja de que otros pueden leer la clave: `chmod 600 id_ed25519`.

En un navegador{tunnel}:

{pages}

## Qué hacer

Donde el texto de abajo dice `labkit exercise check`: eso lo hace su docente. `labkit ssh` es la línea de
arriba.{answering}

{task}
""",
)
_HERE = Text("on the machine on which the pairs run", "en la máquina donde funcionan las parejas")
_ANYWHERE = Text("on any machine that reaches {host}", "en cualquier máquina que alcance {host}")
_TUNNEL = Text(
    ", while `ssh -F ssh_config -N pages` runs beside it", ", mientras `ssh -F ssh_config -N pages` funciona al lado"
)
_ANSWERING = Text(
    "\n`labkit exercise answer KEY VALUE` is a line `KEY: VALUE` in the file `{file}` on {first}:\n\n{questions}",
    "\n`labkit exercise answer CLAVE VALOR` es una línea `CLAVE: VALOR` del archivo `{file}` en {first}:\n\n"
    "{questions}",
)


@dataclass(frozen=True)
class Way:
    """An account on an engine's host, through which students come in. user: empty for each student's own."""

    host: str
    user: str = ""
    port: int = 22

    @classmethod
    def read(cls, text: str) -> "Way":
        """From USER@HOST:PORT, user and port optional. Raises BadInput."""
        try:
            parts = urlsplit(f"ssh://{text}")
            host, user, port = parts.hostname, parts.username or "", parts.port or 22
        except ValueError as error:
            raise BadInput(f"--through: {text!r}: {error}; write USER@HOST") from error
        if not host or host.startswith("-") or parts.path or any(letter.isspace() for letter in text):
            raise BadInput(f"--through: {text!r} names no host; write USER@HOST")
        return cls(host, user, port)


def way_to(engine: Engine, asked: Way | None) -> Way | None:
    """The way to an engine's host: the one asked for; for an engine that has a host name of its own, there."""
    host = urlsplit(engine.where).hostname
    if host is None:
        return asked
    return Way(host, asked.user if asked else "", asked.port if asked else 22)


def ask(one: Exercise, spec: Spec, variant: Variant) -> str:
    """The file for the answers, as it is laid down: each question, and its key with room behind it."""
    known = words(spec, variant, one.name)
    asked = ((key, text.filled(**known)) for key, text in one.questions.items())
    return "".join(f"# {text.en}\n# {text.es}\n{key}: \n\n" for key, text in asked)


def answers(text: str) -> dict[str, str]:
    """What stands in that file; lines of another kind count for nothing."""
    parts = (line.partition(":") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, _, value in parts if value.strip()}


def make_private(folder: Path) -> None:
    """The folder, which nobody else can look into. Raises NotAvailable where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise NotAvailable(f"cannot make {folder}: {error.strerror}; name another place with --folder") from error


def write(folder: Path, lab: Lab, one: Exercise, variant: Variant, way: Way | None) -> None:
    """Writes the folder, in place of what an earlier one had. The nodes must run, or have run: they have the host keys.
    Raises NotAvailable where it cannot be written."""
    make_private(folder)
    place = RunFolder(folder)
    place.write(KEY, lab.client.get(KEY_IN_CLIENT))
    (folder / KEY).chmod(0o600)
    pins = {
        node: container.get(HOST_KEY).decode("utf-8", "replace").split()[:2] for node, container in lab.nodes.items()
    }
    place.write(HOSTS, "".join(f"[127.0.0.1]:{port} {' '.join(pins[node])}\n" for node, port in _ssh(lab.spec).items()))
    place.write(CONFIG, config(lab.spec, way))
    for language, name in PAGES.items():
        place.write(name, page(lab.spec, one, variant, way).within(language))


def door(lab: Lab, student: str) -> str:
    """The line of authorized_keys that lets the student's key through to the ports of that pair, to nothing else."""
    kind, key = lab.client.get(f"{KEY_IN_CLIENT}.pub").decode().split()[:2]
    opened = ",".join(f'permitopen="127.0.0.1:{port}"' for port in sorted(lab.spec.forwards))
    return f'restrict,port-forwarding,command="/usr/sbin/nologin",{opened} {kind} {key} {student}\n'


def write_door(path: Path, lines: Iterable[str]) -> None:
    """authorized_keys for the account through which a class comes in."""
    RunFolder(path.parent).write(path.name, "".join(lines))


def _ssh(spec: Spec) -> dict[str, int]:
    return dict(zip(spec.nodes, (spec.ports.first_ssh, spec.ports.second_ssh), strict=True))


def _web(spec: Spec) -> dict[str, int]:
    ports = (spec.ports.vip_http, spec.ports.first_http, spec.ports.second_http)
    return dict(zip(("VIP", *spec.nodes), ports, strict=True))


def config(spec: Spec, way: Way | None) -> str:
    """ssh_config. Files are named as from the folder that it lies in."""
    key = f"  IdentityFile {KEY}\n  IdentitiesOnly yes\n"
    jump = f"  ProxyJump {JUMP}\n" if way else ""
    sections = [
        f"Host {node}\n  HostName 127.0.0.1\n  Port {port}\n  User root\n{jump}{key}"
        f"  UserKnownHostsFile {HOSTS}\n  StrictHostKeyChecking yes\n"
        for node, port in _ssh(spec).items()
    ]
    if way:
        user = f"  User {way.user}\n  IdentityFile {KEY}\n" if way.user else ""  # else their own account and key
        forwards = "".join(f"  LocalForward {port} 127.0.0.1:{port}\n" for port in _web(spec).values())
        sections.append(f"Host {BROWSE}\n{forwards}  ExitOnForwardFailure yes\n")
        sections.append(f"Host {JUMP} {BROWSE}\n  HostName {way.host}\n  Port {way.port}\n{user}")
    return "\n".join(sections)


def page(spec: Spec, one: Exercise, variant: Variant, way: Way | None) -> Text:
    """What a student reads: how to get in, and what to do. Markdown."""
    known = words(spec, variant, one.name)
    asked = [same(f"- `{key}`: {{text}}").filled(text=text.filled(**known)) for key, text in one.questions.items()]
    answering = _ANSWERING.filled(file=ANSWERS, first=spec.preferred, questions=listed(asked, same("\n")))
    return _PAGE.filled(
        title=one.title,
        nodes=", ".join(f"{name} ({node.address})" for name, node in spec.nodes.items()),
        vip=spec.network.vip,
        where=_ANYWHERE.filled(host=way.host) if way else _HERE,
        logins="\n".join(f"    ssh -F {CONFIG} {node}" for node in spec.nodes),
        tunnel=_TUNNEL if way else same(""),
        pages="\n".join(f"- http://127.0.0.1:{port}/ {name}" for name, port in _web(spec).items()),
        answering=answering if asked else same(""),
        task=one.task.filled(**known),
    )
