"""HTTP to one Ollama server: the shared client with every failure an OllamaError."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaConnectTimeoutError,
    OllamaError,
    OllamaFirstTokenTimeoutError,
    OllamaInterTokenTimeoutError,
    OllamaRequestTimeoutError,
    OllamaServerUnreachableError,
    OllamaStreamInterruptedError,
)
from namel3ss.providers.local.ollama._refusals import error_from_answer
from namel3ss.providers.remote_http import ErrorTypes, FailureAdvice, RemoteHttp
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OllamaHttp"]

_START: Final = "Start it with: ollama serve\nOr check base_url and NAMEL3SS_OLLAMA_BASE_URL."


class OllamaHttp(RemoteHttp):
    """Requests to the Ollama server at `base_url`; see `RemoteHttp`."""

    accept: ClassVar[str] = "application/x-ndjson, application/json"
    pieces: ClassVar[str] = "a line"
    server: ClassVar[str] = "Ollama server"
    errors: ClassVar[ErrorTypes] = ErrorTypes(
        unreachable=OllamaServerUnreachableError,
        connect_timeout=OllamaConnectTimeoutError,
        bad_response=OllamaBadResponseError,
        interrupted=OllamaStreamInterruptedError,
        first_token_timeout=OllamaFirstTokenTimeoutError,
        inter_token_timeout=OllamaInterTokenTimeoutError,
        request_timeout=OllamaRequestTimeoutError,
    )
    advice: ClassVar[FailureAdvice] = FailureAdvice(
        unreachable={
            Failure.REFUSED: _START,
            Failure.UNKNOWN_HOST: "Check the host in base_url; on this machine: ollama serve",
            Failure.TLS: "Ollama itself speaks plain http; https needs a proxy with a certificate that this machine trusts.",
            Failure.PROXY: "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names it. To do without it for this server, name the"
            " host in NO_PROXY.",
            Failure.ADDRESS: "Write it like http://localhost:11434",
            Failure.CONNECT_TIMEOUT: f"{_START} A firewall may also swallow the packets.",
        },
        no_answer="Retry. If it happens again, look at the server's log; is it Ollama (ollama serve)?",
        lost="Retry. If it happens again, look at the server's log.",
        not_http="Is this the address of an Ollama server? Something else may listen there.",
        not_an_answer="Is this the address of an Ollama server? A proxy before it may have answered instead.",
        cut_off="Retry. If a proxy stands before the server, look at its limits and its log.",
        first_token="The model may still be loading, or other requests come first: look with ollama ps, or raise"
        " first_token_timeout. If nothing else runs, the server may have lost its slot for this model; unloading"
        " helps: ollama stop {model}",
    )

    def error_from_answer(
        self, status: int, headers: Mapping[str, str], body: bytes, *, model: str | None
    ) -> OllamaError:
        return error_from_answer(status, headers, body, model=model, base_url=self.base_url)
