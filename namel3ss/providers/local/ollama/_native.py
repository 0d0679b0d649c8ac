"""Ollama's own JSON, in and out, for those who speak it themselves: queues, bridges, proxies.

What `OllamaProvider` adds to a request (settings, retries, pulls, context checks, metrics) is not here; what makes an
answer trustworthy is: every failure is an OllamaError, and an answer without its last line is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from namel3ss.errors import UsageError
from namel3ss.providers.call_parts import check_finite
from namel3ss.providers.local.ollama._address import resolve_address
from namel3ss.providers.local.ollama._errors import (
    OllamaError,
    OllamaStreamInterruptedError,
)
from namel3ss.providers.local.ollama._http import OllamaHttp
from namel3ss.providers.local.ollama._refusals import error_from_text, text_of_error
from namel3ss.providers.local.ollama._requests import OPTION_NAMES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

__all__ = ["NativeBody", "OllamaConnection", "native_body"]

NativeBody = dict[str, Any]

# What other APIs call it → Ollama's option.
_OTHER_NAMES: Final = {"max_tokens": "num_predict"}


def native_body(body: Mapping[str, Any], *, stream: bool) -> NativeBody:
    """A request as Ollama understands it, made from one that may have its settings in the wrong place.

    Generation settings at top level, where Ollama ignores them without a word, move into ``options``, `max_tokens` as
    `num_predict` and a `stop` that is one text as a list; what ``options`` says already stays. A setting that is None is
    left out. `body` is not changed. Raises UsageError for options that are no object or hold no finite number.
    """
    options = body.get("options") or {}
    if not isinstance(options, dict):
        raise UsageError(f"body.options must be an object, not a value of type {type(options).__name__}.")
    moved: dict[str, Any] = {}
    native: NativeBody = {}
    for name, value in body.items():
        option = _OTHER_NAMES.get(name, name)
        if option not in OPTION_NAMES:
            native[name] = value
        elif value is not None:
            moved[option] = [value] if option == "stop" and isinstance(value, str) else value
    if moved or options:
        native["options"] = moved | options
        check_finite(native["options"], "body.options")
    native["stream"] = stream
    return native


class OllamaConnection:
    """Requests to the server at `base_url`; without one, at the address that the environment names.

    Lives until `aclose()`. Works in several event loops. A limit of None means none. `headers` go with every request;
    a user and password in the address become one where they name none.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        connect_timeout_s: float = 5.0,
    ) -> None:
        address = resolve_address(base_url)
        sent = dict(headers or {})
        if address.authorization and not any(name.lower() == "authorization" for name in sent):
            sent["Authorization"] = address.authorization
        self._http = OllamaHttp(address.url, headers=sent, connect_timeout_s=connect_timeout_s)

    @property
    def base_url(self) -> str:
        """The address in its usual form, without user and password."""
        return self._http.base_url

    async def request(self, path: str, body: Mapping[str, Any], *, timeout_s: float | None) -> NativeBody:
        """The whole answer to a request that is not streamed. Raises OllamaError."""
        model = _model_of(body)
        data = await self._http.request("POST", path, body, timeout_s=timeout_s)
        answer = self._decode(data, model)
        if answer.get("done") is False:
            raise self._interrupted(model)
        return answer

    async def look(self, path: str, *, timeout_s: float | None) -> NativeBody:
        """What the server says when it is only asked: ``/api/tags``, ``/api/ps``, ``/api/version``. Raises OllamaError."""
        return self._decode(await self._http.request("GET", path, timeout_s=timeout_s), None)

    async def stream(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        first_timeout_s: float | None,
        idle_timeout_s: float | None,
        total_timeout_s: float | None,
    ) -> AsyncGenerator[NativeBody, None]:
        """The objects of a streamed answer as they come, the one with ``done: true`` last. Raises OllamaError.

        Close it (`contextlib.aclosing`) when leaving early: that closes the connection, which stops the server.
        """
        model = _model_of(body)
        lines = self._http.stream(
            "POST",
            path,
            body,
            first_timeout_s=first_timeout_s,
            idle_timeout_s=idle_timeout_s,
            total_timeout_s=total_timeout_s,
        )
        async with lines:
            async for batch in lines:
                for line in batch:
                    piece = self._decode(line, model)
                    yield piece
                    if piece.get("done") is True:
                        await lines.finish()
                        return
        raise self._interrupted(model)

    async def aclose(self) -> None:
        """Close the connections of the running loop. Idempotent."""
        await self._http.aclose()

    def __repr__(self) -> str:
        return f"<OllamaConnection to {self.base_url}>"

    def _decode(self, data: bytes, model: str | None) -> NativeBody:
        try:
            piece = msgspec.json.decode(data, type=NativeBody)
        except (ValueError, RecursionError) as problem:
            raise self._http.bad_response(
                "The answer is not an object of Ollama's", data, model=model
            ) from problem
        if (error := piece.get("error")) is not None:
            raise self._http.without_secrets(
                error_from_text(
                    self._http.secrets.hide_in_text(text_of_error(error)),
                    status=None,
                    model=model,
                    base_url=self.base_url,
                )
            )
        return piece

    def _interrupted(self, model: str | None) -> OllamaError:
        return OllamaStreamInterruptedError(
            "The answer ended without its last line; it is incomplete.",
            model=model,
            base_url=self.base_url,
            suggestion="Retry. If it happens again, look at the server's log.",
        )


def _model_of(body: Mapping[str, Any]) -> str | None:
    name = body.get("model")
    return name if isinstance(name, str) else None
