"""Fixtures of the tests that need an engine: the engine, one platform's images, and containers of no lab.

LABKIT_PLATFORM names the platform; unset, it is the first that can be had here.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from labkit.engine import Container, Engine
from labkit.engine import images as engine_images
from labkit.engine.images import Images
from labkit.progress import Silent

HERE = Path(__file__).parent
LAB = "test-docker"  # the label's value on everything that these tests make; no lab of that name is ever up

Running = Callable[..., AbstractContextManager[Container]]
"""Called with an image and the engine's options: a container of it for as long as the `with` lasts."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what lies in this folder; pytest hands over everything that it collected."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine.connect()


@pytest.fixture(scope="session")
def images(engine: Engine) -> Images:
    """The platform's images, built if they are missing or stale."""
    return engine_images.ensure(engine, os.environ.get("LABKIT_PLATFORM", "auto"), Silent())


@pytest.fixture(scope="session")
def node_image(images: Images) -> str:
    """The node image's digest."""
    return images.node


@pytest.fixture(scope="session")
def running(engine: Engine) -> Running:
    """Makes containers that are alone: without a network unless the options say otherwise."""

    @contextmanager
    def run(image: str, start: bool = True, **options: Any) -> Iterator[Container]:
        wanted = {"network_mode": "none", "labels": engine.labels(LAB, "node"), **options}
        container = Container(engine.client.containers.create(image, **wanted))
        try:
            if start:
                container.start()
            yield container
        finally:
            container.remove()

    return run
