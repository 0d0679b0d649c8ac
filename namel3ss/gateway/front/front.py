"""The gateway's front door: one bare ASGI callable that decides in a fixed order who may do what, and answers refusals.

Headers as HTTP has them → Host → address list → key → route table → scope → class whitelist → limits; then the handler,
which authorises the model, reads the body and queues. The first that says no is the answer.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import secrets
import time
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import CallerLeft, Exchange
from namel3ss.gateway.front.access_log import access_logger, write_line
from namel3ss.gateway.front.addresses import Callers
from namel3ss.gateway.front.credentials import Credentials, KeySource
from namel3ss.gateway.front.cross_origin import CrossOrigin, is_preflight
from namel3ss.gateway.front.framing import check_encoding, check_headers, check_target
from namel3ss.gateway.front.hosts import Hosts
from namel3ss.gateway.front.leftovers import take_leftover
from namel3ss.gateway.front.refusing import refuse
from namel3ss.gateway.front.running import Running
from namel3ss.gateway.front.targets import aim_at, dialect_of, split_key
from namel3ss.gateway.front.whitelist import Whitelist
from namel3ss.gateway.routes import ROUTES, Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping
    from typing import Any

    from namel3ss.gateway.exchange import Receive, Send
    from namel3ss.gateway.front.addresses import Caller
    from namel3ss.gateway.front.whitelist import StoredNetworks
    from namel3ss.gateway.live import LiveRequests
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.principal import Principal
    from namel3ss.gateway.routes import Route

__all__ = ["Front", "Handler", "RefusalCounter"]

Handler: TypeAlias = "Callable[[Exchange], Awaitable[None]]"

_logger: Final = logging.getLogger("namel3ss.gateway")

# Ids of requests tell requests apart; they are no secrets, and the operating system need not be asked for each.
_ids: Final = random.Random(secrets.randbits(128))
# Models' answers are counted where their tokens are; to end something is less work, and never too much.
_NOT_COUNTED: Final = frozenset(
    {
        Action.CHAT,
        Action.GENERATE,
        Action.EMBED,
        Action.CANCEL_REQUEST,
        Action.STOP_PULL,
        Action.LOGOUT,
    }
)
_BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_INTERNAL: Final = Refusal(
    Reason.internal, "The gateway failed here. Its log tells more, under this request's id."
)


class RefusalCounter(Protocol):
    """Where refusals are counted."""

    def refused(self, reason: Reason) -> None: ...


class Front:
    """Serves the main address. `handlers` has one for every action of the route table.

    `stored` are whitelist entries that administrators have added to those of the file. `count` is called for each request
    that no model answers, those that end something left out, and raises a Refusal when there are too many.
    """

    def __init__(
        self,
        plan: GatewayPlan,
        keys: KeySource,
        handlers: Mapping[Action, Handler],
        *,
        live: LiveRequests,
        metrics: RefusalCounter | None = None,
        stored: StoredNetworks | None = None,
        count: Callable[[Principal], None] | None = None,
    ) -> None:
        if missing := {route.action for route in ROUTES} - handlers.keys():
            raise TypeError(f"nothing handles {', '.join(sorted(action.value for action in missing))}")
        settings = plan.settings
        self._handlers = dict(handlers)
        self._hosts = Hosts(settings.hosts)
        self._callers = Callers(allowed=settings.allow_addresses, trusted_proxies=settings.trusted_proxies)
        self._credentials = Credentials(plan, keys)
        self._whitelist = Whitelist(settings.whitelist, stored)
        self._cross_origin = CrossOrigin(settings.cors)
        self._metrics = metrics
        self._count = count
        self._running = Running(live)
        self._is_stopping = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served here, not {scope['type']}")
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        key, path = split_key(raw_path.decode("latin-1"))
        if key is not None:
            # Nothing behind this line, and no log of the server's, ever sees the key.
            scope["path"], scope["raw_path"] = path, path.encode("latin-1")
        exchange = Exchange(scope, receive, send, request_id=f"{_ids.getrandbits(64):016x}", client="")
        del scope  # the exchange lets go of it
        self._running.add(exchange)
        began = time.perf_counter()
        try:
            await self._answer(exchange, path, key)
        finally:
            self._running.remove(exchange)
            if access_logger.isEnabledFor(logging.INFO):
                write_line(exchange, time.perf_counter() - began, has_key_in_address=key is not None)

    def begin_shutdown(self) -> None:
        """Turn away new requests; what asks for no key (health, the banner) is still answered."""
        self._is_stopping = True

    async def drained(self) -> None:
        """Returns once no request is running."""
        await self._running.ended()

    def interrupt(self, refusal: Refusal, *, key_id: str | None = None) -> None:
        """End what is running, of one key or of all: streams with their protocol's error, the rest with the refusal."""
        self._running.interrupt(refusal, key_id)

    @property
    def running(self) -> int:
        return len(self._running)

    async def _answer(self, exchange: Exchange, path: str, key: str | None) -> None:
        try:
            handler = self._decide(exchange, path, key)
            if exchange.method in _BODILESS:
                await take_leftover(exchange)
            await handler(exchange)
        except Refusal as refusal:
            await self._refuse(exchange, path, refusal)
        except CallerLeft:
            return
        except asyncio.CancelledError:
            refusal_of_ours = self._running.interruption(exchange)
            if refusal_of_ours is None:
                raise
            await self._refuse(exchange, path, refusal_of_ours)
        except Exception:
            # The last place that can answer; the caller learns only where to look.
            _logger.exception("request %s failed", exchange.id)
            await self._refuse(exchange, path, _INTERNAL)

    def _decide(self, exchange: Exchange, path: str, key: str | None) -> Handler:
        """Everything that can be decided without the body. Raises Refusal."""
        scope, headers = exchange.scope, exchange.headers
        exchange.answer_headers.append((b"x-request-id", exchange.id.encode()))
        check_headers(scope["headers"], headers)
        self._name(exchange)
        self._hosts.check(headers.get(b"host"))
        peer = scope.get("client")
        caller = self._callers.find(peer[0] if peer else None, scope["headers"])
        exchange.client = caller.text
        origin = headers.get(b"origin")
        exchange.answer_headers += self._cross_origin.answer_headers(origin)
        if is_preflight(exchange.method, headers):
            return self._preflight
        aim = aim_at(path)
        route = aim.methods.get(exchange.method)
        if key is not None or route is None or route.scope is not None:
            exchange.principal = self._credentials.find(headers, key)
        exchange.route, exchange.parameters = _route(route, aim.methods, exchange.method), aim.parameters
        if exchange.principal is not None:
            self._permit(exchange.principal, exchange.route, caller, origin)
        check_target(scope.get("raw_path", b""), scope.get("query_string", b""))
        check_encoding(headers)
        if self._is_stopping and exchange.route.scope is not None:
            raise Refusal(
                Reason.shutting_down,
                "The gateway is being stopped.",
                suggestion="Ask again shortly.",
                retry_after_s=5,
            )
        if (
            self._count is not None
            and exchange.principal is not None
            and exchange.route.action not in _NOT_COUNTED
        ):
            self._count(exchange.principal)
        return self._handlers[exchange.route.action]

    def _name(self, exchange: Exchange) -> None:
        """Take the caller's own id for its request, if it gave one."""
        named = exchange.headers.get(b"x-request-id")
        if named is None:
            return
        if not _REQUEST_ID.fullmatch(named):
            raise Refusal(
                Reason.bad_request,
                "The X-Request-Id is not of 1 to 128 letters, digits, dots, colons, dashes and underscores.",
                suggestion="Send another, or none.",
            )
        exchange.id = named.decode()
        exchange.answer_headers[0] = (b"x-request-id", named)

    def _permit(self, principal: Principal, route: Route, caller: Caller, origin: bytes | None) -> None:
        if route.scope is not None and not principal.may(route.scope):
            raise Refusal(
                Reason.forbidden,
                f"This takes the scope `{route.scope}`, which the key does not have.",
                suggestion="Use a key that has it, or ask an administrator for one.",
            )
        is_anonymous = principal is self._credentials.anonymous
        if is_anonymous and origin is not None and not self._cross_origin.is_listed(origin):
            # Anybody's page can send such a request from this machine's browser; it only cannot read the answer.
            raise Refusal(
                Reason.forbidden, "Web pages of this origin may not call the gateway without a key."
            )
        self._whitelist.check(principal, caller)

    async def _preflight(self, exchange: Exchange) -> None:
        await exchange.start(204, self._cross_origin.preflight_headers(exchange.headers))
        await exchange.finish()

    async def _refuse(self, exchange: Exchange, path: str, refusal: Refusal) -> None:
        if self._metrics is not None:
            self._metrics.refused(refusal.reason)
        route = exchange.route
        await refuse(exchange, refusal, route.dialect if route is not None else dialect_of(path))


def _route(route: Route | None, methods: Mapping[str, Route], method: str) -> Route:
    if route is not None:
        return route
    if not methods:
        raise Refusal(Reason.not_found, "There is nothing at this address.")
    allowed = ", ".join(sorted(methods))
    raise Refusal(
        Reason.method_not_allowed,
        f"The method {method} is not for this address; it takes {allowed}.",
        headers=[(b"allow", allowed.encode())],
    )
