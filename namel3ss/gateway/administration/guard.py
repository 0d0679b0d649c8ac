"""What holds for every request to the administration address, before any of it is routed, and for every answer.

A plain ASGI callable: no middleware that buffers, and the decisions are taken on what the server parsed, never on a URL
put together again.
"""

from __future__ import annotations

import logging
import math
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import JSON_TYPE, CallerLeft
from namel3ss.gateway.front.addresses import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from namel3ss.gateway.front.addresses import Caller, Callers, NetworkList
    from namel3ss.gateway.front.front import RefusalCounter
    from namel3ss.gateway.front.hosts import Hosts

__all__ = ["CONTENT_POLICY", "Guard", "caller_of", "error_answer"]

logger = logging.getLogger(__name__)

# Nothing from elsewhere, nothing inline, no frame, no form that leaves.
CONTENT_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
_SMALL: Final = 65_536
_INTERNAL: Final = Refusal(
    Reason.internal, "The gateway failed here.", suggestion="Its log says more under this request's id."
)


def error_answer(refusal: Refusal, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """A refusal in this interface's own shape."""
    error = {"reason": refusal.reason.name, "message": refusal.message, "request_id": request_id}
    if refusal.suggestion:
        error["suggestion"] = refusal.suggestion
    body = msgspec.json.encode({"error": error})
    headers = [
        (b"content-type", JSON_TYPE),
        (b"content-length", b"%d" % len(body)),
        (b"x-namel3ss-error", refusal.reason.name.encode()),
        *refusal.headers,
    ]
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(refusal.retry_after_s))))
    return refusal.status, headers, body


def caller_of(scope: Scope) -> Caller:
    """Where a request that the guard let through comes from."""
    caller: Caller = scope["namel3ss.caller"]
    return caller


class Guard:
    """Lets requests for the right host from allowed addresses through to `application`, and answers every Refusal."""

    def __init__(
        self,
        application: ASGIApp,
        *,
        hosts: Hosts,
        callers: Callers,
        trusted_proxies: NetworkList,
        metrics: RefusalCounter,
    ) -> None:
        self._application = application
        self._hosts = hosts
        self._callers = callers
        self._trusted_proxies = trusted_proxies
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"The administration address does not speak {scope['type']}.")
        request_id = secrets.token_hex(16)
        has_started = False
        body = _Body(scope, receive)

        async def send_guarded(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                message["headers"] = _with_policy(message.get("headers", ()), request_id)
            await send(message)

        try:
            scope["namel3ss.caller"] = self._check(scope)
            if self._is_behind_tls(scope):
                scope["scheme"] = "https"
            await self._application(scope, body.receive, send_guarded)
        except CallerLeft:
            return
        except Refusal as refusal:
            if has_started:
                raise
            await self._refuse(refusal, request_id, body, send_guarded)
        except Exception:
            # The log gets the trace under the request's id; the caller learns nothing but the id.
            logger.exception("request %s to the administration address failed", request_id)
            if has_started:
                raise
            await self._refuse(_INTERNAL, request_id, body, send_guarded)

    def _check(self, scope: Scope) -> Caller:
        headers = scope["headers"]
        named = [value for name, value in headers if name == b"host"]
        self._hosts.check(named[0] if len(named) == 1 else None)
        client = scope.get("client")
        return self._callers.find(None if client is None else client[0], headers)

    def _is_behind_tls(self, scope: Scope) -> bool:
        """Whether a proxy that is trusted says that it was asked over TLS."""
        said = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
        if said != [b"https"] or scope.get("client") is None:
            return False
        return parse_address(scope["client"][0].partition("%")[0]) in self._trusted_proxies

    async def _refuse(self, refusal: Refusal, request_id: str, body: _Body, send: Send) -> None:
        self._metrics.refused(refusal.reason)
        status, headers, content = error_answer(refusal, request_id)
        if not await body.is_read():
            # The server ends the connection after an answer that came before the end of its request: say so.
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


class _Body:
    """A request's body on its way to whoever reads it, and what is to be done with the rest if nobody does."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        is_chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
        self._is_small = not is_chunked and all(
            len(length) <= 6 and length.isdigit() and int(length) <= _SMALL for length in lengths
        )
        self._has_ended = not is_chunked and (not lengths or lengths == [b"0"])

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._has_ended = True
        return message

    async def is_read(self) -> bool:
        """Whether all of it has come. A small one is waited for, so that its connection can be used again."""
        while not self._has_ended and self._is_small:
            await self.receive()
        return self._has_ended


def _with_policy(headers: Iterable[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """The answer's own headers and those that every answer has; what an answer says itself counts."""
    own = list(headers)
    named = {name.lower() for name, _ in own}
    always = (*_HEADERS, (b"x-request-id", request_id.encode()))
    return [*own, *(pair for pair in always if pair[0] not in named)]
