"""Who calls the administration interface: the holder of a key, or a person whose browser has the panel's cookie.

A cookie goes along by itself, so it is believed only where the request shows that the panel made it: a change carries
the session's CSRF token and comes from the panel's own origin. A key never goes along by itself.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.front.addresses import network_list
from namel3ss.gateway.principal import Scope

if TYPE_CHECKING:
    from starlette.requests import Request

    from namel3ss.gateway.administration.panel_sessions import PanelSession, PanelSessions
    from namel3ss.gateway.front.addresses import Caller as Address
    from namel3ss.gateway.front.credentials import Credentials, KeySource
    from namel3ss.gateway.principal import Principal

__all__ = ["Access", "Caller", "check_origin", "cookie_name", "is_secure"]

_SAFE: Final = frozenset({"GET", "HEAD"})
# What the panel's own poll says of itself, so that a page that is merely open does not keep its session alive.
_BACKGROUND: Final = "x-background"


class Caller(NamedTuple):
    """Who calls, from where, and in which browser's session, if any."""

    principal: Principal
    address: str
    session: PanelSession | None = None


class Access:
    """Lets administrators in."""

    def __init__(self, keys: KeySource, credentials: Credentials, sessions: PanelSessions) -> None:
        self._keys = keys
        self._credentials = credentials
        self._sessions = sessions

    def admit(self, request: Request, address: Address) -> Caller:
        """The administrator who calls. Raises Refusal for anybody else, and for what another page had a browser send."""
        caller = self._identify(request, address)
        self.check_rights(caller.principal, address)
        return caller

    def check_rights(self, principal: Principal, address: Address) -> None:
        """Raises Refusal for who is no administrator, or not from where the key may be used."""
        if principal.networks is not None and address.address not in network_list(principal.networks):
            raise Refusal(Reason.address_not_allowed, f"This key may not be used from {address.text}.")
        if not principal.may(Scope.ADMIN):
            raise Refusal(
                Reason.forbidden,
                "This is for administrators: the key lacks the scope `admin`.",
                suggestion="Use an administrator's key, or have one made.",
            )

    def _identify(self, request: Request, address: Address) -> Caller:
        headers = dict(request.scope["headers"])
        if b"authorization" in headers or b"x-api-key" in headers:
            return Caller(self._credentials.find(headers, None), address.text)
        cookie = request.cookies.get(cookie_name(request))
        session = None
        if cookie is not None:
            session = self._sessions.find(cookie, is_background=_BACKGROUND in request.headers)
        if session is None:
            raise Refusal(
                Reason.no_key,
                "This needs an administrator's key, or to be logged in.",
                suggestion="Send `Authorization: Bearer KEY`.",
            )
        if request.method not in _SAFE:
            check_origin(request)
            _check_csrf_token(request, session)
        try:
            principal = self._keys.find(session.token)
        except Refusal as refusal:
            if refusal.reason is Reason.bad_key:
                self._sessions.close(session)
            raise
        return Caller(principal, address.text, session)


def check_origin(request: Request) -> None:
    """Raises Refusal for a change that another site's page had a browser send. Programs send no Origin."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    host = request.headers["host"].lower()
    if origin is not None and origin.lower() not in (f"{scheme}://{host}" for scheme in ("http", "https")):
        raise _foreign()
    if site is not None and site not in ("same-origin", "none"):
        raise _foreign()


def _check_csrf_token(request: Request, session: PanelSession) -> None:
    given = request.headers.get("x-csrf-token", "")
    if not hmac.compare_digest(given.encode(), session.csrf_token.encode()):
        raise Refusal(
            Reason.forbidden,
            "The request does not carry the token of this session.",
            suggestion="Send the `csrf_token` of GET /api/session as X-CSRF-Token.",
        )


def _foreign() -> Refusal:
    return Refusal(Reason.forbidden, "Another site's page may not do this.")


def is_secure(request: Request) -> bool:
    """Whether the browser speaks TLS, here or with the proxy before us."""
    return bool(request.scope.get("scheme") == "https")


def cookie_name(request: Request) -> str:
    """Over TLS a name that browsers keep to this host and to TLS alone."""
    return "__Host-namel3ss" if is_secure(request) else "namel3ss"
