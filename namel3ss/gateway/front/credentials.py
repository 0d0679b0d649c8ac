"""Whose request it is: the key that it carries, or nobody's where the file allows that.

A key is in `Authorization: Bearer KEY`, in `x-api-key`, or in the address (`/k/KEY/…`), which wins: whoever can only
write an address often sends a made-up key as well. Cookies are never read here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from namel3ss.errors import UsageError
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.principal import Principal, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.gateway.plan import GatewayPlan

__all__ = ["Credentials", "KeySource"]

_LONGEST_KEY: Final = 512
_HOW: Final = "Send `Authorization: Bearer KEY` or `x-api-key: KEY`."


class KeySource(Protocol):
    """Where keys are known."""

    def find(self, token: str) -> Principal:
        """The holder of a key or of a session. Raises Refusal (`bad_key`) for an unknown, expired or revoked one."""
        ...


class Credentials:
    """Reads who asks."""

    def __init__(self, plan: GatewayPlan, keys: KeySource) -> None:
        self._keys = keys
        self.anonymous = _nobody(plan)
        """The principal of requests without a key; None: a key always."""

    def find(self, headers: Mapping[bytes, bytes], in_address: str | None) -> Principal:
        """Who asks. Raises Refusal: no key, or none that counts."""
        token = in_address if in_address is not None else _token(headers)
        if token is None:
            if self.anonymous is not None:
                return self.anonymous
            raise Refusal(Reason.no_key, "This needs a key.", suggestion=_HOW)
        if not token or len(token) > _LONGEST_KEY:
            raise _bad_key("The key is not one of this gateway's.")
        principal = self._keys.find(token)
        if in_address is not None and not principal.in_address:
            raise _bad_key("This key may not stand in an address.")
        return principal


def _token(headers: Mapping[bytes, bytes]) -> str | None:
    """The key that the headers carry. An x-api-key that repeats it is welcome, one that differs is not."""
    bearer = _bearer(headers.get(b"authorization"))
    plain = headers.get(b"x-api-key")
    if plain is None:
        return bearer
    token = plain.strip().decode("latin-1")
    if bearer is not None and bearer != token:
        raise _bad_key("The request carries two different keys.")
    return token


def _bearer(written: bytes | None) -> str | None:
    if written is None:
        return None
    scheme, _, token = written.strip().partition(b" ")
    if scheme.lower() != b"bearer":
        raise _bad_key("The header Authorization is not of the form `Bearer KEY`.")
    return token.strip().decode("latin-1")


def _bad_key(message: str) -> Refusal:
    return Refusal(Reason.bad_key, message, suggestion=_HOW)


def _nobody(plan: GatewayPlan) -> Principal | None:
    settings = plan.settings
    if settings.anonymous is None:
        return None
    if not settings.listen.is_loopback:
        raise UsageError(
            f"The gateway listens on {settings.listen}, and requests without a key are only for this machine.",
            suggestion="Leave `anonymous` out, or listen on 127.0.0.1.",
        )
    return Principal(
        user="anonymous",
        key_id="anonymous",
        class_name=settings.anonymous,
        priority=settings.priorities[settings.anonymous],
        scopes=frozenset({Scope.USE}),
    )
