"""HTTP to one Ollama server: the shared client (`namel3ss.providers.transport`) with every failure an OllamaError."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaError,
    OllamaFirstTokenTimeoutError,
    OllamaInterTokenTimeoutError,
    OllamaRequestTimeoutError,
    OllamaStreamInterruptedError,
)
from namel3ss.providers.local.ollama._failures import error_of
from namel3ss.providers.local.ollama._refusals import error_from_answer
from namel3ss.providers.transport.client import HttpClient
from namel3ss.providers.transport.wording import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.providers.transport.failure_kinds import FailedRequest
    from namel3ss.providers.transport.limits import LimitPassedError

__all__ = ["OllamaHttp"]


class OllamaHttp(HttpClient):
    """Requests to the Ollama server at `base_url`; see `HttpClient`."""

    accept: ClassVar[str] = "application/x-ndjson, application/json"

    def transport_error(self, failed: FailedRequest) -> OllamaError:
        return error_of(failed)

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, model: str | None
    ) -> OllamaError:
        return error_from_answer(status, headers, body, model=model, base_url=self.base_url)

    def bad_response(self, what: str, beginning: bytes, *, model: str | None) -> OllamaBadResponseError:
        return OllamaBadResponseError(
            f"{what}: {quote(beginning)}",
            model=model,
            base_url=self.base_url,
            suggestion="Is this the address of an Ollama server? A proxy before it may have answered instead.",
        )

    def cut_off(self, *, model: str | None) -> OllamaStreamInterruptedError:
        return OllamaStreamInterruptedError(
            "The answer was cut off in the middle of a line.",
            model=model,
            base_url=self.base_url,
            suggestion="Retry. If a proxy stands before the server, look at its limits and its log.",
        )

    def request_too_late(
        self, what: str, timeout_s: float, *, model: str | None
    ) -> OllamaRequestTimeoutError:
        return OllamaRequestTimeoutError(
            f"{what} took longer than {timeout_s:g} s.", model=model, base_url=self.base_url
        )

    def too_late(self, passed: LimitPassedError, *, model: str | None) -> OllamaError:
        limit = f"{passed.limit_s:g} s"
        if passed.name == "total":
            return OllamaRequestTimeoutError(
                f"The answer took longer than {limit}.",
                model=model,
                base_url=self.base_url,
                suggestion="Raise total_timeout, or ask for a shorter answer (max_tokens).",
            )
        if passed.name == "idle":
            return OllamaInterTokenTimeoutError(
                f"The answer stopped: nothing came for {limit}.",
                model=model,
                base_url=self.base_url,
                suggestion="Retry, or raise idle_timeout.",
            )
        return OllamaFirstTokenTimeoutError(
            f"Nothing of the answer came within {limit}.",
            model=model,
            base_url=self.base_url,
            suggestion="The model may still be loading, or other requests come first: look with ollama ps, or raise"
            " first_token_timeout. If nothing else runs, the server may have lost its slot for this model; unloading"
            f" helps: ollama stop {model or 'MODEL'}",
        )
