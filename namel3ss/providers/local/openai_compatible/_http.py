"""HTTP to one such server: the shared client (`namel3ss.providers.transport`) with this protocol's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from namel3ss.providers.local.openai_compatible._errors import (
    OpenAICompatibleBadResponseError,
    OpenAICompatibleError,
    OpenAICompatibleFirstTokenTimeoutError,
    OpenAICompatibleInterTokenTimeoutError,
    OpenAICompatibleRequestTimeoutError,
    OpenAICompatibleStreamInterruptedError,
)
from namel3ss.providers.local.openai_compatible._failures import error_of
from namel3ss.providers.local.openai_compatible._refusals import (
    error_from_answer,
    error_from_refusal,
    find_refusal,
)
from namel3ss.providers.transport.client import HttpClient
from namel3ss.providers.transport.wording import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from namel3ss.providers.local.openai_compatible._kinds import Kind
    from namel3ss.providers.transport.failure_kinds import FailedRequest
    from namel3ss.providers.transport.limits import LimitPassedError

__all__ = ["CompatibleHttp"]

_SHORTEST_SECRET: Final = 6
_HIDDEN: Final = b"[secret]"


class CompatibleHttp(HttpClient):
    """Requests to the server at `base_url`, whose `headers` are secret: what a server says of them is not repeated."""

    accept: ClassVar[str] = "application/json, text/event-stream"

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
        words = {word for value in headers.values() for word in (value, *value.split())}
        self._secrets = sorted(
            (word.encode() for word in words if len(word) >= _SHORTEST_SECRET), key=len, reverse=True
        )

    def without_secrets(self, data: bytes) -> bytes:
        """What a server said, without the keys that it may have repeated."""
        for secret in self._secrets:
            data = data.replace(secret, _HIDDEN)
        return data

    def transport_error(self, failed: FailedRequest) -> OpenAICompatibleError:
        return error_of(failed, self.kind)

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, model: str | None
    ) -> OpenAICompatibleError:
        return error_from_answer(
            status,
            headers,
            self.without_secrets(body),
            model=model,
            base_url=self.base_url,
            kind=self.kind,
        )

    def refusal_in(self, data: bytes, *, model: str | None) -> OpenAICompatibleError | None:
        """The error that a document inside a successful answer tells of; None where it tells of none."""
        try:
            refusal = find_refusal(msgspec.json.decode(self.without_secrets(data)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if refusal is None:
            return None
        return error_from_refusal(refusal, status=None, model=model, base_url=self.base_url, kind=self.kind)

    def bad_response(self, what: str, beginning: bytes, *, model: str | None) -> OpenAICompatibleError:
        return self.refusal_in(beginning, model=model) or OpenAICompatibleBadResponseError(
            f"{what}: {quote(self.without_secrets(beginning))}",
            model=model,
            base_url=self.base_url,
            suggestion="Is this the address of such a server? A proxy before it may have answered instead.",
        )

    def cut_off(self, *, model: str | None) -> OpenAICompatibleError:
        return OpenAICompatibleStreamInterruptedError(
            "The answer was cut off in the middle of an event.",
            model=model,
            base_url=self.base_url,
            suggestion="Retry. If a proxy stands before the server, look at its limits and its log.",
        )

    def request_too_late(self, what: str, timeout_s: float, *, model: str | None) -> OpenAICompatibleError:
        return OpenAICompatibleRequestTimeoutError(
            f"{what} took longer than {timeout_s:g} s.", model=model, base_url=self.base_url
        )

    def too_late(self, passed: LimitPassedError, *, model: str | None) -> OpenAICompatibleError:
        limit = f"{passed.limit_s:g} s"
        if passed.name == "total":
            return OpenAICompatibleRequestTimeoutError(
                f"The answer took longer than {limit}.",
                model=model,
                base_url=self.base_url,
                suggestion="Raise total_timeout, or ask for a shorter answer (max_tokens).",
            )
        if passed.name == "idle":
            return OpenAICompatibleInterTokenTimeoutError(
                f"The answer stopped: nothing came for {limit}.",
                model=model,
                base_url=self.base_url,
                suggestion="Retry, or raise idle_timeout.",
            )
        return OpenAICompatibleFirstTokenTimeoutError(
            f"Nothing of the answer came within {limit}.",
            model=model,
            base_url=self.base_url,
            suggestion="The server may still be loading the model, or other requests come first; raise"
            " first_token_timeout to wait longer.",
        )
