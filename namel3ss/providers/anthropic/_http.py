"""HTTP to Anthropic's API: the shared client (`namel3ss.providers.transport`) with every failure an AnthropicError."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from namel3ss.providers.anthropic._errors import (
    AnthropicBadResponseError,
    AnthropicError,
    AnthropicFirstTokenTimeoutError,
    AnthropicInterTokenTimeoutError,
    AnthropicRequestTimeoutError,
    AnthropicStreamInterruptedError,
)
from namel3ss.providers.anthropic._failures import RETRY_OR_LOOK, error_of
from namel3ss.providers.anthropic._refusals import error_from_answer
from namel3ss.providers.transport.client import HttpClient
from namel3ss.providers.transport.wording import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from namel3ss.providers.transport.failure_kinds import FailedRequest
    from namel3ss.providers.transport.limits import LimitPassedError

__all__ = ["AnthropicHttp"]

_PUBLIC_HEADERS: Final = frozenset(["anthropic-version", "anthropic-beta"])


class AnthropicHttp(HttpClient):
    """Requests to the server at `base_url`; see `HttpClient`. No message repeats a header that is a secret."""

    accept: ClassVar[str] = "text/event-stream, application/json"

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        connect_timeout_s: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(base_url, headers=headers, connect_timeout_s=connect_timeout_s, transport=transport)
        self._secrets = tuple(
            value.removeprefix("Bearer ")
            for name, value in headers.items()
            if value and name not in _PUBLIC_HEADERS
        )

    def without_secrets(self, error: AnthropicError) -> AnthropicError:
        """The same error, should a server have repeated the key in what it says."""
        for secret in self._secrets:
            if secret in error.message:
                error.message = error.message.replace(secret, "…")
                error.args = (error.message,)
        return error

    # -- failures, in the provider's words ------------------------------------------------------------------------

    def transport_error(self, failed: FailedRequest) -> AnthropicError:
        return error_of(failed)

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, model: str | None
    ) -> AnthropicError:
        error = error_from_answer(status, headers, body, model=model, base_url=self.base_url)
        return self.without_secrets(error)

    def bad_response(self, what: str, beginning: bytes, *, model: str | None) -> AnthropicError:
        return self.without_secrets(
            AnthropicBadResponseError(
                f"{what}: {quote(beginning)}",
                model=model,
                base_url=self.base_url,
                suggestion="Is this the address of Anthropic's API? A proxy before it may have answered instead.",
            )
        )

    def cut_off(self, *, model: str | None) -> AnthropicError:
        return AnthropicStreamInterruptedError(
            "The answer was cut off in the middle of an event.",
            model=model,
            base_url=self.base_url,
            suggestion=RETRY_OR_LOOK,
        )

    def request_too_late(self, what: str, timeout_s: float, *, model: str | None) -> AnthropicError:
        return AnthropicRequestTimeoutError(
            f"{what} took longer than {timeout_s:g} s.",
            model=model,
            base_url=self.base_url,
            suggestion="Retry, or raise total_timeout.",
        )

    def too_late(self, passed: LimitPassedError, *, model: str | None) -> AnthropicError:
        limit = f"{passed.limit_s:g} s"
        if passed.name == "total":
            return AnthropicRequestTimeoutError(
                f"The answer took longer than {limit}.",
                model=model,
                base_url=self.base_url,
                suggestion="Raise total_timeout, or ask for a shorter answer (max_tokens).",
            )
        if passed.name == "idle":
            return AnthropicInterTokenTimeoutError(
                f"The answer stopped: nothing came for {limit}.",
                model=model,
                base_url=self.base_url,
                suggestion="Retry, or raise idle_timeout.",
            )
        return AnthropicFirstTokenTimeoutError(
            f"Nothing of the answer came within {limit}.",
            model=model,
            base_url=self.base_url,
            suggestion="Retry, or raise first_token_timeout.",
        )
