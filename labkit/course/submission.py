"""A student's records in one file, signed so that edits show.

The file is a zip: manifest.json names every other member with its SHA-256, and `signature` signs the manifest with the
desk's own Ed25519 key, whose public half the manifest holds. That proves that nothing was changed since, and that two
submissions come from one desk. It does not prove who sits there: docs/teaching.md.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

import labkit
from labkit.course.desk import Desk, now
from labkit.course.record import RECORD, Record, all_records
from labkit.errors import BadInput, NotAvailable
from labkit.language import Said, Text
from labkit.store import RunFolder

FORMAT = 1
MANIFEST, SIGNATURE = "manifest.json", "signature"
LARGEST = 200 * 1024 * 1024  # bytes of one member: whoever grades must not run out of memory over a forged file
OLDEST = (1980, 1, 1, 0, 0, 0)  # the same time for every member, so that the same records give the same file


class Tampered(BadInput):
    """A submission that is not as it was signed."""


@dataclass(frozen=True)
class Submission:
    """What was handed in, its signature verified. key: the desk's public key, as hexadecimal digits."""

    path: Path
    student: str
    key: str
    written: str
    labkit: str
    records: tuple[Record, ...]


def write(desk: Desk, path: Path) -> Path:
    """Writes all of a desk's records to a file. Raises BadInput if there is none or nobody to submit for, NotAvailable
    where it cannot be written."""
    records = all_records(desk)
    if not records:
        nothing = Text(
            "nothing was checked yet; `labkit exercise check` on an exercise makes a record to submit",
            "aún no se comprobó nada; `labkit exercise check` en un ejercicio deja algo que entregar",
        )
        raise Said(nothing)
    if not desk.student:
        nobody = Text(
            "a submission needs a student's id; name it with --student",
            "una entrega necesita el identificador del estudiante; indíquelo con --student",
        )
        raise Said(nobody)
    key = _key(desk)
    members: dict[str, bytes] = {}
    for record in records:
        members[f"{record.exercise}/{RECORD}"] = _json(record.document)
        members.update({f"{record.exercise}/{name}.jsonl": text for name, text in record.runs.items()})
    manifest = _json({
        "format": FORMAT,
        "student": desk.student,
        "labkit": labkit.__version__,
        "written": now(),
        "key": key.public_key().public_bytes_raw().hex(),
        "files": {name: sha256(text).hexdigest() for name, text in members.items()},
    })  # fmt: skip
    members = {MANIFEST: manifest, SIGNATURE: key.sign(manifest).hex().encode(), **members}
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in members.items():
                archive.writestr(zipfile.ZipInfo(name, OLDEST), text, zipfile.ZIP_DEFLATED)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise NotAvailable(f"cannot write {path}: {error.strerror}; name another file") from error
    return path


def read(path: Path) -> Submission:
    """A submission whose signature and hashes are right. Raises Tampered if they are not, BadInput if it is none."""
    members = _members(path)
    for name in (MANIFEST, SIGNATURE):
        if name not in members:
            raise BadInput(f"{path} is no submission: it has no {name}")
    manifest_text = members.pop(MANIFEST)
    manifest = _parsed(path, MANIFEST, manifest_text)
    if manifest.get("format") != FORMAT:
        raise BadInput(f"{path} has the format {manifest.get('format')!r}; this labkit reads {FORMAT}")
    try:
        key = str(manifest["key"])
        signature = bytes.fromhex(members.pop(SIGNATURE).decode("ascii"))
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, manifest_text)
        files = {**manifest["files"]}
        about = {name: str(manifest[name]) for name in ("student", "written", "labkit")}
    except InvalidSignature:
        raise Tampered(f"{path}: the manifest was changed after it was signed") from None
    except (KeyError, TypeError, ValueError) as error:
        raise Tampered(f"{path}: the manifest is damaged ({error})") from error
    if strange := sorted(set(members) ^ set(files)):
        raise Tampered(f"{path}: not what the manifest lists: {', '.join(strange)}")
    if changed := sorted(name for name, text in members.items() if sha256(text).hexdigest() != files[name]):
        raise Tampered(f"{path}: changed after it was signed: {', '.join(changed)}")
    return Submission(path, records=tuple(_records(path, members)), key=key, **about)


def _records(path: Path, members: Mapping[str, bytes]) -> list[Record]:
    found = []
    for name, text in sorted(members.items()):
        folder, _, file = name.rpartition("/")
        if file == RECORD:
            runs = {
                other.removeprefix(f"{folder}/").removesuffix(".jsonl"): history
                for other, history in members.items()
                if other.startswith(f"{folder}/") and other.endswith(".jsonl")
            }
            document = _parsed(path, name, text)
            if document.get("exercise") != folder:
                raise Tampered(f"{path}: {name} is the record of {document.get('exercise')!r}")
            if not isinstance(document.get("hints", 0), int):
                raise Tampered(f"{path}: {name} has {document['hints']!r} for the number of hints")
            found.append(Record(document, runs))
    return found


def _members(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if len(set(names)) != len(names):
                raise Tampered(f"{path}: a member stands in it twice")
            if any(info.file_size > LARGEST for info in infos):
                raise Tampered(f"{path}: a member is larger than anything that labkit writes")
            return {info.filename: archive.read(info) for info in infos}
    except Tampered:
        raise
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    except (
        Exception
    ) as error:  # over a damaged file zipfile raises anything: encrypted, a compression that it lacks, ...
        raise BadInput(f"{path} is no submission, or was damaged on its way: {error}") from error


def _key(desk: Desk) -> Ed25519PrivateKey:
    """The desk's key, made when it is first needed."""
    path = desk.folder / "key"
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii")))
    except FileNotFoundError:
        key = Ed25519PrivateKey.generate()
        path.touch(mode=0o600)
        RunFolder(desk.folder).write("key", key.private_bytes_raw().hex())
        path.chmod(0o600)
        return key
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}); remove it, and a new key is made") from error


def _json(document: Any) -> bytes:
    """In the order in which it was made: that of a spec's nodes has a meaning."""
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _parsed(path: Path, name: str, text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Tampered(f"{path}: {name} is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise Tampered(f"{path}: {name} is not an object")
    return document
