"""The ASGI application: from a request to its answer, and away when the client leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from namel3ss.sandbox.access import cross_origin, host_refusal
from namel3ss.sandbox.http import Aborted, ClientGone, Document, Failure, Raw, Request, Writer
from namel3ss.sandbox.laboratory import ERROR_PAGE, spoiled
from namel3ss.sandbox.routes import all_routes
from namel3ss.sandbox.routing import cleaned_redirect

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from namel3ss.sandbox.http import Answer, Receive, Scope, Send
    from namel3ss.sandbox.routes import Route
    from namel3ss.sandbox.service import Service

__all__ = ["SandboxApp"]


class SandboxApp:
    """One sandbox as an ASGI application. `active_requests` counts those being worked on."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.active_requests = 0
        self._routes = all_routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.active_requests += 1
        try:
            request = Request.of(scope, receive)
            async with request.resources:
                await self._serve(request, Writer(send, request.resources))
        except (ClientGone, Aborted):
            # There is nobody to answer, or nobody to be answered by: the connection is cut.
            return
        finally:
            self.active_requests -= 1

    async def _serve(self, request: Request, writer: Writer) -> None:
        found = self._refused(request, writer)
        if isinstance(found, Raw):
            await writer.write(found)
            return
        if found.streams_body:
            await self._run(found, request, writer)
            return
        try:
            await request.read_body()
        except Failure as failure:
            await writer.write(Document({"error": failure.message}, failure.status))
            return
        await _while_connected(request, self._run(found, request, writer))

    def _refused(self, request: Request, writer: Writer) -> Raw | Route:
        """The route, or the answer of those who never get to one."""
        redirect = cleaned_redirect(request)
        if redirect is not None:
            return redirect
        found = self._routes.find(request)
        if isinstance(found, Raw) and found.status in (301, 307):
            return found
        refusal, extra = cross_origin(request)
        refusal = refusal or host_refusal(request)
        if refusal is not None:
            writer.extra = [*found.headers] if isinstance(found, Raw) else []
            return refusal
        writer.extra = extra
        return found

    async def _run(self, route: Route, request: Request, writer: Writer) -> None:
        rule = self.service.laboratory.strike(request)
        if rule is not None:
            writer.send = spoiled(rule, writer.send, request.drop, self.service.clock)
        answer: Answer
        try:
            is_replaced = rule is not None and rule.name == "html"
            answer = ERROR_PAGE if is_replaced else await route.handle(self.service, request)
        except Failure as failure:
            answer = Document({"error": failure.message}, failure.status)
        await writer.write(answer)


async def _while_connected(request: Request, work: Coroutine[object, object, None]) -> None:
    """Does the work, and drops it when the client goes away."""
    left = asyncio.create_task(_left(request))
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({left, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()
        task.cancel()
        await asyncio.wait({left, task})
    if not task.cancelled():
        task.result()


async def _left(request: Request) -> None:
    """Returns when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
