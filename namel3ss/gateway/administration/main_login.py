"""Logging in at the main address, for a short opaque token that is then sent as a key is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from namel3ss.gateway.administration.calls import read_body
from namel3ss.gateway.administration.login import SESSION
from namel3ss.gateway.answering import send_document
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.front.addresses import Caller, parse_address
from namel3ss.gateway.routes import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from namel3ss.gateway.administration.login import LoginDesk
    from namel3ss.gateway.authority import Authority
    from namel3ss.gateway.exchange import Exchange

__all__ = ["Identity", "LoginBody", "LoginHandlers", "TokenAnswer"]

_LARGEST: Final = 16 * 1024


class LoginBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who logs in."""

    user: Annotated[str, Meta(max_length=64)]
    password: Annotated[str, Meta(max_length=1024)]


class TokenAnswer(msgspec.Struct):
    """`token` is sent as a key is: `Authorization: Bearer TOKEN`."""

    token: str
    token_type: str
    expires_at: float


class Identity(msgspec.Struct):
    """Who asks, and what they may."""

    user: str
    key_id: str
    class_name: str = msgspec.field(name="class")
    priority: int
    scopes: list[str]
    models: list[str]
    expires_at: float | None


class LoginHandlers:
    """The handlers of LOGIN, LOGOUT and WHO_AM_I."""

    def __init__(self, desk: LoginDesk, authority: Authority) -> None:
        self._desk = desk
        self._authority = authority

    def handlers(self) -> dict[Action, Callable[[Exchange], Awaitable[None]]]:
        return {
            Action.LOGIN: self.log_in,
            Action.LOGOUT: self.log_out,
            Action.WHO_AM_I: self.who_am_i,
        }

    async def log_in(self, exchange: Exchange) -> None:
        """A token for a password."""
        given = read_body(await exchange.read_body(_LARGEST), LoginBody)
        address = Caller(parse_address(exchange.client), exchange.client)
        session = await self._desk.log_in(given.user, given.password, address)
        answer = TokenAnswer(token=session.token, token_type="Bearer", expires_at=session.expires_at)
        await send_document(exchange, answer, headers=((b"cache-control", b"no-store"),))

    async def log_out(self, exchange: Exchange) -> None:
        """End the session whose token was sent. A key is revoked by administrators, and not this way."""
        principal = exchange.principal
        assert principal is not None  # the front lets nobody else reach this
        if not principal.key_id.startswith(SESSION):
            raise Refusal(
                Reason.bad_request,
                "This is a key and no session, so there is nothing to log out of.",
                suggestion="Ask an administrator to revoke the key, if it is to end.",
            )
        await self._desk.log_out(principal)
        await send_document(exchange, {"status": "logged out"})

    async def who_am_i(self, exchange: Exchange) -> None:
        """Who the key or token stands for."""
        principal = exchange.principal
        assert principal is not None  # the front lets nobody else reach this
        await send_document(
            exchange,
            Identity(
                user=principal.user,
                key_id=principal.key_id,
                class_name=principal.class_name,
                priority=principal.priority,
                scopes=sorted(principal.scopes),
                models=[served.name for served in self._authority.allowed(principal)],
                expires_at=principal.expires_at,
            ),
        )
