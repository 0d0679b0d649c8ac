"""A real browser in front of a gateway, both for a whole module."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.gateway.administration.office import open_office
from tests.gateway.panel.visitor import Visitor, start_browser
from tests.support.leftovers import nothing_left_behind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.gateway.administration.office import Office

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
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
    with open_office(tmp_path_factory.mktemp("office"), SETTINGS) as office:
        yield office


@pytest.fixture(scope="module")
def browser_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("there is no Chromium with its driver here: install `chromium` and `chromium-driver`")
    with start_browser(
        CHROMIUM, DRIVER, tmp_path_factory.mktemp("browser"), is_root=os.geteuid() == 0
    ) as driver:
        yield Visitor(driver)


@pytest.fixture
def visitor(browser_of_module: Visitor, office: Office) -> Iterator[Visitor]:
    """Somebody who has not been here yet. Whatever the browser complained of in the end fails the test."""
    browser_of_module.arrive(office.url)
    yield browser_of_module
    complaints = browser_of_module.complaints()
    browser_of_module.leave()
    assert complaints == []


@pytest.fixture
def administrator(visitor: Visitor, office: Office) -> Visitor:
    """Logged in."""
    visitor.log_in_with_key(office.key)
    return visitor
