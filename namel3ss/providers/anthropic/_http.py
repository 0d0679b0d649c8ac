"""HTTP to Anthropic's API: the shared client with every failure an AnthropicError."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from namel3ss.providers.anthropic._errors import (
    AnthropicBadResponseError,
    AnthropicConnectTimeoutError,
    AnthropicError,
    AnthropicFirstTokenTimeoutError,
    AnthropicInterTokenTimeoutError,
    AnthropicRequestTimeoutError,
    AnthropicStreamInterruptedError,
    AnthropicUnreachableError,
)
from namel3ss.providers.anthropic._refusals import error_from_answer
from namel3ss.providers.remote_http import ErrorTypes, FailureAdvice, RemoteHttp
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AnthropicHttp"]

_NETWORK: Final = "Check base_url, the network, and whether a proxy or firewall stands between."
_RETRY_OR_LOOK: Final = (
    "Retry. If it happens again, look at the log of a proxy before the server, if there is one."
)


class AnthropicHttp(RemoteHttp):
    """Requests to the server at `base_url`; see `RemoteHttp`."""

    accept: ClassVar[str] = "text/event-stream, application/json"
    pieces: ClassVar[str] = "an event"
    server: ClassVar[str] = "Anthropic's API"
    public: ClassVar[frozenset[str]] = frozenset(["anthropic-version", "anthropic-beta"])
    errors: ClassVar[ErrorTypes] = ErrorTypes(
        unreachable=AnthropicUnreachableError,
        connect_timeout=AnthropicConnectTimeoutError,
        bad_response=AnthropicBadResponseError,
        interrupted=AnthropicStreamInterruptedError,
        first_token_timeout=AnthropicFirstTokenTimeoutError,
        inter_token_timeout=AnthropicInterTokenTimeoutError,
        request_timeout=AnthropicRequestTimeoutError,
    )
    advice: ClassVar[FailureAdvice] = FailureAdvice(
        unreachable={
            Failure.REFUSED: _NETWORK,
            Failure.UNKNOWN_HOST: _NETWORK,
            Failure.TLS: "This machine must trust the certificate; a proxy that inspects traffic brings one of its own.",
            Failure.PROXY: _NETWORK,
            Failure.ADDRESS: "Write it like https://api.anthropic.com",
            Failure.CONNECT_TIMEOUT: _NETWORK,
        },
        no_answer=_RETRY_OR_LOOK,
        lost=_RETRY_OR_LOOK,
        gave_up=_RETRY_OR_LOOK,
        not_http="Is this the address of Anthropic's API? Something else may listen there.",
        not_an_answer="Is this the address of Anthropic's API? A proxy before it may have answered instead.",
        cut_off=_RETRY_OR_LOOK,
        too_late="Retry, or raise total_timeout.",
        first_token="Retry, or raise first_token_timeout.",
    )

    def error_from_answer(
        self, status: int, headers: Mapping[str, str], body: bytes, *, model: str | None
    ) -> AnthropicError:
        return error_from_answer(status, headers, body, model=model, base_url=self.base_url)
