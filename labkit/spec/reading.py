"""Between `lab.yaml` and the spec: reading with line numbers, writing, the JSON schema for editors."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from labkit.errors import BadInput
from labkit.spec.fields import show
from labkit.spec.models import Node, Service, Spec
from labkit.spec.problems import Path as Place
from labkit.spec.problems import Problem, bad_file, dotted, field_problems
from labkit.spec.yaml_lines import dump, parse


def default() -> Spec:
    """Give the guide's lab, which is what an empty file means."""
    return Spec()


def load(path: Path | None) -> Spec:
    """Read a spec; without a file, the default one. BadInput lists everything that is wrong with the file.

    What the file names beside itself has an absolute path in the spec.
    """
    if path is None:
        return default()
    document = parse(_text_of(path), str(path))
    problems = [Problem(line, f"{dotted(place)}: {text}") for place, line, text in document.problems]
    try:
        spec = Spec.model_validate(document.data)
    except ValidationError as error:
        problems += field_problems(error, document.line_of, _keys_of)
    else:
        service = _beside(path.parent, spec.service)
        for key, text in _missing(service):
            problems.append(Problem(document.line_of(("service", key)), f"service.{key}: {text}"))
        if not problems:
            return spec.model_copy(update={"service": service})
    raise bad_file(str(path), problems)


def to_yaml(spec: Spec) -> str:
    """Write a spec so that `load` gives an equal one."""
    return dump(spec.model_dump(mode="json"))


def json_schema() -> dict[str, Any]:
    """Give the JSON schema of `lab.yaml`, for editors that complete and check it while it is typed."""
    schema = Spec.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "labkit lab.yaml"}


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(
            f"{path}: there is no such file. Check the name, or leave it out to get the default lab."
        ) from None
    except (IsADirectoryError, NotADirectoryError):
        raise BadInput(f"{path}: this is not a file. Name the file, as in '{path}/lab.yaml'.") from None
    except PermissionError:
        raise BadInput(f"{path}: you may not read this file. Change its mode, as in `chmod u+r {path}`.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}, line {line}: this is not UTF-8 text. Save the file as UTF-8.") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{show(str(path))}: cannot be read ({error}). Name a YAML file.") from None


def _beside(folder: Path, service: Service) -> Service:
    """The service with its files found from the folder of `lab.yaml`, whatever the present folder is."""
    named = {key: getattr(service, key) for key in ("init_script", "resource_agent", "document_root")}
    found = {key: os.path.abspath(folder / path) for key, path in named.items() if path}
    return service.model_copy(update=found)


def _missing(service: Service) -> Iterator[tuple[str, str]]:
    """What cannot be used of a service's files: key, what is wrong and the remedy."""
    for key in ("init_script", "resource_agent"):
        if path := getattr(service, key):
            try:
                with open(path, "rb") as file:
                    if file.read(2) != b"#!":
                        yield key, f"{path} is no script. Let it begin with `#!`, as in `#!/bin/sh`."
            except (OSError, ValueError) as error:
                yield key, f"{path!r} cannot be read ({_reason(error)}). Name a script beside lab.yaml."
    if service.document_root and not Path(service.document_root).is_dir():
        yield "document_root", f"{service.document_root} is not a folder. Name one beside lab.yaml."


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _keys_of(place: Place) -> tuple[str, ...]:
    """The keys that the mapping at a place of the spec may have."""
    model: type[BaseModel] = Spec
    if place:
        annotation = Node if place[0] == "nodes" else Spec.model_fields[place[0]].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return tuple(model.model_fields)
