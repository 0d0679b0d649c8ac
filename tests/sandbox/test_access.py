"""Web pages of others cannot reach the sandbox, and paths are cleaned as the real server cleans them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.wire_client import exchange

if TYPE_CHECKING:
    from namel3ss.sandbox import SandboxServer


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:9", 200),
        ("printer.local", 200),
        ("x.internal", 200),
        ("192.168.1.7:80", 200),
        ("[::1]:1", 200),
        ("", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("8.8.8.8", 403),
        ("[2001:db8::1]", 403),
    ],
)
def test_only_local_hosts_are_answered(server: SandboxServer, host: str, status: int) -> None:
    assert exchange(server.url, "GET", "/api/version", headers={"Host": host}).status == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("https://127.0.0.1", 200),
        ("vscode-webview://abc", 200),
        ("app://obsidian.md", 200),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
    ],
)
def test_only_pages_of_this_machine_may_ask(server: SandboxServer, origin: str, status: int) -> None:
    answer = exchange(server.url, "POST", "/api/show", headers={"Origin": origin}, body=b'{"model":"tiny"}')
    assert answer.status == status
    assert answer.header("access-control-allow-origin") == (origin if status == 200 else None)


@pytest.mark.parametrize(
    ("method", "path", "status", "location"),
    [
        ("GET", "//api/tags", 307, "/api/tags"),
        ("POST", "/api/../api/chat", 307, "/api/chat"),
        ("GET", "/api/tags/", 301, "/api/tags"),
        ("POST", "/api/chat/", 307, "/api/chat"),
        ("GET", "/api/version/?a=b", 301, "/api/version?a=b"),
        ("GET", "/api/nope/", 404, None),
        ("GET", "/API/tags", 404, None),
    ],
)
def test_paths_are_cleaned_by_redirects(
    server: SandboxServer, method: str, path: str, status: int, location: str | None
) -> None:
    answer = exchange(server.url, method, path)
    assert (answer.status, answer.header("location")) == (status, location)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("PUT", "/api/tags", "HEAD, GET"), ("GET", "/api/delete", "DELETE"), ("POST", "/v1/models/tiny", "GET")],
)
def test_a_wrong_method_is_told_the_right_ones(
    server: SandboxServer, method: str, path: str, allowed: str
) -> None:
    answer = exchange(server.url, method, path)
    assert (answer.status, answer.header("allow"), answer.body) == (405, allowed, b"405 method not allowed")
