"""HTTP to one such server: the shared client with this protocol's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from namel3ss.providers.local.openai_compatible._errors import (
    OpenAICompatibleBadResponseError,
    OpenAICompatibleConnectTimeoutError,
    OpenAICompatibleError,
    OpenAICompatibleFirstTokenTimeoutError,
    OpenAICompatibleInterTokenTimeoutError,
    OpenAICompatibleRequestTimeoutError,
    OpenAICompatibleStreamInterruptedError,
    OpenAICompatibleUnreachableError,
)
from namel3ss.providers.local.openai_compatible._refusals import (
    error_from_answer,
    error_from_refusal,
    find_refusal,
)
from namel3ss.providers.remote_http import ErrorTypes, FailureAdvice, RemoteHttp
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from namel3ss.providers.local.openai_compatible._kinds import Kind
    from namel3ss.providers.remote_errors import RemoteError

__all__ = ["CompatibleHttp"]

_RUNS: Final = "Check that the server runs, and base_url."


class CompatibleHttp(RemoteHttp):
    """Requests to the server of that `kind` at `base_url`; see `RemoteHttp`."""

    accept: ClassVar[str] = "application/json, text/event-stream"
    pieces: ClassVar[str] = "an event"
    errors: ClassVar[ErrorTypes] = ErrorTypes(
        unreachable=OpenAICompatibleUnreachableError,
        connect_timeout=OpenAICompatibleConnectTimeoutError,
        bad_response=OpenAICompatibleBadResponseError,
        interrupted=OpenAICompatibleStreamInterruptedError,
        first_token_timeout=OpenAICompatibleFirstTokenTimeoutError,
        inter_token_timeout=OpenAICompatibleInterTokenTimeoutError,
        request_timeout=OpenAICompatibleRequestTimeoutError,
    )
    advice: ClassVar[FailureAdvice] = FailureAdvice(
        unreachable={
            Failure.REFUSED: _RUNS,
            Failure.UNKNOWN_HOST: "Check the host in base_url.",
            Failure.TLS: "Is it http that is spoken there? With https, this machine must trust the server's certificate.",
            Failure.PROXY: _RUNS,
            Failure.ADDRESS: "Write base_url like http://127.0.0.1:8000/v1",
            Failure.CONNECT_TIMEOUT: f"{_RUNS} A firewall may also swallow the packets.",
        },
        no_answer="Retry. If it happens again, look at the server's log.",
        lost="Retry. If it happens again, look at the server's log.",
        not_http="Check base_url: something else may listen there.",
        not_an_answer="Is this the address of such a server? A proxy before it may have answered instead.",
        cut_off="Retry. If a proxy stands before the server, look at its limits and its log.",
        first_token="The server may still be loading the model, or other requests come first; raise"
        " first_token_timeout to wait longer.",
    )

    def __init__(
        self,
        base_url: str,
        kind: Kind,
        *,
        headers: Mapping[str, str],
        connect_timeout_s: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(base_url, headers=headers, connect_timeout_s=connect_timeout_s, transport=transport)
        self.kind = kind

    @property
    def server(self) -> str:
        return f"the {self.kind.label} server"

    def error_from_answer(
        self, status: int, headers: Mapping[str, str], body: bytes, *, model: str | None
    ) -> OpenAICompatibleError:
        return error_from_answer(status, headers, body, model=model, base_url=self.base_url, kind=self.kind)

    def refusal_in(self, data: bytes, *, model: str | None) -> OpenAICompatibleError | None:
        """The error that a document inside a successful answer tells of; None where it tells of none."""
        try:
            refusal = find_refusal(msgspec.json.decode(self.secrets.hide(data)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if refusal is None:
            return None
        error = error_from_refusal(refusal, status=None, model=model, base_url=self.base_url, kind=self.kind)
        return self.without_secrets(error)

    def bad_response(self, what: str, beginning: bytes, *, model: str | None) -> RemoteError:
        return self.refusal_in(beginning, model=model) or super().bad_response(what, beginning, model=model)
