"""Logging in with a password, at the main address and at the panel."""

from __future__ import annotations

import base64
import ipaddress
import json
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.gateway.administration.attempts import (
    PER_ADDRESS,
    PER_USER_AND_ADDRESS,
    WINDOW_S,
    LoginAttempts,
)
from namel3ss.gateway.administration.panel_sessions import IDLE_S, LONGEST_S, PanelSessions
from namel3ss.gateway.errors import Refusal
from tests.gateway.administration.office import PASSWORD
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    import httpx

    from tests.gateway.administration.office import Office

HERE = ipaddress.ip_address("192.0.2.1")
THERE = ipaddress.ip_address("192.0.2.2")


def log_in(office: Office, user: str, password: str) -> httpx.Response:
    return office.main("POST", "/auth/login", {"user": user, "password": password})


def test_a_person_logs_in_asks_who_they_are_and_logs_out(office: Office) -> None:
    office.user("ada", password=PASSWORD, scopes=["use", "operator"])

    session = log_in(office, "ada", PASSWORD).json()
    me = office.main("GET", "/auth/me", key=session["token"]).json()
    out = office.main("POST", "/auth/logout", {}, key=session["token"])
    after = office.main("GET", "/auth/me", key=session["token"])

    assert session["token_type"] == "Bearer"
    assert (me["user"], me["scopes"], me["class"]) == ("ada", ["operator", "use"], "default")
    assert me["expires_at"] == session["expires_at"]
    assert (out.status_code, after.status_code) == (200, 401)


@pytest.mark.security(8)
def test_what_was_wrong_with_a_login_is_not_said(own_office: Office) -> None:
    own_office.user("ada", password=PASSWORD)
    own_office.user("without-password")

    answers = [
        log_in(own_office, user, password)
        for user, password in (
            ("ada", "wrong password"),
            ("nobody", PASSWORD),
            ("without-password", PASSWORD),
            ("ada' or '1'='1", PASSWORD),
            ("ada\0", PASSWORD),
        )
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.security(8)
def test_too_many_attempts_are_refused_before_the_password_is_looked_at(own_office: Office) -> None:
    own_office.user("ada", password=PASSWORD)

    wrong = [log_in(own_office, "ada", "wrong password").status_code for _ in range(PER_USER_AND_ADDRESS)]
    right = log_in(own_office, "ada", PASSWORD)
    at_the_panel = own_office.browser().log_in(user="ada", password=PASSWORD)

    assert wrong == [401] * PER_USER_AND_ADDRESS
    assert right.status_code == at_the_panel.status_code == 429
    assert 0 < int(right.headers["retry-after"]) <= WINDOW_S


@pytest.mark.security(4, 8)
@pytest.mark.parametrize(
    "document",
    [
        {},
        {"user": "ada"},
        {"user": "ada", "password": PASSWORD, "scopes": ["admin"]},
        {"user": ["ada"], "password": PASSWORD},
        {"user": "a" * 65, "password": PASSWORD},
        {"user": "ada", "password": "x" * 1025},
        [],
    ],
)
def test_a_login_takes_a_user_and_a_password_and_nothing_else(office: Office, document: object) -> None:
    assert office.main("POST", "/auth/login", document).status_code == 422


def test_a_key_cannot_be_logged_out(office: Office) -> None:
    answer = office.main("POST", "/auth/logout", {}, key=office.key)

    assert answer.status_code == 400
    assert office.main("GET", "/auth/me", key=office.key).status_code == 200


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


CLAIMS: dict[str, Any] = {"sub": "admin", "scope": "admin", "iss": "namel3ss", "aud": "gateway", "exp": 4e9}
HEADERS: list[dict[str, Any]] = [
    {"alg": "none"},
    {"alg": "None", "typ": "JWT"},
    {"alg": "HS256", "typ": "JWT"},
    {"alg": "RS256", "kid": "../../../../dev/null"},
    {"alg": "HS256", "kid": "' union select 'key"},
    {"alg": "HS256", "kid": "http://127.0.0.1:9/key"},
    {"alg": "RS256", "jku": "http://127.0.0.1:9/keys"},
    {"alg": "RS256", "x5u": "http://127.0.0.1:9/chain"},
    {"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}},
]


@pytest.mark.security(12)
def test_no_json_web_token_is_ever_a_key(office: Office) -> None:
    tokens = [
        f"{part(header)}.{part(CLAIMS)}.{signature}" for header in HEADERS for signature in ("", "c2ln")
    ]
    tokens.append(f"{part(HEADERS[0])}.{part(CLAIMS | {'pad': 'x' * 5000})}.")

    for token in tokens:
        for answer in (
            office.main("GET", "/auth/me", key=token),
            office.main("GET", "/auth/me", headers={"x-api-key": token}),
            office.client.get("/api/users", headers={"authorization": f"Bearer {token}"}),
            office.browser().send("POST", "/api/session", {"key": token[:200]}),
        ):
            assert answer.status_code in (401, 431), token[:80]


@pytest.mark.security(34)
def test_a_panel_session_ends_when_it_is_idle_and_in_any_case_after_half_a_day() -> None:
    clock = ManualClock()
    sessions = PanelSessions(clock=clock)
    idle, _ = sessions.open("token")
    used, _ = sessions.open("token")
    watched, _ = sessions.open("token")

    clock.advance(IDLE_S - 1)
    assert sessions.find(used) is not None
    assert sessions.find(watched, is_background=True) is not None
    clock.advance(2)

    assert sessions.find(idle) is None
    assert sessions.find(watched, is_background=True) is None, "a page that polls is not a person"
    for _ in range(int(LONGEST_S / IDLE_S)):
        sessions.find(used)
        clock.advance(IDLE_S - 10)
    sessions.find(used)
    clock.advance(IDLE_S - 10)
    assert sessions.find(used) is None
    assert len(sessions) == 0


def test_panel_sessions_are_bounded_and_show_no_secret() -> None:
    sessions = PanelSessions(clock=ManualClock())

    opened = [sessions.open(f"n3k_secret{number}") for number in range(1_001)]

    assert len(sessions) == 1_000
    assert sessions.find(opened[0][0]) is None
    assert "secret" not in repr(opened[-1][1])
    assert opened[-1][1].csrf_token not in repr(opened[-1][1])


@pytest.mark.security(8)
def test_attempts_are_counted_by_user_and_address_and_by_address() -> None:
    clock = ManualClock()
    attempts = LoginAttempts(clock=clock)

    for _ in range(PER_USER_AND_ADDRESS):
        attempts.begin("ada", HERE)

    with pytest.raises(Refusal, match="too many attempts"):
        attempts.begin("ada", HERE)
    attempts.begin("ada", THERE)
    for number in range(PER_ADDRESS - PER_USER_AND_ADDRESS):
        attempts.begin(f"user{number}", HERE)
    with pytest.raises(Refusal, match="too many attempts"):
        attempts.begin("another", HERE)
    clock.advance(WINDOW_S)
    attempts.begin("ada", HERE)


def test_an_attempt_that_succeeded_does_not_count() -> None:
    attempts = LoginAttempts(clock=ManualClock())

    for _ in range(PER_ADDRESS * 2):
        attempts.begin("ada", HERE)()


def test_all_addresses_of_one_v6_network_are_one() -> None:
    attempts = LoginAttempts(clock=ManualClock())

    for number in range(PER_ADDRESS):
        attempts.begin(f"user{number}", ipaddress.ip_address(f"2001:db8::{number + 1:x}"))

    with pytest.raises(Refusal):
        attempts.begin("ada", ipaddress.ip_address("2001:db8::ffff"))
    attempts.begin("ada", ipaddress.ip_address("2001:db8:0:1::1"))
