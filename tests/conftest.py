"""Which process runs a test; see processes."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.processes import scope


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """pytest-xdist's own groups do not work with this pytest, so its scheduler is told the scopes."""
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = scope
    return scheduler
