from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gateway.administration.office import open_office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.gateway.administration.office import Office

SETTINGS = """
    priorities: { coding: 0, chat: 5, default: 7, batch: 9 }
    whitelist: { batch: ["10.1.0.0/16"] }
"""


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
