"""A gateway as its administrators have it: their address, with and without a browser."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.gateway.forwarding.play import with_models
from tests.support.gateway import running_gateway
from tests.support.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.gateway import RunningGateway

__all__ = ["PASSWORD", "Browser", "Office", "open_office"]

PATIENCE_S: Final = 30.0
PASSWORD: Final = "correct horse battery staple"


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False)


class Browser:
    """Keeps cookies, and sends what the panel sends: the origin, and the token of its session once it is logged in."""

    def __init__(self, url: str) -> None:
        self.origin = url
        self.client = _client(url)
        self.csrf_token: str | None = None

    def log_in(self, **credentials: str) -> httpx.Response:
        answer = self.send("POST", "/api/session", credentials)
        if answer.is_success:
            self.csrf_token = answer.json()["csrf_token"]
        return answer

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=headers)

    def send(self, method: str, path: str, document: object = None, **headers: str) -> httpx.Response:
        own = {"origin": self.origin, "sec-fetch-site": "same-origin"}
        if self.csrf_token is not None:
            own["x-csrf-token"] = self.csrf_token
        return self.client.request(
            method, path, json={} if document is None else document, headers=own | headers
        )


class Office:
    """Asks the administration address with the first administrator's key."""

    def __init__(self, gateway: RunningGateway, upstream: ScriptedServer) -> None:
        assert gateway.first_key is not None
        self.gateway = gateway
        self.upstream = upstream
        self.key = gateway.first_key
        self.url = gateway.admin_url
        self._exits = contextlib.ExitStack()
        self.client = self._exits.enter_context(_client(self.url))
        self._main = self._exits.enter_context(_client(gateway.url))

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.client.get(path, params=query, headers=self._bearer())

    def send(self, method: str, path: str, document: object = None) -> httpx.Response:
        return self.client.request(
            method, path, json={} if document is None else document, headers=self._bearer()
        )

    def post(self, path: str, document: object = None) -> httpx.Response:
        return self.send("POST", path, document)

    def main(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A request to the address of users."""
        authorization = {} if key is None else {"authorization": f"Bearer {key}"}
        return self._main.request(method, path, json=document, headers={**authorization, **(headers or {})})

    def browser(self) -> Browser:
        browser = Browser(self.url)
        self._exits.callback(browser.client.close)
        return browser

    def user(self, name: str, **given: Any) -> None:
        answer = self.post("/api/users", {"name": name, **given})
        assert answer.status_code == 201, answer.text

    def close(self) -> None:
        self._exits.close()

    def _bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


@contextlib.contextmanager
def open_office(folder: Path, settings: str = "") -> Iterator[Office]:
    with (
        with_models(ScriptedServer(), "tiny") as upstream,
        running_gateway(folder, {"gpu1": upstream.url}, settings=settings) as gateway,
    ):
        office = Office(gateway, upstream)
        try:
            yield office
        finally:
            office.close()
