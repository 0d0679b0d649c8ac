"""The administration address as an ASGI application: the operations, the panel, /metrics and the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from namel3ss.gateway.administration.calls import Call, Nothing, read_body, read_query
from namel3ss.gateway.administration.guard import Guard, caller_of
from namel3ss.gateway.administration.login import DESCRIPTIONS
from namel3ss.gateway.administration.openapi import administration_document
from namel3ss.gateway.administration.reading import read_json
from namel3ss.gateway.administration.static import PAGE, PanelFiles
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.front.addresses import Callers, NetworkList
from namel3ss.gateway.front.hosts import Hosts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from namel3ss.gateway.administration.access import Access
    from namel3ss.gateway.administration.calls import AnyOperation
    from namel3ss.gateway.administration.login import PanelLogin
    from namel3ss.gateway.metrics import GatewayMetrics
    from namel3ss.gateway.plan import GatewayPlan

    Answer: TypeAlias = Callable[[Request], Awaitable[Response]]

__all__ = ["make_application"]

_JSON: Final = "application/json; charset=utf-8"
# What a request through a proxy carries: then the peer's address does not tell where it comes from.
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def make_application(
    plan: GatewayPlan,
    operations: Iterable[AnyOperation],
    *,
    access: Access,
    login: PanelLogin,
    metrics: GatewayMetrics,
) -> ASGIApp:
    """Everything that the administration address serves."""
    settings = plan.settings
    return Guard(
        _Pages(tuple(operations), access, login, metrics).router(),
        hosts=Hosts(settings.hosts),
        callers=Callers(allowed=settings.allow_addresses, trusted_proxies=settings.trusted_proxies),
        trusted_proxies=NetworkList(settings.trusted_proxies),
        metrics=metrics,
    )


class _Pages:
    """What there is, by path."""

    def __init__(
        self,
        operations: tuple[AnyOperation, ...],
        access: Access,
        login: PanelLogin,
        metrics: GatewayMetrics,
    ) -> None:
        self._operations = operations
        self._access = access
        self._login = login
        self._metrics = metrics
        self._files = PanelFiles()
        self._document = msgspec.json.encode(administration_document((*DESCRIPTIONS, *operations)))

    def router(self) -> Router:
        pages: dict[str, dict[str, Answer]] = {
            "/": {"GET": self._file(PAGE)},
            "/metrics": {"GET": self._scrape},
            "/openapi.json": {"GET": self._describe},
            "/api/session": {
                "GET": self._login.show,
                "POST": self._login.begin,
                "DELETE": self._login.end,
            },
        }
        for name in self._files.names - {PAGE}:
            pages[f"/panel/{name}"] = {"GET": self._file(name)}
        for operation in self._operations:
            pages.setdefault(operation.path, {})[operation.method] = self._perform(operation)
        routes = [Route(path, _Page(by_method)) for path, by_method in pages.items()]
        return Router(routes, redirect_slashes=False, default=self._nothing)

    def _file(self, name: str) -> Answer:
        async def answer(request: Request) -> Response:
            return self._files.answer(request, name)

        return answer

    def _perform(self, operation: AnyOperation) -> Answer:
        async def answer(request: Request) -> Response:
            caller = self._access.admit(request, caller_of(request.scope))
            taken = await _taken(request, operation)
            answered = await operation.do(
                Call(caller=caller, taken=taken, parameters=dict(request.path_params))
            )
            if operation.answers is Nothing:
                return Response(status_code=204)
            return _json(msgspec.json.encode(answered), operation.status)

        return answer

    async def _describe(self, request: Request) -> Response:
        self._access.admit(request, caller_of(request.scope))
        return _json(self._document)

    async def _scrape(self, request: Request) -> Response:
        """Without a key from this machine itself, as Prometheus is usually set up; from elsewhere with one."""
        caller = caller_of(request.scope)
        if not caller.address.is_loopback or any(name in request.headers for name in _FORWARDED):
            self._access.admit(request, caller)
        body, content_type = await self._metrics.scrape(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def _nothing(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only administrators learn what there is not."""
        self._access.admit(Request(scope), caller_of(scope))
        raise Refusal(
            Reason.not_found, "There is nothing here.", suggestion="GET /openapi.json lists what there is."
        )


class _Page:
    """One path, as an ASGI application: a known path with another method is 405, in this interface's own words."""

    def __init__(self, by_method: Mapping[str, Answer]) -> None:
        self._by_method = by_method
        self._allowed = sorted({*by_method, *({"HEAD"} if "GET" in by_method else ())})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        answer = self._by_method.get("GET" if method == "HEAD" else method)
        if answer is None:
            raise Refusal(
                Reason.method_not_allowed,
                f"{method} cannot be done here, but {' and '.join(self._allowed)} can.",
                headers=((b"allow", ", ".join(self._allowed).encode()),),
            )
        response = await answer(Request(scope, receive))
        if method == "HEAD":
            response.body = b""
        await response(scope, receive, send)


async def _taken(request: Request, operation: AnyOperation) -> msgspec.Struct:
    if operation.method == "GET":
        taken: msgspec.Struct = read_query(request.query_params.multi_items(), operation.takes)
        return taken
    if request.url.query:
        raise Refusal(Reason.invalid, "This takes nothing in the query of its address.")
    taken = read_body(await read_json(request), operation.takes)
    return taken


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, headers={"content-type": _JSON})
