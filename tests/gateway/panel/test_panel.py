"""The panel, as a person uses it, in a real browser."""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver.common.keys import Keys

from namel3ss.gateway.store import Books, Store
from namel3ss.gateway.usage import Usage, UsageEvent
from tests.gateway.administration.office import PASSWORD
from tests.gateway.administration.test_activity import CHAT, PROMPT
from tests.gateway.panel.visitor import PHONE, WIDE
from tests.support.scripted_server import Gate, document

if TYPE_CHECKING:
    import httpx

    from tests.gateway.administration.office import Office
    from tests.gateway.panel.visitor import Visitor

pytestmark = pytest.mark.long

SECTIONS = ("live", "servers", "usage", "keys", "users", "whitelist", "audit", "configuration")


def test_a_wrong_key_is_refused_and_the_right_one_opens_the_panel(visitor: Visitor, office: Office) -> None:
    visitor.see("#login-key").send_keys("n3k_wrong", Keys.ENTER)
    visitor.wait_to_read("typing mistake", "#login-error")

    visitor.log_in_with_key(office.key)

    visitor.wait_to_read("Nothing is waiting, nothing is running.")
    assert visitor.read("#gateway-name") == "team"
    assert visitor.do("return document.cookie") == "", "scripts cannot see the session"


def test_a_person_logs_in_with_a_password_stays_in_after_a_reload_and_logs_out(
    visitor: Visitor, office: Office
) -> None:
    office.user("grace", password=PASSWORD, scopes=["admin"])
    visitor.log_in_with_password("grace", "wrong password")
    visitor.wait_to_read("The user or the password is wrong.", "#login-error")

    visitor.see("#login-password").send_keys(PASSWORD, Keys.ENTER)
    visitor.wait_to_read("grace", ".who")
    visitor.driver.refresh()
    visitor.wait_to_read("grace", ".who")
    visitor.press("Log out")

    visitor.see("#login")
    visitor.driver.refresh()
    visitor.see("#login")


def test_who_is_put_out_sees_the_login_again(visitor: Visitor, office: Office) -> None:
    office.user("linus")
    made = office.post("/api/keys", {"user": "linus", "scopes": ["admin"]}).json()
    visitor.log_in_with_key(made["secret"])

    office.send("DELETE", f"/api/keys/{made['key']['id']}")

    visitor.wait_to_read("You are no longer logged in.", "#login-error")


def test_requests_appear_and_are_cancelled(administrator: Visitor, office: Office) -> None:
    gate = Gate()
    office.upstream.on("/api/chat", [gate])
    keys = {user: office.gateway.key(user) for user in ("ada", "bob")}

    def chat(user: str) -> httpx.Response:
        return office.main("POST", "/api/chat", CHAT, key=keys[user])

    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(chat, "ada")
        gate.arrived.wait()
        administrator.wait_to_read("ada", "#view")
        waiting = threads.submit(chat, "bob")
        administrator.wait_to_read("next", "#view")
        shown = administrator.read()
        administrator.click("button[aria-label='Cancel the request of bob']")
        administrator.press("Cancel request", within="dialog")
        refused = waiting.result()
        administrator.click("button[aria-label='Cancel the request of ada']")
        administrator.press("Cancel request", within="dialog")
        running.result()
    administrator.wait_to_read("Nothing is waiting, nothing is running.")

    assert refused.headers["x-namel3ss-error"] == "cancelled"
    assert re.search(r"started\s+ada\s+127\.0\.0\.1\s+tiny\s+default\s+priority 7", shown)
    assert PROMPT not in shown


def test_a_user_and_a_key_are_made_and_the_key_is_shown_once(administrator: Visitor, office: Office) -> None:
    administrator.go_to("users")
    administrator.press("New user")
    administrator.fill(name="margaret", **{"class": "coding"})
    administrator.press("Create user", within="dialog")
    administrator.wait_to_read("margaret is created.")

    administrator.go_to("keys")
    administrator.press("New key")
    administrator.fill(user="margaret", label="editor", models="tiny, chat_model", **{"class": "coding"})
    administrator.press("Create key", within="dialog")
    secret = administrator.read("#secret")
    administrator.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert administrator.read("#secret") == secret, "a stray Escape loses nothing"
    administrator.press("I have stored it")
    administrator.wait_to_read("editor", "#view")

    me = office.main("GET", "/auth/me", key=secret).json()
    assert (me["user"], me["class"], me["models"]) == ("margaret", "coding", ["chat_model"])
    assert secret not in administrator.driver.page_source

    administrator.press("Revoke", row="editor")
    administrator.press("Revoke key", within="dialog")
    administrator.wait_to_read("is revoked.")
    assert office.main("GET", "/auth/me", key=secret).status_code == 401


def test_what_is_wrong_with_a_form_is_said_in_it_and_nothing_is_lost(administrator: Visitor) -> None:
    administrator.go_to("users")
    administrator.press("New user")
    administrator.fill(name="admin")
    administrator.press("Create user", within="dialog")

    administrator.wait_to_read("There is a user 'admin' already.", "dialog")

    assert administrator.see("dialog [name=name]").get_attribute("value") == "admin"
    administrator.press("Cancel", within="dialog")
    assert administrator.count("dialog") == 0


def test_a_server_is_drained_and_used_again(administrator: Visitor) -> None:
    administrator.go_to("servers")
    administrator.wait_to_read("team.ai:2:8", "#view")

    administrator.press("Drain", row="gpu1")
    administrator.wait_to_read("an administrator drains it", "#view")
    administrator.press("Use again", row="gpu1")

    administrator.wait(lambda: "drained" not in administrator.read())


def test_a_stored_server_is_added_and_removed(administrator: Visitor, office: Office) -> None:
    administrator.go_to("servers")
    administrator.press("Add server")
    administrator.fill(name="gpu2", base_url=office.upstream.url, slots="3")
    administrator.press("Add server", within="dialog")
    administrator.wait_to_read("gpu2 is added.")

    administrator.press("Remove", row="gpu2")
    administrator.press("Remove server", within="dialog")

    administrator.wait(lambda: "gpu2" not in administrator.read())


def test_an_address_is_added_and_removed(administrator: Visitor) -> None:
    administrator.go_to("whitelist")
    administrator.wait_to_read("in the file", "#view")
    administrator.press("Add address")
    administrator.fill(network="10.9.0.0/16", note="the lab", **{"class": "batch"})
    administrator.press("Add address", within="dialog")
    administrator.wait_to_read("the lab", "#view")

    administrator.press("Remove", row="the lab")
    administrator.press("Remove address", within="dialog")

    administrator.wait(lambda: "the lab" not in administrator.read())


def use(office: Office, user: str, model: str = "tiny") -> None:
    """Put one request into the books."""
    event = UsageEvent(
        at=time.time(),
        request_id="r1",
        user=user,
        key_id="k",
        class_name="default",
        model=model,
        server="gpu1",
        route="/api/chat",
        outcome="ok",
        status=200,
        usage=Usage(1200, 300),
        wait_s=0.1,
        first_token_s=0.1,
        duration_s=1.0,
    )
    plan = office.gateway.gateway.plan

    async def record() -> None:
        async with (
            await Store.open(plan.settings.database, plan.path.parent, timeout_s=10.0) as store,
            Books(store, streams_per_user=1) as books,
        ):
            books.record(event)

    asyncio.run(record())


def test_usage_is_drawn_and_listed(administrator: Visitor, office: Office) -> None:
    use(office, "barbara")

    administrator.go_to("usage")

    administrator.wait_to_read("barbara", "#view")
    shown = administrator.read()
    assert re.search(r"barbara\s+tiny\s+1\s+0\s+0\s+1,200\s+300", shown)
    assert administrator.count("svg.columns .column") == 30
    today = administrator.do("return document.querySelector('.column:last-child title').textContent")
    assert re.search(r": [\d,]+ prompt tokens, [\d,]+ completion tokens$", today)
    administrator.click("#view .choice label:first-child")
    administrator.wait(lambda: administrator.count("svg.columns .column") == 7)


def test_every_section_fits_a_desk_and_a_phone_and_asks_nobody_else(
    administrator: Visitor, office: Office
) -> None:
    for size in (WIDE, PHONE):
        administrator.look_through(size)
        for section in SECTIONS:
            administrator.go_to(section)
            administrator.wait(lambda: administrator.count("#view .skeleton") == 0)
            overflow = administrator.do("return document.documentElement.scrollWidth - window.innerWidth")
            assert overflow <= 0, (size, section)

    asked = administrator.do("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert asked
    assert all(name.startswith(office.url) for name in asked)


def test_a_lost_connection_is_told_and_mended(administrator: Visitor) -> None:
    administrator.wait_to_read("Live", "#connection")

    administrator.be_offline(True)
    administrator.wait_to_read("Connection lost", "#connection")
    administrator.wait_to_read("What is shown is from before", "#lost")
    administrator.be_offline(False)
    administrator.press("Try now")

    administrator.wait(lambda: administrator.count("#lost") == 0)
    # The failed polls are in the browser's log, and meant to be.
    assert all("ERR_INTERNET_DISCONNECTED" in each for each in administrator.complaints())


def test_a_section_that_cannot_be_loaded_says_so_and_is_tried_again(administrator: Visitor) -> None:
    administrator.be_offline(True)
    administrator.click('nav a[href="#audit"]')
    administrator.wait_to_read("The gateway does not answer.", "#view")
    administrator.be_offline(False)

    administrator.press("Try again")

    administrator.wait_to_read("key.first", "#view")
    assert all("ERR_INTERNET_DISCONNECTED" in each for each in administrator.complaints())


def test_the_keyboard_reaches_everything_and_escape_leaves_a_dialog(administrator: Visitor) -> None:
    administrator.go_to("users")
    reached = set()
    for _ in range(30):
        administrator.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(administrator.do("return document.activeElement.textContent"))
    assert {"Live", "Audit", "Log out", "New user", "Set password", "Disable"} <= reached

    administrator.press("New user")
    administrator.see("dialog [name=name]").send_keys(Keys.ESCAPE)
    administrator.wait(lambda: administrator.count("dialog") == 0)


PAYLOADS = (
    '<img src=x onerror="window.broken=1">',
    "<script>window.broken=1</script>",
    '"><svg onload=window.broken=1>',
    "javascript:window.broken=1",
    "${window.broken=1}{{window.broken=1}}",
)


@pytest.mark.security(33)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_others_write_is_shown_as_text(administrator: Visitor, office: Office, payload: str) -> None:
    """Names of models, labels, notes, users of the books, a server's own words, and errors."""
    name = f"user{PAYLOADS.index(payload)}"
    office.user(name)
    assert office.post("/api/keys", {"user": name, "label": payload}).status_code == 201
    network = f"10.20.{PAYLOADS.index(payload)}.0/24"
    office.post("/api/whitelist", {"class": "batch", "network": network, "note": payload})
    use(office, payload, payload)
    office.upstream.on("/api/version", document({"version": payload}))
    office.upstream.on("/api/ps", document({"models": [{"name": payload, "model": payload}]}))
    office.post("/api/servers", {"name": name, "base_url": office.upstream.url})

    for section in ("live", "servers", "usage", "keys", "whitelist", "audit"):
        administrator.go_to(section)
        administrator.wait(lambda: administrator.count("#view .skeleton") == 0)
        if section in ("usage", "keys", "whitelist"):
            administrator.wait_to_read(payload, "#view")
        assert administrator.count("#view img, #view script, #view iframe, #view a[href^=javascript]") == 0
    administrator.go_to("users")
    administrator.press("New user")
    administrator.fill(name=payload)
    administrator.press("Create user", within="dialog")
    administrator.see("dialog .problem")

    assert administrator.do("return window.broken") is None
    office.send("DELETE", f"/api/servers/{name}")


@pytest.mark.security(33)
def test_the_browser_itself_refuses_what_the_policy_forbids(administrator: Visitor) -> None:
    administrator.do(
        """
        const script = document.createElement("script");
        script.textContent = "window.broken = 1";
        document.body.append(script);
        const image = document.createElement("div");
        image.innerHTML = "<img src='x' onerror='window.broken = 1'>";
        document.body.append(image);
        """
    )

    administrator.wait(lambda: any("Content Security Policy" in each for each in administrator.complaints()))
    assert administrator.do("return window.broken") is None
    administrator.driver.refresh()
    administrator.see("#app")
    administrator.complaints()
