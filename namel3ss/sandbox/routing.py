"""Paths: which route a request is for, and the redirects and refusals before any route is reached."""

from __future__ import annotations

import html
import posixpath
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import quote

from namel3ss.sandbox.http import Raw

if TYPE_CHECKING:
    from namel3ss.sandbox.http import Request

__all__ = ["Routes", "cleaned_redirect"]

T = TypeVar("T")

_UNESCAPED: Final = "/:@!$&'()*+,;=~"
_METHOD_ORDER: Final = ("HEAD", "GET", "POST", "DELETE")


def cleaned_redirect(request: Request) -> Raw | None:
    """The redirect to the path without doubled slashes and dots, where it has any."""
    path = request.path or "/"
    cleaned = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/") and cleaned != "/":
        cleaned += "/"
    return None if cleaned == path else _redirect(request, cleaned, 307)


def _redirect(request: Request, path: str, status: int) -> Raw:
    # The server escapes the path once too often.
    escaped = quote(quote(path, safe=_UNESCAPED), safe=_UNESCAPED)
    location = escaped + (f"?{request.query}" if request.query else "")
    if request.method not in ("GET", "HEAD"):
        return Raw(status, headers=(("Location", location),))
    phrase = {301: "Moved Permanently", 307: "Temporary Redirect"}[status]
    body = f'<a href="{html.escape(location)}">{phrase}</a>.\n\n'.encode()
    has_length = request.method == "GET"
    return Raw(status, body, "text/html; charset=utf-8", (("Location", location),), has_length=has_length)


class Routes(Generic[T]):
    """A table of routes; a path may end in one variable part, written `:name`."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, T]] = {}
        self._variable: dict[str, dict[str, T]] = {}

    def add(self, methods: str, path: str, route: T) -> None:
        base, variable, _ = path.partition(":")
        table = self._variable if variable else self._exact
        for method in methods.split():
            table.setdefault(base, {})[method] = route

    def find(self, request: Request) -> T | Raw:
        """The route, or the answer of a server that has none. Sets the request's variable part."""
        routes = self._at(request)
        if request.method in routes:
            return routes[request.method]
        twin = self._slash_twin(request)
        if twin is not None:
            return _redirect(request, twin, 301 if request.method == "GET" else 307)
        allowed = [method for method in _METHOD_ORDER if method in routes]
        if not allowed:
            return Raw(404, b"404 page not found", "text/plain")
        return Raw(405, b"405 method not allowed", "text/plain", headers=(("Allow", ", ".join(allowed)),))

    def _at(self, request: Request) -> dict[str, T]:
        found = self._exact.get(request.path)
        if found is not None:
            return found
        base, _, last = request.path.rpartition("/")
        if last and (variable := self._variable.get(base + "/")):
            request.parameter = last
            return variable
        return {}

    def _slash_twin(self, request: Request) -> str | None:
        """The path with its last slash added or taken away, when this method is known there."""
        if request.path == "/":
            return None
        twin = request.path[:-1] if request.path.endswith("/") else request.path + "/"
        return twin if request.method in self._exact.get(twin, {}) else None
