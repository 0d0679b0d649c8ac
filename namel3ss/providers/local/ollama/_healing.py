"""A model that does not answer: why that may be, and how to get it back.

A server can lose the only slot of a loaded model, when a client leaves at the instant it is handed a piece. Every later
request to that model then waits for ever, while the server itself is well. Unloading the model cures it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaCapabilityError,
    OllamaError,
    OllamaFirstTokenTimeoutError,
    OllamaRequestTimeoutError,
)
from namel3ss.providers.local.ollama._models import model_names
from namel3ss.providers.local.ollama._names import find_model
from namel3ss.providers.transport.wording import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.providers.local.ollama._http import OllamaHttp
    from namel3ss.providers.local.ollama._models import OllamaModelManager

__all__ = ["explain_silence", "heal"]

_QUESTION_S: Final = 2.0  # a server that is well lists its loaded models in milliseconds
_UNLOAD_S: Final = 10.0
_FIRST_LOOK_S: Final = 0.02
_LONGEST_LOOK_S: Final = 0.5


async def explain_silence(
    error: OllamaFirstTokenTimeoutError, models: OllamaModelManager, model: str, *, own_requests: int
) -> None:
    """Say in `error` what the server was doing instead of answering, as far as it tells.

    `own_requests`: how many other requests of this program run on the model now.
    """
    error.model_state = await _state(models, model)
    if error.model_state == "unknown":
        found = "The server does not say either what it is doing (/api/ps)."
        advice = "Look at the server: it may be overloaded, or stand still and need a restart."
    elif error.model_state == "loading":
        found = f"Model '{model}' is still loading: the server does not list it as loaded (/api/ps)."
        advice = (
            "Retry in a moment, raise first_token_timeout, or load it beforehand: await provider.warm_up()"
        )
    elif own_requests:
        found = (
            f"Model '{model}' is loaded and busy: {own_requests} more of this program's requests run on it."
        )
        advice = "Lower max_concurrency, raise first_token_timeout, or let the server do more at once (OLLAMA_NUM_PARALLEL)."
    else:
        # Ollama lists a model as soon as its load has begun.
        found = (
            f"Model '{model}' is listed as loaded (/api/ps), so it is loading or busy; nothing else of this program"
            " runs on it."
        )
        advice = (
            "It may still be loading, or other programs keep it busy: retry, or raise first_token_timeout. If nobody"
            " else uses it, the server has lost the model's slot and will not answer again until the model is unloaded:"
            f" await provider.heal_model(), or: ollama stop {model}"
        )
    error.message = f"{error.message} {found}"
    error.args = (error.message,)
    error.suggestion = advice


async def _state(models: OllamaModelManager, model: str) -> str:
    names = await _loaded(models)
    if names is None:
        return "unknown"
    return "loading" if find_model(model, names) is None else "loaded"


async def _loaded(models: OllamaModelManager) -> list[str] | None:
    """The names of the loaded models; None where the server does not tell."""
    try:
        async with asyncio.timeout(_QUESTION_S):
            return model_names(await models.running_models())
    except (OllamaError, TimeoutError, RuntimeError):  # a RuntimeError: the provider was closed meanwhile
        return None


async def heal(
    http: OllamaHttp,
    models: OllamaModelManager,
    model: str,
    *,
    options: Mapping[str, object],
    timeout_s: float | None,
) -> None:
    """Unload a model, wait until it is gone, and have it answer with one token.

    `options` are those of the requests to come, so that it is loaded as they need it. Raises OllamaError: when the model
    still does not answer within `timeout_s`, OllamaFirstTokenTimeoutError.
    """
    await models.unload(model)
    await _wait_until_unloaded(models, model)
    body: dict[str, object] = {"model": model, "stream": False}
    if options:
        body["options"] = dict(options)
    one_token = {**body, "prompt": ".", "options": {**options, "num_predict": 1}}
    try:
        try:
            answer = await http.request("POST", "/api/generate", one_token, timeout_s=timeout_s)
        except OllamaCapabilityError:  # it only embeds
            await http.request("POST", "/api/embed", {**body, "input": "."}, timeout_s=timeout_s)
            return
    except OllamaRequestTimeoutError as error:
        silence = OllamaFirstTokenTimeoutError(
            f"Model '{model}' was unloaded, and still does not answer within {timeout_s:g} s.",
            model=model,
            base_url=http.base_url,
            suggestion="Restart the server.",
        )
        silence.model_state = await _state(models, model)
        raise silence from error
    if not _is_complete(answer):
        raise http.without_secrets(
            OllamaBadResponseError(
                f"Model '{model}' was unloaded, and its first answer is not complete: {quote(http.secrets.hide(answer))}",
                model=model,
                base_url=http.base_url,
                suggestion="Look at the server's log.",
            )
        )


async def _wait_until_unloaded(models: OllamaModelManager, model: str) -> None:
    """Wait until the model is gone, but not for ever: somebody else may have loaded it again already."""
    pause_s = _FIRST_LOOK_S
    try:
        async with asyncio.timeout(_UNLOAD_S):
            while (names := await _loaded(models)) is None or find_model(model, names) is not None:
                await asyncio.sleep(pause_s)
                pause_s = min(_LONGEST_LOOK_S, 2 * pause_s)
    except TimeoutError:
        pass  # the probe that follows decides


def _is_complete(answer: bytes) -> bool:
    try:
        document = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("done") is True
