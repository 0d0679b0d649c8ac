from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gateway.administration.office import open_office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.gateway.administration.office import Office

SETTINGS = """
    priorities: { coding: 0, chat: 5, batch: 9 }
    whitelist: { batch: ["10.1.0.0/16"] }
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with open_office(tmp_path, SETTINGS) as office:
        yield office
