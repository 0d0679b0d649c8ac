"""What a person does with the panel, in a headless Chromium."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

__all__ = ["PHONE", "WIDE", "Visitor", "start_browser"]

PATIENCE_S: Final = 30.0
WIDE: Final = (1280, 800)
PHONE: Final = (390, 844)

_FLAGS: Final = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip

_PRESS: Final = """
    const [label, within, row] = arguments;
    const found = [...document.querySelectorAll(`${within} button`)].find(
        (each) =>
            each.textContent === label && !each.disabled && each.offsetParent !== null &&
            (!row || each.closest("tr")?.textContent.includes(row)),
    );
    found?.click();
    return found !== undefined;
"""


@contextlib.contextmanager
def start_browser(chromium: str, driver: str, folder: Path, *, is_root: bool) -> Iterator[Chrome]:
    """A browser with nothing of anybody's in it, whose files are all in that folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    if is_root:
        # Chromium refuses to run as root with its sandbox; whoever tests in a container usually is.
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(executable_path=driver, env={**os.environ, "TMPDIR": str(folder), "HOME": str(folder)})
    browser = webdriver.Chrome(options=options, service=service)
    try:
        yield browser
    finally:
        browser.quit()


class Visitor:
    """One person at the panel. What is looked for may take a moment to come."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    # -- coming and going --------------------------------------------------------------------------------------

    def arrive(self, url: str) -> None:
        """Open the panel for the first time."""
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.look_through(WIDE)
        self.driver.get("about:blank")
        self.complaints()
        self.driver.get(url)
        self.see("#login-key")

    def leave(self) -> None:
        """Go elsewhere: nothing is asked any more."""
        self.driver.get("about:blank")

    def log_in_with_key(self, key: str) -> None:
        self.see("#login-key").send_keys(key, Keys.ENTER)
        self.see("#app")

    def log_in_with_password(self, user: str, password: str) -> None:
        self.click("#login-way label:last-child")
        self.see("#login-user").send_keys(user, Keys.TAB, password, Keys.ENTER)

    def go_to(self, section: str) -> None:
        self.click(f'nav a[href="#{section}"]')
        self.wait(lambda: self.see("#view h1").text.lower() == section)

    def look_through(self, size: tuple[int, int]) -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def be_offline(self, is_offline: bool) -> None:
        conditions = {"offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)

    # -- looking and doing -------------------------------------------------------------------------------------

    def wait(self, holds: Callable[[], object]) -> None:
        WebDriverWait(self.driver, PATIENCE_S, poll_frequency=0.02).until(lambda _: holds())

    def see(self, selector: str) -> WebElement:
        """The first element of that kind which can be seen."""
        found: list[WebElement] = []

        def look() -> bool:
            found[:] = [
                each for each in self.driver.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()
            ]
            return bool(found)

        self.wait(look)
        return found[0]

    def count(self, selector: str) -> int:
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def click(self, selector: str) -> None:
        self.see(selector)
        self.do(f"document.querySelector({selector!r}).click()")

    def press(self, label: str, *, within: str = "body", row: str = "") -> None:
        """Press the button with that text; where a `row` is named, the one of the table's row with that text."""

        def pressed() -> bool:
            done: bool = self.do(_PRESS, label, within, row)
            return done

        self.wait(pressed)

    def fill(self, **fields: str) -> None:
        """Write into the fields of the open dialog."""
        for name, value in fields.items():
            field = self.see(f"dialog [name={name}]")
            if field.tag_name == "select":
                Select(field).select_by_value(value)
            else:
                field.clear()
                field.send_keys(value)

    def read(self, selector: str = "#view") -> str:
        return self.see(selector).text

    def wait_to_read(self, text: str, selector: str = "body") -> None:
        self.wait(lambda: text in self.driver.find_element(By.CSS_SELECTOR, selector).text)

    def do(self, script: str, *given: object) -> Any:
        return self.driver.execute_script(script, *given)

    def complaints(self) -> list[str]:
        """What the browser complained of: broken scripts, what the page's policy forbade. Refusals are meant."""
        entries = self.driver.get_log("browser")
        return [
            entry["message"]
            for entry in entries
            if "responded with a status of 4" not in entry["message"] and entry["level"] != "DEBUG"
        ]
