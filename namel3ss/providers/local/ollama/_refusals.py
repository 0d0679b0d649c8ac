"""What a server says when it refuses, and the error each text becomes: one table.

The texts are those of recorded and published servers; several versions word the same thing differently. A text
that nobody knows keeps its words and gets its class from the HTTP status.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from namel3ss.providers.local.ollama._errors import (
    OllamaAuthError,
    OllamaBadResponseError,
    OllamaCapabilityError,
    OllamaContextWindowExceededError,
    OllamaDiskFullError,
    OllamaError,
    OllamaManifestUnknownError,
    OllamaModelNotFoundError,
    OllamaModelPullError,
    OllamaOutOfMemoryError,
    OllamaRequestError,
    OllamaRunnerError,
    OllamaServerBusyError,
    OllamaServerError,
)
from namel3ss.providers.transport.wording import quote, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["error_from_answer", "error_from_text", "text_of_error"]


@dataclass(frozen=True, slots=True)
class _Refusal:
    """One refusal: the server's text (bounded), the status (None inside a stream that names none), the model, the address."""

    text: str
    status: int | None
    model: str | None
    base_url: str

    def error(
        self, cls: type[OllamaError], message: str, suggestion: str | None, model: str | None = None
    ) -> OllamaError:
        return cls(
            message,
            model=model or self.model,
            base_url=self.base_url,
            suggestion=suggestion,
            status=self.status,
        )


_Maker: TypeAlias = Callable[["_Refusal", "re.Match[str]"], OllamaError]


def _says(cls: type[OllamaError], message: str, suggestion: str | None = None) -> _Maker:
    """A maker whose message quotes the server (``{text}``) and names the model (``{model}``)."""

    def make(refusal: _Refusal, match: re.Match[str]) -> OllamaError:
        return refusal.error(cls, message.format(text=refusal.text, model=refusal.model), suggestion)

    return make


def _overflow(refusal: _Refusal, match: re.Match[str]) -> OllamaError:
    numbers = {key: int(value) for key, value in match.groupdict().items() if value}
    window = numbers.get("window")
    return OllamaContextWindowExceededError(
        "Input is too large for model's context window.",
        model=refusal.model,
        base_url=refusal.base_url,
        suggestion="Shorten the input, or raise num_ctx.",
        status=refusal.status,
        window=window,
        window_source="the server's answer" if window else "unknown",
        prompt_tokens=numbers.get("prompt"),
    )


def _not_found(refusal: _Refusal, match: re.Match[str]) -> OllamaError:
    model = match["name"] or refusal.model or ""
    return refusal.error(
        OllamaModelNotFoundError,
        f"Ollama model '{model}' is not available locally.",
        f"Run: ollama pull {model}",
        model=model,
    )


def _capability(refusal: _Refusal, match: re.Match[str]) -> OllamaError:
    what = match["what"]
    return refusal.error(
        OllamaCapabilityError,
        f"Ollama model '{refusal.model}' does not support {what}.",
        f"Choose a model that supports {what} (ollama show MODEL lists what a model can do), or leave it out.",
    )


_OUT_OF_MEMORY = (
    r"requires more system memory|out of memory|cudaMalloc|unable to allocate|failed to allocate|not enough memory"
    r"|insufficient memory|signal: killed|resource limitations|cannot allocate memory"
)
_RUNNER = (
    r"process has terminated|process no longer running|runner has unexpectedly stopped"
    r"|error was encountered while running the model|timed out waiting for .* to start|error starting (?:llama|runner)"
    r"|binary not found|unable to load model|error loading model|failed to load model|may be incompatible"
)
_LESS_MEMORY = "Use a smaller model, a smaller num_ctx, or free memory (ollama ps shows what is loaded)."

# First match wins; the search ignores case.
_TABLE: tuple[tuple[re.Pattern[str], _Maker], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), maker)
    for pattern, maker in (
        # Before all others: these quote what the request said, which may be the words of any row below.
        (
            r"^invalid format:|^option \".*\" must be of |^template: |^template error",
            _says(OllamaRequestError, "The Ollama server refuses the request: {text}"),
        ),
        (
            r"request \((?P<prompt>\d+) tokens\) exceeds the available context size \((?P<window>\d+) tokens\)",
            _overflow,
        ),
        (
            r"exceed_context_size_error|exceeds the available context size"
            r"|prompt is longer than the context length currently available"
            r"|input length exceeds the context length|exceeds maximum context length",
            _overflow,
        ),
        (r"""^model (?P<q>['"])(?P<name>.*?)(?P=q) not found""", _not_found),
        (
            r"pull model manifest: (?:file does not exist|.*not found|.*manifest unknown)",
            _says(
                OllamaManifestUnknownError,
                "The registry has no model '{model}'.",
                "Check the name and the tag on https://ollama.com/library.",
            ),
        ),
        (
            r"no space left on device|disk quota exceeded|not enough space",
            _says(
                OllamaDiskFullError,
                "The disk of the Ollama server is full: {text}",
                "Free space where the server keeps its models (OLLAMA_MODELS), or remove one: ollama rm NAME",
            ),
        ),
        (
            r"pull model manifest: .*(?:dial tcp|no such host|connection refused|i/o timeout|TLS handshake)",
            _says(
                OllamaModelPullError,
                "The model '{model}' could not be pulled: {text}",
                "The server could not reach its registry: check its network connection, and HTTPS_PROXY where it needs one.",
            ),
        ),
        (
            r"pull model manifest|max retries exceeded|digest mismatch, file must be downloaded again",
            _says(
                OllamaModelPullError,
                "The model '{model}' could not be pulled: {text}",
                "Pull again; what was downloaded is kept.",
            ),
        ),
        (r"does not support (?P<what>[a-z ]+)", _capability),
        (
            r"image generation models are not currently supported|only supports one image",
            _says(OllamaCapabilityError, "Ollama model '{model}' refuses the request: {text}"),
        ),
        (
            r"server busy|maximum pending requests exceeded",
            _says(
                OllamaServerBusyError,
                "The Ollama server is busy: its queue is full.",
                "Retry in a moment, or lower max_concurrency.",
            ),
        ),
        (
            r"cloud is disabled",
            _says(
                OllamaAuthError,
                "The Ollama server refuses to run '{model}': {text}",
                "Use a local model, or allow cloud models on the server (OLLAMA_NO_CLOUD).",
            ),
        ),
        (
            _OUT_OF_MEMORY,
            _says(
                OllamaOutOfMemoryError,
                "Not enough memory to run Ollama model '{model}': {text}",
                _LESS_MEMORY,
            ),
        ),
        (
            _RUNNER,
            _says(
                OllamaRunnerError,
                "Ollama could not run model '{model}': {text}",
                "Look at the server's log. Retry; if it happens again, " + _LESS_MEMORY[:1].lower() + _LESS_MEMORY[1:],
            ),
        ),
        (
            r"^invalid model name|^(?:name|source|destination) \".*\" is invalid",
            _says(
                OllamaRequestError,
                "'{model}' is not a model name: {text}",
                "A name looks like llama3:8b or namespace/model:tag.",
            ),
        ),
        (
            r"^invalid JSON schema in format",  # with HTTP 500, though it is the request that is wrong
            _says(
                OllamaRequestError,
                "The Ollama server cannot read the JSON Schema in format.",
                "Check its types and references; the server knows only part of JSON Schema.",
            ),
        ),
    )
)  # fmt: skip


def error_from_text(text: str, *, status: int | None, model: str | None, base_url: str) -> OllamaError:
    """The error for what a server wrote under ``error``. `status` is None for a line inside a stream that names none."""
    refusal = _Refusal(_inner_message(text), status, model, base_url)
    for pattern, make in _TABLE:
        if match := pattern.search(refusal.text):
            return make(refusal, match)
    return _error_from_status(refusal)


def _error_from_status(refusal: _Refusal) -> OllamaError:
    status, text = refusal.status, refusal.text
    said = f": {text}" if text else ""
    if status in (401, 403):
        return refusal.error(
            OllamaAuthError,
            f"The Ollama server refuses this client (HTTP {status}){said}",
            "A server on a loopback address refuses foreign Host headers: use its own address, or let the proxy"
            " before it send Host: localhost."
            if status == 403 and not text
            else "Check api_key and headers.",
        )
    if status in (429, 503):
        return refusal.error(
            OllamaServerBusyError, f"The Ollama server is busy (HTTP {status}){said}", "Retry in a moment."
        )
    if status is not None and 400 <= status < 500:
        return refusal.error(OllamaRequestError, f"The Ollama server refuses the request{said}", None)
    where = f" (HTTP {status})" if status is not None else ""
    return refusal.error(
        OllamaServerError, f"The Ollama server failed{where}{said}", "Look at the server's log."
    )


def error_from_answer(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    model: str | None,
    base_url: str,
) -> OllamaError:
    """The error for an answer whose status is not a success. `body` may be only the beginning of what was sent."""
    error = _error_from_answer(status, headers, body, model, base_url)
    if isinstance(error, OllamaServerBusyError):
        error.retry_after_s = retry_after_s(headers.get("retry-after"))
    return error


def _error_from_answer(
    status: int, headers: Mapping[str, str], body: bytes, model: str | None, base_url: str
) -> OllamaError:
    if 300 <= status < 400:
        return OllamaBadResponseError(
            f"The server answers with a redirect (HTTP {status}) to {headers.get('location', 'nowhere')!r}.",
            model=model,
            base_url=base_url,
            suggestion="Redirects are not followed: use the final address as base_url.",
            status=status,
        )
    text = _error_text(body)
    if text is not None:
        return error_from_text(text, status=status, model=model, base_url=base_url)
    if status in (404, 405):
        return OllamaBadResponseError(
            f"The server does not know this path of Ollama's API (HTTP {status}): {quote(body)}",
            model=model,
            base_url=base_url,
            suggestion="Check base_url: it is the address of the server, without /api or /v1. An old server may also"
            " lack the call.",
            status=status,
        )
    if status in (401, 403, 429, 503):
        return _error_from_status(_Refusal(quote(body) if body else "", status, model, base_url))
    return OllamaBadResponseError(
        f"HTTP {status}, and the answer is not Ollama's: {quote(body)}",
        model=model,
        base_url=base_url,
        suggestion="A proxy may stand before the server; look at its log.",
        status=status,
    )


def _error_text(body: bytes) -> str | None:
    """What stands under ``error`` in a JSON body; None when the body is something else."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(document, dict) or "error" not in document:
        return None
    return text_of_error(document["error"])


def text_of_error(error: object) -> str:
    """The words of an ``error`` value, at their length: a string, or an object with a ``message`` as gateways send it."""
    if isinstance(error, dict):
        error = error.get("message", error)
    return error if isinstance(error, str) else msgspec.json.encode(error).decode()


def _inner_message(text: str) -> str:
    """llama-server's own JSON arrives as text inside Ollama's error: its message, or the text as it is."""
    bounded = text.strip()[:4000]
    start = bounded.find('{"error"')
    if start >= 0:
        inner = _error_text(bounded[start:].encode())
        if inner:
            kind = "exceed_context_size_error: " if "exceed_context_size_error" in bounded else ""
            return f"{kind}{_with_numbers(bounded, inner)}"
    return bounded[:500]


def _with_numbers(outer: str, message: str) -> str:
    """The message, with the counts of the object beside it where the words lack them."""
    if re.search(r"request \(\d+ tokens\)", message):
        return message
    prompt = re.search(r'"n_prompt_tokens"\s*:\s*(\d+)', outer)
    window = re.search(r'"n_ctx"\s*:\s*(\d+)', outer)
    if prompt and window:
        return f"request ({prompt[1]} tokens) exceeds the available context size ({window[1]} tokens)"
    return message
