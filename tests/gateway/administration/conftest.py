from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gateway.administration.office import open_office
from tests.support.leftovers import nothing_left_behind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.gateway.administration.office import Office

SETTINGS = """
    priorities: { coding: 0, chat: 5, default: 7, batch: 9 }
    whitelist: { batch: ["10.1.0.0/16"] }
"""


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> None:
    """An office lives for a module, and its connections to its servers come and go: the module leaves nothing behind."""


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_behind_by_module(_private_environment: None) -> Iterator[None]:
    with nothing_left_behind():
        yield


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """For tests that leave each other alone: each has users, keys and servers of its own."""
    with open_office(tmp_path_factory.mktemp("office"), SETTINGS) as office:
        yield office


@pytest.fixture
def own_office(tmp_path: Path) -> Iterator[Office]:
    """For tests of what is counted or listed over everybody."""
    with open_office(tmp_path, SETTINGS) as office:
        yield office
