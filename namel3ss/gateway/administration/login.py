"""Logging in: people with a password, at the panel or for a token; at the panel administrators with their key as well."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from namel3ss.gateway.administration.access import check_origin, cookie_name, is_secure
from namel3ss.gateway.administration.calls import AnyDescription, Description, Nothing, read_body
from namel3ss.gateway.administration.guard import caller_of
from namel3ss.gateway.administration.panel_sessions import LONGEST_S
from namel3ss.gateway.administration.reading import read_json
from namel3ss.gateway.administration.shapes import Credentials, SessionView
from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from namel3ss.gateway.administration.access import Access
    from namel3ss.gateway.administration.attempts import LoginAttempts
    from namel3ss.gateway.administration.panel_sessions import PanelSession, PanelSessions
    from namel3ss.gateway.front.addresses import Caller as Address
    from namel3ss.gateway.front.credentials import KeySource
    from namel3ss.gateway.metrics import GatewayMetrics
    from namel3ss.gateway.principal import Principal
    from namel3ss.gateway.store.sessions import NewSession, Sessions

__all__ = ["DESCRIPTIONS", "SESSION", "LoginDesk", "PanelLogin"]

_LONGEST_USER: Final = 64
SESSION: Final = "session:"
"""How the id of a principal begins that was found by a session."""
_PATH: Final = "/api/session"

DESCRIPTIONS: Final[tuple[AnyDescription, ...]] = (
    Description(
        method="GET",
        path=_PATH,
        takes=Nothing,
        answers=SessionView,
        summary="The panel's session, with the token that changes need.",
    ),
    Description(
        method="POST",
        path=_PATH,
        takes=Credentials,
        answers=SessionView,
        summary="Log in at the panel; the answer sets its cookie.",
        refusals=(Reason.login_failed,),
        is_open=True,
    ),
    Description(method="DELETE", path=_PATH, takes=Nothing, answers=Nothing, summary="Log out."),
)


class LoginDesk:
    """Gives out sessions for passwords. Both addresses share it, and so its count of attempts."""

    def __init__(self, sessions: Sessions, attempts: LoginAttempts, metrics: GatewayMetrics) -> None:
        self._sessions = sessions
        self._attempts = attempts
        self._metrics = metrics

    async def log_in(self, user: str, password: str, address: Address) -> NewSession:
        """A new session. Raises Refusal: too many attempts, or `login_failed`, which does not say what was wrong."""
        # Names that nobody can have are one name: what is made up must not fill the memory.
        counted = user if len(user) <= _LONGEST_USER else ""
        try:
            take_back = self._attempts.begin(counted, address.address)
        except Refusal:
            self._metrics.event("login", outcome="rate_limited")
            raise
        try:
            session = await self._sessions.open(user, password)
        except Refusal as refusal:
            if refusal.reason is not Reason.login_failed:
                take_back()
            self._metrics.event("login", outcome=refusal.reason.name)
            raise
        take_back()
        self._metrics.event("login", outcome="ok")
        return session

    async def log_out(self, principal: Principal) -> None:
        """End the session that a principal was found by. A key is left as it is."""
        if principal.key_id.startswith(SESSION):
            await self._sessions.end(principal.key_id.removeprefix(SESSION))


class PanelLogin:
    """The panel's own session: begun with a POST, asked with a GET, ended with a DELETE."""

    def __init__(
        self,
        desk: LoginDesk,
        keys: KeySource,
        access: Access,
        sessions: PanelSessions,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._desk = desk
        self._keys = keys
        self._access = access
        self._sessions = sessions
        self._wall_clock = wall_clock

    async def begin(self, request: Request) -> Response:
        # Whoever can make a browser log in as somebody else can watch what its user then does.
        check_origin(request)
        credentials = read_body(await read_json(request), Credentials)
        address = caller_of(request.scope)
        token = await self._token(credentials, address)
        principal = self._keys.find(token)
        try:
            self._access.check_rights(principal, address)
        except Refusal:
            await self._desk.log_out(principal)
            raise
        await self._end_old(request)
        cookie, session = self._sessions.open(token)
        response = self._answer(principal, session)
        _set_cookie(request, response, cookie)
        return response

    async def show(self, request: Request) -> Response:
        caller = self._access.admit(request, caller_of(request.scope))
        if caller.session is None:
            raise Refusal(Reason.not_found, "A key is no session: it has no need of one.")
        return self._answer(caller.principal, caller.session)

    async def end(self, request: Request) -> Response:
        caller = self._access.admit(request, caller_of(request.scope))
        response = Response(status_code=204)
        if caller.session is not None:
            self._sessions.close(caller.session)
            await self._desk.log_out(caller.principal)
        response.delete_cookie(
            cookie_name(request), path="/", secure=is_secure(request), httponly=True, samesite="strict"
        )
        return response

    async def _token(self, credentials: Credentials, address: Address) -> str:
        user, password, key = credentials.user, credentials.password, credentials.key
        if key is not None and user is None and password is None:
            # Found here, so that a wrong one is refused in the words of keys.
            self._keys.find(key)
            return key
        if user is None or password is None or key is not None:
            raise Refusal(
                Reason.invalid, "Logging in takes a user and a password, or an administrator's key."
            )
        return (await self._desk.log_in(user, password, address)).token

    async def _end_old(self, request: Request) -> None:
        """Whoever logs in again in the same browser leaves nothing behind there."""
        old = request.cookies.get(cookie_name(request))
        session = None if old is None else self._sessions.find(old)
        if session is None:
            return
        self._sessions.close(session)
        with contextlib.suppress(Refusal):
            await self._desk.log_out(self._keys.find(session.token))

    def _answer(self, principal: Principal, session: PanelSession) -> Response:
        view = SessionView(
            user=principal.user,
            scopes=sorted(principal.scopes),
            expires_at=self._wall_clock() + self._sessions.remaining_s(session),
            csrf_token=session.csrf_token,
        )
        return Response(msgspec.json.encode(view), media_type="application/json")


def _set_cookie(request: Request, response: Response, cookie: str) -> None:
    """Not for scripts, not for other sites, and over TLS for TLS alone."""
    response.set_cookie(
        cookie_name(request),
        cookie,
        max_age=int(LONGEST_S),
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="strict",
    )
