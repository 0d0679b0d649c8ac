"""HTTP to the server of a provider, with every failure one of the provider's errors.

What happened is told in the same words whichever provider it was; what to do about it is the provider's own advice.
No message repeats a header of the client, should a server say it back.
"""

from __future__ import annotations

import abc
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from namel3ss.providers.remote_errors import RemoteError
from namel3ss.providers.transport.client import HttpClient
from namel3ss.providers.transport.failure_kinds import Failure
from namel3ss.providers.transport.wording import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.providers.transport.failure_kinds import FailedRequest
    from namel3ss.providers.transport.limits import LimitPassedError

__all__ = ["ErrorTypes", "FailureAdvice", "RemoteHttp"]

ErrorT = TypeVar("ErrorT", bound=RemoteError)

_LONGEST_REASON: Final = 200

# What happened, and the word for metrics. ``{reason}`` is the system's own, ``{limit}`` the connect timeout.
_UNREACHABLE: Final[Mapping[Failure, tuple[str, str]]] = {
    Failure.REFUSED: ("{reason}", "connect_refused"),
    Failure.UNKNOWN_HOST: ("its host name cannot be resolved", "dns"),
    Failure.TLS: ("TLS failed ({reason})", "tls"),
    Failure.CONNECT_TIMEOUT: ("no connection within {limit:g} s", "connect_timeout"),
    Failure.PROXY: ("the proxy failed ({reason})", "connect_refused"),
    Failure.ADDRESS: ("the address cannot be used", "bad_request"),
    Failure.NOTHING_LEFT: ("this program has used up what it may open ({reason})", "_OTHER"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTypes:
    """The errors of one provider, by what went wrong."""

    unreachable: type[RemoteError]
    connect_timeout: type[RemoteError]
    bad_response: type[RemoteError]
    interrupted: type[RemoteError]
    first_token_timeout: type[RemoteError]
    inter_token_timeout: type[RemoteError]
    request_timeout: type[RemoteError]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureAdvice:
    """What to do, by what went wrong; None where nothing useful can be said.

    `unreachable` has an entry for each way not to reach a server, but for `Failure.NOTHING_LEFT`, which is this program's
    own trouble. `no_answer` is for a connection that ended before an answer began, `lost` for one that ended in it.
    `too_late` is for a whole answer that took too long, `first_token` for one that did not begin; it may name the
    ``{model}``.
    """

    unreachable: Mapping[Failure, str]
    no_answer: str
    lost: str
    gave_up: str | None = None
    not_http: str
    not_an_answer: str
    cut_off: str
    too_late: str | None = None
    first_token: str


class RemoteHttp(HttpClient):
    """Requests to the server at `base_url`; see `HttpClient`."""

    errors: ClassVar[ErrorTypes]
    advice: ClassVar[FailureAdvice]
    pieces: ClassVar[str]
    """What an answer is made of: "a line"."""

    @property
    @abc.abstractmethod
    def server(self) -> str:
        """What could not be reached, for a message: "Ollama server"."""

    @abc.abstractmethod
    def error_from_answer(
        self, status: int, headers: Mapping[str, str], body: bytes, *, model: str | None
    ) -> RemoteError:
        """The error for an answer whose status is not a success; see `HttpClient.refusal`."""

    def without_secrets(self, error: ErrorT) -> ErrorT:
        """The same error: for one that was made of what a server said.

        A text that was cut before has to be rid of them then (`secrets`): half of one is not found here.
        """
        return self.secrets.hide_in(error)

    # -- below HTTP, and instead of an answer --------------------------------------------------------------------

    def transport_error(self, failed: FailedRequest) -> RemoteError:
        reason = self.secrets.hide_in_text(failed.reason)[:_LONGEST_REASON]
        return self.without_secrets(self._transport_error(dataclasses.replace(failed, reason=reason)))

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, model: str | None
    ) -> RemoteError:
        return self.without_secrets(self.error_from_answer(status, headers, body, model=model))

    def bad_response(self, what: str, beginning: bytes, *, model: str | None) -> RemoteError:
        return self.errors.bad_response(
            f"{what}: {quote(self.secrets.hide(beginning))}",
            model=model,
            base_url=self.base_url,
            suggestion=self.advice.not_an_answer,
        )

    def _transport_error(self, failed: FailedRequest) -> RemoteError:
        errors, advice, failure = self.errors, self.advice, failed.failure
        if failure in _UNREACHABLE:
            return self._unreachable(failed)
        if failure is Failure.INVALID:
            said = f"The answer is not valid HTTP: {failed.reason}"
            return _error(errors.bad_response, failed, said, advice.not_http)
        if failure is Failure.TIMEOUT:
            said = "The transport gave up waiting for the server."
            return _error(errors.request_timeout, failed, said, advice.gave_up)
        if failed.is_answering:
            said = "The connection was lost before the answer was complete."
            return _error(errors.interrupted, failed, said, advice.lost, "stream_reset")
        reason = failed.reason or "no reason given"
        said = f"The server at {failed.base_url} closed the connection without an answer ({reason})."
        return _error(errors.unreachable, failed, said, advice.no_answer, "stream_reset")

    def _unreachable(self, failed: FailedRequest) -> RemoteError:
        what, error_type = _UNREACHABLE[failed.failure]
        told = what.format(reason=failed.reason or failed.failure.value, limit=failed.connect_timeout_s)
        message = f"Could not reach {self.server} at {failed.base_url}: {told}."
        is_timeout = failed.failure is Failure.CONNECT_TIMEOUT
        cls = self.errors.connect_timeout if is_timeout else self.errors.unreachable
        suggestion = "Allow more open files (ulimit -n), or lower max_concurrency."
        if failed.failure is not Failure.NOTHING_LEFT:
            suggestion = self.advice.unreachable[failed.failure]
        return _error(cls, failed, message, suggestion, error_type)

    # -- an answer that does not come as it should ---------------------------------------------------------------

    def cut_off(self, *, model: str | None) -> RemoteError:
        said = f"The answer was cut off in the middle of {self.pieces}."
        return self._failed(self.errors.interrupted, said, self.advice.cut_off, model)

    def request_too_late(self, what: str, timeout_s: float, *, model: str | None) -> RemoteError:
        said = f"{what} took longer than {timeout_s:g} s."
        return self._failed(self.errors.request_timeout, said, self.advice.too_late, model)

    def too_late(self, passed: LimitPassedError, *, model: str | None) -> RemoteError:
        errors, limit = self.errors, f"{passed.limit_s:g} s"
        if passed.name == "total":
            said = f"The answer took longer than {limit}."
            shorter = "Raise total_timeout, or ask for a shorter answer (max_tokens)."
            return self._failed(errors.request_timeout, said, shorter, model)
        if passed.name == "idle":
            said = f"The answer stopped: nothing came for {limit}."
            return self._failed(errors.inter_token_timeout, said, "Retry, or raise idle_timeout.", model)
        said = f"Nothing of the answer came within {limit}."
        suggestion = self.advice.first_token.format(model=model or "MODEL")
        return self._failed(errors.first_token_timeout, said, suggestion, model)

    def _failed(
        self, cls: type[RemoteError], message: str, suggestion: str | None, model: str | None
    ) -> RemoteError:
        return cls(message, model=model, base_url=self.base_url, suggestion=suggestion)


def _error(
    cls: type[RemoteError],
    failed: FailedRequest,
    message: str,
    suggestion: str | None,
    error_type: str | None = None,
) -> RemoteError:
    return cls(
        message,
        model=failed.model,
        base_url=failed.base_url,
        suggestion=suggestion,
        original_error=failed.exception,
        error_type=error_type,
    )
