"""HTTP to Anthropic's API: the shared client (`namel3ss.providers.transport`) with every failure an AnthropicError."""

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
from namel3ss.providers.transport.client import HttpClient
from namel3ss.providers.transport.failure_kinds import Failure
from namel3ss.providers.transport.wording import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from namel3ss.providers.transport.failure_kinds import FailedRequest
    from namel3ss.providers.transport.limits import LimitPassedError

__all__ = ["AnthropicHttp"]

_PUBLIC_HEADERS: Final = frozenset(["anthropic-version", "anthropic-beta"])
_NETWORK: Final = "Check base_url, the network, and whether a proxy or firewall stands between."
_LOG: Final = "Retry. If it happens again, look at the log of a proxy before the server, if there is one."

# What happened, what to do, and the word for metrics. ``{reason}`` is the system's own, ``{limit}`` the connect timeout.
_UNREACHABLE: Final[Mapping[Failure, tuple[str, str, str]]] = {
    Failure.REFUSED: ("{reason}", _NETWORK, "connect_refused"),
    Failure.UNKNOWN_HOST: ("its host name cannot be resolved", _NETWORK, "dns"),
    Failure.TLS: (
        "TLS failed ({reason})",
        "This machine must trust the certificate; a proxy that inspects traffic brings one of its own.",
        "tls",
    ),
    Failure.CONNECT_TIMEOUT: ("no connection within {limit:g} s", _NETWORK, "connect_timeout"),
    Failure.PROXY: ("the proxy failed ({reason})", _NETWORK, "connect_refused"),
    Failure.ADDRESS: (
        "the address cannot be used",
        "Write it like https://api.anthropic.com",
        "bad_request",
    ),
    Failure.NOTHING_LEFT: (
        "this program has used up what it may open ({reason})",
        "Allow more open files (ulimit -n), or lower max_concurrency.",
        "_OTHER",
    ),
}


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
        if failed.failure in _UNREACHABLE:
            return _unreachable(failed)
        if failed.failure is Failure.INVALID:
            return _failed(
                AnthropicBadResponseError,
                failed,
                f"The answer is not valid HTTP: {failed.reason}",
                "Is this the address of Anthropic's API? Something else may listen there.",
            )
        if failed.failure is Failure.TIMEOUT:
            return _failed(
                AnthropicRequestTimeoutError, failed, "The transport gave up waiting for the server.", _LOG
            )
        if failed.is_answering:
            return _failed(
                AnthropicStreamInterruptedError,
                failed,
                "The connection was lost before the answer was complete.",
                _LOG,
                "stream_reset",
            )
        return _failed(
            AnthropicUnreachableError,
            failed,
            f"The server at {failed.base_url} closed the connection without an answer"
            f" ({failed.reason or 'no reason given'}).",
            _LOG,
            "stream_reset",
        )

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
            suggestion=_LOG,
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


def _unreachable(failed: FailedRequest) -> AnthropicError:
    what, suggestion, error_type = _UNREACHABLE[failed.failure]
    reason = failed.reason or failed.failure.value
    is_timeout = failed.failure is Failure.CONNECT_TIMEOUT
    cls = AnthropicConnectTimeoutError if is_timeout else AnthropicUnreachableError
    told = what.format(reason=reason, limit=failed.connect_timeout_s)
    message = f"Could not reach Anthropic's API at {failed.base_url}: {told}."
    return _failed(cls, failed, message, suggestion, error_type)


def _failed(
    cls: type[AnthropicError],
    failed: FailedRequest,
    message: str,
    suggestion: str,
    error_type: str | None = None,
) -> AnthropicError:
    return cls(
        message,
        model=failed.model,
        base_url=failed.base_url,
        suggestion=suggestion,
        original_error=failed.exception,
        error_type=error_type,
    )
