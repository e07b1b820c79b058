"""Spec -> the same lab as a Compose file, with everything that it mounts. Rank 2.5, pure but for write().

What a container gets here is what labkit.cluster.lifecycle gives it; the files of the nodes come from labkit.render.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from labkit.errors import NotAvailable
from labkit.render import AUTHKEY_PLACEHOLDER, Samples, node_files
from labkit.spec import Spec

NAME = "compose"  # of the default lab in compose/: a lab of `labkit up` has another name, so neither finds the other
PLATFORM = "debian-12"  # of that lab: its samples are the ones in compose/


def files(
    spec: Spec, samples: Samples, platform: str, capabilities: Mapping[str, Sequence[str]], images: str = "../images"
) -> dict[str, str]:
    """Path inside the folder -> text. Each node's files stand under its name, as in the root of its file system.

    platform: name of the one that is used unless LABKIT_PLATFORM names another. capabilities: what each kind of
    container gets, node, client and gateway; nodes only where they do not run privileged. images: path of images/, as
    seen from the folder. The secret of authkeys is not in the files: the first node makes it when the lab boots.
    """
    environment = Environment(
        loader=PackageLoader("labkit"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found = {
        # In place of the key `name`, which Compose 1.29 does not know.
        ".env": f"COMPOSE_PROJECT_NAME=labkit-{spec.name}\n",
        "compose.yaml": environment.get_template("compose.yaml").render(
            spec=spec,
            name=spec.name,
            platform=platform,
            capabilities=capabilities,
            forwards=spec.forwards,
            images=images,
        ),
    }
    for node in spec.nodes:
        for file in node_files(spec, samples, AUTHKEY_PLACEHOLDER, node):
            found[f"{node}{file.path}"] = file.text
    return found


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Writes the files into a folder, which is made if it is missing. What else is there stays.

    Raises NotAvailable where it cannot be written.
    """
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotAvailable(f"cannot write {error.filename}: {error.strerror}; name another --folder") from error
