"""Images: the base pulled or bootstrapped, the node and the client built on it, a browser on the client."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import docker
import docker.errors

from labkit.engine.client import Engine, translated
from labkit.errors import LabkitError, NotAvailable
from labkit.platforms import Platform, candidates
from labkit.progress import Progress
from labkit.resources import images_dir, state_dir

ROLES = ("node", "client")
BROWSER = "browser"  # its folder in images/, which is no part of the others' build context
CONTENT = "labkit.content"  # label: digest of the build context that an image was made from
REGISTRY_TIMEOUT_S = 8
SHOWN_OF_A_FAILED_BUILD = 40
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # the engine gives a step's standard error in red


@dataclass(frozen=True)
class Images:
    """The images of one platform that a lab is made from. digests: role -> image id."""

    platform: Platform
    digests: dict[str, str]

    @property
    def node(self) -> str:
        return self.digests["node"]

    @property
    def client(self) -> str:
        return self.digests["client"]


class _Context(NamedTuple):
    """A folder as a build context: the same archive for the same files, and a digest of it."""

    archive: bytes
    digest: str


def ensure(engine: Engine, name: str, progress: Progress, mirror: str = "", rebuild: bool = False) -> Images:
    """The images of a platform, or with `auto` of the first that can be had; built where they are missing or stale.

    mirror: address of the distribution's package archive, in place of the distribution's own.
    Raises NotAvailable with what was tried if there is no way to any base image.
    """
    context = _context(images_dir(), but_for=BROWSER)
    content = f"{context.digest}:{mirror}"
    platforms = candidates(name)
    ready = (platform for platform in platforms if all(_find(engine, platform.image(role), content) for role in ROLES))
    built_already = None if rebuild else next(ready, None)
    tried: dict[str, str] = {}
    for platform in [built_already] if built_already else platforms:
        try:
            digests = _ensure_platform(engine, platform, context, content, progress, mirror, rebuild)
        except _NoBase as error:
            tried[platform.name] = str(error)
            progress.step(f"{platform.name} cannot be had here: {str(error).splitlines()[0]}")
            continue
        return Images(platform, digests)
    others = [other.name for other in candidates("auto") if other.name not in tried]
    hint = f"\nTry --platform {' or '.join(others)}, or --platform auto." if others else ""
    raise NotAvailable("no base image can be had:\n" + "\n".join(f"  {n}: {why}" for n, why in tried.items()) + hint)


def ensure_browser(engine: Engine, images: Images, progress: Progress, rebuild: bool = False) -> str:
    """Id of the image with the Chromium that makes the guide's screenshots, built where it is missing or stale.

    images: those of the platform, whose client it is made from. Raises NotAvailable if it cannot be built.
    """
    context = _context(images_dir() / BROWSER)
    content = f"{context.digest}:{images.client}"
    reference = images.platform.image(BROWSER)
    there = None if rebuild else _find(engine, reference, content)
    if there:
        return there
    recipe = _Recipe(context.archive, "Dockerfile", {"BASE": images.platform.image("client")})
    try:
        return _build(engine, reference, recipe, {"labkit.image": BROWSER, CONTENT: content}, progress)
    except NotAvailable as error:
        hint = (
            "the browser's packages come from the platform's archive: try `labkit build --browser` where it is in reach"
        )
        raise NotAvailable(f"{error}\n{hint}, or leave --figures out") from error


class _Recipe(NamedTuple):
    """What an image is built from. context: an archive; dockerfile: its path there."""

    context: bytes
    dockerfile: str
    arguments: dict[str, str]


class _NoBase(LabkitError):
    """The base image can neither be pulled nor bootstrapped."""


def _ensure_platform(
    engine: Engine, platform: Platform, context: _Context, content: str, progress: Progress, mirror: str, rebuild: bool
) -> dict[str, str]:
    have = {role: _find(engine, platform.image(role), content) for role in ROLES}
    missing = [role for role in ROLES if rebuild or have[role] is None]
    if missing:
        base = _ensure_base(engine, platform, progress, mirror, rebuild)

        def build(role: str) -> str:
            arguments = {"BASE": base, "ROLE": role, "MIRROR": mirror}
            recipe = _Recipe(context.archive, platform.dockerfile, arguments)
            return _build(engine, platform.image(role), recipe, {"labkit.image": role, CONTENT: content}, progress)

        with ThreadPoolExecutor(len(ROLES)) as pool:
            have.update(zip(missing, pool.map(build, missing), strict=True))
    return {role: identity for role, identity in have.items() if identity is not None}


def exists(engine: Engine, reference: str) -> bool:
    """Whether the engine has an image of that name."""
    with translated(f"looking for the image {reference}"):
        try:
            engine.client.images.get(reference)
        except docker.errors.ImageNotFound:
            return False
    return True


def way_to_base(engine: Engine, platform: Platform) -> str:
    """How the base image can be had, tried as far as that costs nothing; begins with `no ` where it cannot."""
    if any(exists(engine, reference) for reference in (platform.base, platform.image("base"))):
        return "the base image is there"
    refused = _registry_refuses(engine, platform)
    if not refused:
        return f"{platform.base} can be pulled"
    lacking = _bootstrap_lacks(engine, platform)
    return f"no base image: {lacking}" if lacking else f"the base image can be made with mmdebstrap ({refused})"


def _find(engine: Engine, reference: str, content: str) -> str | None:
    """Id of an image that was made from this very content."""
    with translated(f"looking for the image {reference}"):
        try:
            image = engine.client.images.get(reference)
        except docker.errors.ImageNotFound:
            return None
    return str(image.id) if image.labels.get(CONTENT) == content else None


def _context(root: Path, but_for: str = "") -> _Context:
    """but_for: a folder in it that is left out."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(root.rglob("*")):
            parts = path.relative_to(root).parts
            if path.is_file() and "__pycache__" not in parts and parts[0] != but_for:
                entry = tarfile.TarInfo(path.relative_to(root).as_posix())
                content = path.read_bytes()
                entry.size, entry.mode = len(content), 0o755 if content.startswith(b"#!") else 0o644
                tar.addfile(entry, io.BytesIO(content))
    return _Context(buffer.getvalue(), hashlib.sha256(buffer.getvalue()).hexdigest()[:16])


def _ensure_base(engine: Engine, platform: Platform, progress: Progress, mirror: str, rebuild: bool) -> str:
    """Reference of the base image: there already, pulled, or bootstrapped, in this order. Raises _NoBase."""
    imported = platform.image("base")
    for reference in () if rebuild else (platform.base, imported):
        if exists(engine, reference):
            return reference
    refused = _registry_refuses(engine, platform)
    if not refused:
        progress.step(f"pulling {platform.base}")
        repository, tag = platform.base.split(":")
        with translated(f"pulling {platform.base}"):
            engine.client.images.pull(repository, tag)
        return platform.base
    if lacking := _bootstrap_lacks(engine, platform):
        raise _NoBase(f"{platform.base} cannot be pulled ({refused}), and {lacking}")
    progress.step(f"{platform.base} cannot be pulled ({refused}); making {platform.title} with mmdebstrap instead")
    _bootstrap(engine, platform, imported, progress, mirror)
    return imported


def _registry_refuses(engine: Engine, platform: Platform) -> str:
    """Why the base image cannot be pulled, found out quickly; empty where it can."""
    quick = docker.APIClient(**{**_same_place(engine), "timeout": REGISTRY_TIMEOUT_S})
    try:
        quick.inspect_distribution(platform.base)  # type: ignore[no-untyped-call]  # nor do the stubs type it
    except docker.errors.DockerException as error:
        return str(getattr(error, "explanation", None) or error)
    except OSError as error:  # requests' time-outs and lost connections
        return f"no answer from the registry within {REGISTRY_TIMEOUT_S} s ({type(error).__name__})"
    finally:
        quick.close()
    return ""


def _bootstrap_lacks(engine: Engine, platform: Platform) -> str:
    """What is missing on this host to make the base image from the distribution's archive; empty for nothing."""
    if engine.machine != os.uname().machine:
        return f"mmdebstrap would make one for this host's {os.uname().machine}, and the engine's is {engine.machine}"
    if shutil.which("mmdebstrap") is None:
        return f"mmdebstrap is not installed here (`apt-get install mmdebstrap {platform.keyring_package}`)"
    if not Path(platform.keyring).exists():
        return (
            f"the keyring of its archive, {platform.keyring}, is not on this host (package {platform.keyring_package})"
        )
    return ""


def _same_place(engine: Engine) -> dict[str, Any]:
    return {"base_url": engine.way.address, "version": engine.client.api.api_version, "tls": engine.way.tls}


# The base has no use for what the node's provisioning would throw away again.
_NO_DOCUMENTATION = [
    "--aptopt=Acquire::Languages none",
    *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "info", "locale", "lintian")),
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
]


def _bootstrap(engine: Engine, platform: Platform, reference: str, progress: Progress, mirror: str) -> None:
    """Makes the base image from the distribution's own archive. Raises _NoBase with the tool's output if that fails."""
    state_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".base-", dir=state_dir()) as folder:
        archive = Path(folder) / "base.tar"
        command = [
            "mmdebstrap",
            "--variant=minbase",
            f"--components={','.join(platform.components)}",
            f"--keyring={platform.keyring}",
            "--include=ca-certificates",
            *_NO_DOCUMENTATION,
            platform.suite,
            str(archive),
            *([mirror] if mirror else []),
        ]
        said: list[str] = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line.rstrip())
                if line.startswith("I: "):
                    progress.detail(f"{platform.name}: {line[3:].rstrip()}")
        if process.returncode != 0:
            told = "\n".join(said[-SHOWN_OF_A_FAILED_BUILD:])
            raise _NoBase(f"mmdebstrap cannot make it from the archive:\n{told}")
        progress.step(f"{platform.name}: importing the base image")
        repository, tag = reference.split(":")
        with translated(f"importing {reference}"):
            engine.client.api.import_image(src=str(archive), repository=repository, tag=tag)


def _build(engine: Engine, reference: str, recipe: _Recipe, labels: dict[str, str], progress: Progress) -> str:
    """Builds one image and returns its id. A failed step's own output is in the error."""
    progress.step(f"building {reference}")
    with translated(f"building {reference}"):
        events = engine.client.api.build(
            fileobj=io.BytesIO(recipe.context),
            custom_context=True,
            dockerfile=recipe.dockerfile,
            tag=reference,
            buildargs=recipe.arguments,
            labels=labels,
            network_mode="host",
            rm=True,
            forcerm=True,
            decode=True,
        )
        said: list[str] = []
        for event in events:
            for line in _COLOUR.sub("", event.get("stream", "")).splitlines():
                if line.strip():
                    said.append(line.rstrip())
                    progress.detail(f"{reference}: {line.strip()}")
            if "error" in event:
                told = "\n".join(said[-SHOWN_OF_A_FAILED_BUILD:])
                raise NotAvailable(f"building {reference} failed: {event['error'].strip()}\n{told}")
    identity = engine.client.images.get(reference).id
    return str(identity)


def built(engine: Engine, role: str) -> list[str]:
    """Ids of the images of a role that are there, of any platform."""
    with translated("listing images"):
        return [str(image.id) for image in engine.client.images.list(filters={"label": f"labkit.image={role}"})]


def sizes_mb(engine: Engine) -> dict[str, float]:
    """Size of each of labkit's images in MB (10^6 bytes), by reference."""
    with translated("listing images"):
        images = engine.client.images.list(name="labkit/*")
    return {tag: image.attrs["Size"] / 1e6 for image in images for tag in image.tags}
