"""Who gets at the administration address, and what a browser can be made to do there."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from namel3ss.declarations.gateway_settings import GatewaySettings
from namel3ss.gateway.administration.guard import CONTENT_POLICY
from namel3ss.gateway.principal import Scope
from tests.gateway.administration.office import PASSWORD, open_office

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.gateway.administration.office import Browser, Office

TRANSCRIPTS = "/api/transcripts"
ALL_OPERATIONS = [
    ("GET", "/api/users"),
    ("POST", "/api/users"),
    ("PATCH", "/api/users/ada"),
    ("DELETE", "/api/users/ada"),
    ("GET", "/api/keys"),
    ("POST", "/api/keys"),
    ("POST", "/api/keys/x/rotate"),
    ("DELETE", "/api/keys/x"),
    ("GET", "/api/classes"),
    ("GET", "/api/whitelist"),
    ("POST", "/api/whitelist"),
    ("DELETE", "/api/whitelist"),
    ("GET", "/api/servers"),
    ("POST", "/api/servers"),
    ("DELETE", "/api/servers/gpu1"),
    ("POST", "/api/servers/gpu1/drain"),
    ("POST", "/api/servers/gpu1/undrain"),
    ("POST", "/api/servers/gpu1/enable"),
    ("POST", "/api/servers/gpu1/disable"),
    ("GET", "/api/overview"),
    ("GET", "/api/queue"),
    ("DELETE", "/api/queue/x"),
    ("GET", "/api/usage"),
    ("GET", "/api/audit"),
    ("GET", TRANSCRIPTS),
    ("DELETE", TRANSCRIPTS),
    ("DELETE", "/api/users/ada/transcripts"),
    ("GET", "/api/configuration"),
    ("GET", "/openapi.json"),
    ("GET", "/api/unknown"),
    ("GET", "/api/session"),
    ("DELETE", "/api/session"),
]


def reason(answer: httpx.Response) -> str:
    said: str = answer.json()["error"]["reason"]
    return said


@pytest.fixture
def browser(office: Office) -> Browser:
    """Logged in with the administrator's key."""
    browser = office.browser()
    assert browser.log_in(key=office.key).status_code == 200
    return browser


@pytest.mark.security(1, 31)
def test_every_operation_wants_an_administrator(office: Office) -> None:
    users_key = office.gateway.key("plain", Scope.USE, Scope.OPERATOR, Scope.MODELS_WRITE)
    documented = {
        (method.upper(), re.sub(r"\{\w+\}", "x", path))
        for path, methods in office.get("/openapi.json").json()["paths"].items()
        for method in methods
    }

    for method, path in ALL_OPERATIONS:
        nobody = office.client.request(method, path)
        wrong = office.client.request(method, path, headers={"authorization": "Bearer n3k_wrong"})
        user = office.client.request(method, path, headers={"authorization": f"Bearer {users_key}"})
        assert (nobody.status_code, reason(nobody)) == (401, "no_key"), path
        assert (wrong.status_code, reason(wrong)) == (401, "bad_key"), path
        assert (user.status_code, reason(user)) == (403, "forbidden"), path

    tried = {(method, re.sub(r"/(ada|gpu1)\b", "/x", path)) for method, path in ALL_OPERATIONS}
    assert documented <= tried | {("POST", "/api/session")}


@pytest.mark.security(31)
def test_administration_listens_on_this_machine_alone_unless_the_file_says_otherwise(office: Office) -> None:
    assert GatewaySettings().admin_listen.is_loopback
    assert urlsplit(office.url).port != urlsplit(office.gateway.url).port
    # What is not listened on refuses the connection, so nothing is left open here.
    own = socket.gethostbyname(socket.gethostname())
    if not own.startswith("127."):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((own, urlsplit(office.url).port), timeout=5).close()


@pytest.mark.security(31)
def test_there_is_no_default_password(own_office: Office) -> None:
    users = own_office.get("/api/users").json()["users"]

    assert [(user["name"], user["has_password"]) for user in users] == [("admin", False)]
    answer = own_office.browser().send("POST", "/api/session", {"user": "admin", "password": "admin"})
    assert (answer.status_code, reason(answer)) == (401, "login_failed")


@pytest.mark.security(17)
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", ""])
def test_another_host_is_not_served(office: Office, host: str) -> None:
    for path in ("/", "/metrics", "/api/users"):
        assert office.client.get(path, headers={"host": host}).status_code in (400, 421)


@pytest.mark.security(15)
def test_an_address_that_is_not_allowed_is_refused_before_its_key(tmp_path: Path) -> None:
    with open_office(tmp_path, 'allow_addresses: ["10.0.0.0/8"]') as office:
        answers = [office.get(path) for path in ("/", "/metrics", "/api/users", "/panel/panel.js")]

    assert {(answer.status_code, reason(answer)) for answer in answers} == {(403, "address_not_allowed")}


@pytest.mark.security(32)
def test_a_browser_changes_something_only_with_the_token_of_its_session(
    office: Office, browser: Browser
) -> None:
    with_token = browser.send("POST", "/api/users", {"name": "ada"})
    browser.csrf_token = None
    without = browser.send("POST", "/api/users", {"name": "bob"})
    wrong = browser.send("POST", "/api/users", {"name": "bob"}, **{"x-csrf-token": "guessed"})

    assert with_token.status_code == 201
    assert [answer.status_code for answer in (without, wrong)] == [403, 403]
    assert "bob" not in office.get("/api/users").text


@pytest.mark.security(32)
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_sites_page_can_have_a_browser_change_nothing(
    browser: Browser, headers: dict[str, str]
) -> None:
    assert browser.send("POST", "/api/users", {"name": "bob"}, **headers).status_code == 403
    assert browser.send("DELETE", "/api/session", **headers).status_code == 403
    assert browser.get("/api/session").status_code == 200


@pytest.mark.security(32)
def test_another_sites_page_cannot_log_a_browser_in(office: Office) -> None:
    stranger = office.browser()

    answer = stranger.send("POST", "/api/session", {"key": office.key}, origin="https://evil.example")

    assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)


@pytest.mark.security(32)
def test_a_form_of_another_site_is_no_json(office: Office) -> None:
    body = json.dumps({"key": office.key})
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = office.client.post("/api/session", content=body, headers={"content-type": content_type})
        assert answer.status_code == 415


@pytest.mark.security(32)
def test_the_cookie_is_for_this_site_and_not_for_scripts(office: Office) -> None:
    cookie = office.browser().log_in(key=office.key).headers["set-cookie"]

    assert re.match(r"namel3ss=[\w-]{43}; ", cookie)
    flags = {flag.strip().lower() for flag in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert not any(flag.startswith("domain") for flag in flags)


@pytest.mark.security(32)
def test_over_tls_the_cookie_is_for_this_host_and_tls_alone(tmp_path: Path) -> None:
    with open_office(tmp_path, 'trusted_proxies: ["127.0.0.1"]') as office:
        answer = office.browser().send(
            "POST", "/api/session", {"key": office.key}, **{"x-forwarded-proto": "https"}
        )
        plain = office.browser().send("POST", "/api/session", {"key": office.key})

    assert answer.headers["set-cookie"].startswith("__Host-namel3ss=")
    assert "; Secure" in answer.headers["set-cookie"]
    assert "; Secure" not in plain.headers["set-cookie"]


def test_nobody_but_a_trusted_proxy_says_that_it_was_tls(office: Office) -> None:
    answer = office.browser().send(
        "POST", "/api/session", {"key": office.key}, **{"x-forwarded-proto": "https"}
    )

    assert answer.headers["set-cookie"].startswith("namel3ss=")


@pytest.mark.security(32)
def test_nothing_is_changed_by_a_get(office: Office) -> None:
    before = office.get("/api/audit").json()
    for _, path in ALL_OPERATIONS:
        if path not in ("/api/session", TRANSCRIPTS):  # who reads what others said is written down
            office.get(path)
            office.client.head(path, headers={"authorization": f"Bearer {office.key}"})

    assert office.get("/api/audit").json() == before


@pytest.mark.security(34)
def test_logging_in_never_takes_over_a_cookie_that_was_brought_along(office: Office) -> None:
    planted = "A" * 43

    answer = office.browser().send("POST", "/api/session", {"key": office.key}, cookie=f"namel3ss={planted}")

    assert answer.status_code == 200
    assert planted not in answer.headers["set-cookie"]
    with_planted = office.client.get("/api/session", headers={"cookie": f"namel3ss={planted}"})
    assert with_planted.status_code == 401


@pytest.mark.security(34)
def test_logging_in_again_ends_the_session_before(office: Office, browser: Browser) -> None:
    old = browser.client.cookies["namel3ss"]

    browser.log_in(key=office.key)

    assert office.client.get("/api/session", headers={"cookie": f"namel3ss={old}"}).status_code == 401
    assert browser.get("/api/session").status_code == 200


@pytest.mark.security(34)
def test_after_logging_out_the_cookie_is_worth_nothing(office: Office, browser: Browser) -> None:
    cookie = browser.client.cookies["namel3ss"]

    answer = browser.send("DELETE", "/api/session")

    assert answer.status_code == 204
    assert 'namel3ss=""' in answer.headers["set-cookie"]
    assert office.client.get("/api/session", headers={"cookie": f"namel3ss={cookie}"}).status_code == 401


@pytest.mark.security(6, 34)
def test_a_session_ends_with_the_key_that_opened_it(office: Office) -> None:
    office.user("linus")
    made = office.post("/api/keys", {"user": "linus", "scopes": ["admin"]}).json()
    browser = office.browser()
    browser.log_in(key=made["secret"])

    office.send("DELETE", f"/api/keys/{made['key']['id']}")

    assert browser.get("/api/users").status_code == 401


@pytest.mark.security(34)
def test_a_session_ends_when_its_user_is_disabled_or_gets_another_password(office: Office) -> None:
    for name, change in (("ken", {"enabled": False}), ("hedy", {"password": "another long password"})):
        office.user(name, scopes=["admin"], password=PASSWORD)
        browser = office.browser()
        assert browser.log_in(user=name, password=PASSWORD).status_code == 200

        office.send("PATCH", f"/api/users/{name}", change)

        assert browser.get("/api/users").status_code == 401


def test_a_person_who_is_no_administrator_is_not_let_into_the_panel(office: Office) -> None:
    office.user("grace", password=PASSWORD)

    answer = office.browser().send("POST", "/api/session", {"user": "grace", "password": PASSWORD})

    assert (answer.status_code, reason(answer)) == (403, "forbidden")
    assert "set-cookie" not in answer.headers
    closed = [entry for entry in office.get("/api/audit").json()["entries"] if entry["actor"] == "grace"]
    assert [entry["action"] for entry in closed] == ["session.close", "session.open"]


def test_an_administrators_key_is_good_only_from_its_addresses(office: Office) -> None:
    office.user("radia")
    key = office.post("/api/keys", {"user": "radia", "scopes": ["admin"], "networks": ["10.0.0.0/8"]}).json()[
        "secret"
    ]

    answer = office.client.get("/api/users", headers={"authorization": f"Bearer {key}"})

    assert (answer.status_code, reason(answer)) == (403, "address_not_allowed")


@pytest.mark.security(33)
def test_every_answer_forbids_what_a_page_has_no_need_of(office: Office) -> None:
    for path in ("/", "/panel/panel.js", "/api/users", "/api/nothing", "/metrics", "/openapi.json"):
        for answer in (office.get(path), office.client.get(path)):
            headers = answer.headers
            assert headers["content-security-policy"] == CONTENT_POLICY
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cache-control"] in ("no-store", "no-cache")
    assert "unsafe" not in CONTENT_POLICY
    assert CONTENT_POLICY.startswith("default-src 'self';")


@pytest.mark.security(33)
def test_the_page_has_nothing_inline_and_nothing_from_elsewhere(office: Office) -> None:
    page = office.get("/").text

    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", page)
    linked = set(re.findall(r'(?:src|href)="([^"#]+)"', page))
    for name in sorted(linked):
        assert name.startswith("/"), name
        text = office.get(name).text
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg|10\.0\.0\.5)", text), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), name


def test_a_part_that_the_browser_has_is_not_sent_again(office: Office) -> None:
    first = office.get("/panel/panel.css")

    again = office.client.get("/panel/panel.css", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/panel/../guard.py", "/panel/%2e%2e/guard.py", "/panel//panel.js", "/panel/"]
)
def test_only_the_panels_own_files_are_served(office: Office, path: str) -> None:
    with socket.create_connection((urlsplit(office.url).hostname, urlsplit(office.url).port)) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
        status = raw.makefile("rb").readline()

    assert b" 401 " in status or b" 404 " in status or b" 400 " in status


def test_a_known_path_with_another_method_is_405(office: Office) -> None:
    for method, path, allowed in (("PUT", "/api/users", "GET, HEAD, POST"), ("POST", "/", "GET, HEAD")):
        answer = office.send(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_metrics_are_read_from_this_machine_without_a_key_and_through_a_proxy_with_one(
    office: Office,
) -> None:
    local = office.client.get("/metrics")
    proxied = office.client.get("/metrics", headers={"x-forwarded-for": "198.51.100.7"})
    with_key = office.client.get(
        "/metrics", headers={"x-forwarded-for": "198.51.100.7", "authorization": f"Bearer {office.key}"}
    )

    assert "namel3ss_gateway_server_up" in local.text
    assert (proxied.status_code, with_key.status_code) == (401, 200)
