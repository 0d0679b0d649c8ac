"""A bridge from an application's settings: the `api` section of its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from namel3ss.bridge.ollama import OllamaBridge
from namel3ss.errors import UsageError
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from namel3ss.scheduling import RequestQueue

__all__ = ["bridge_for"]

_PROVIDERS: Final = ("ollama",)
_KEYS: Final = ("provider", "model", "ollama_url", "ollama_model", "temperature", "max_tokens", "timeout")


def bridge_for(settings: Mapping[str, Any], *, queue: RequestQueue | None = None) -> OllamaBridge:
    """The bridge that the settings ask for: a configuration with an ``api`` section, or that section itself.

    Keys: ``provider``, ``ollama_url``, ``ollama_model``, ``temperature``, ``max_tokens``, ``timeout`` (seconds); ``model``
    is another provider's and is not used for Ollama. Raises UsageError for a missing or unknown provider, key or value:
    nothing falls back to a cloud.
    """
    api = settings.get("api", settings)
    if not isinstance(api, Mapping):
        raise UsageError(f"The section `api` must be a map, not a value of type {type(api).__name__}.")
    for key in api:
        if key not in _KEYS:
            raise UsageError(f"The section `api` has no `{key}`.", suggestion=_hint(str(key), _KEYS))
    _check_provider(api.get("provider"))
    model = api.get("ollama_model")
    if not isinstance(model, str) or not model.strip():
        raise UsageError(
            "provider `ollama` needs `ollama_model`, the name of a model that it has.",
            suggestion="Write for example ollama_model: llama3:8b; `ollama list` shows what is installed.",
        )
    url = api.get("ollama_url")
    if url is not None and not isinstance(url, str):
        raise UsageError(f"ollama_url must be a URL, not {url!r:.40}.")
    given = {name: _number(api, name) for name in ("temperature", "max_tokens", "timeout") if name in api}
    return OllamaBridge(url, model, queue, **given)  # type: ignore[arg-type]  # checked one by one


def _check_provider(provider: object) -> None:
    if provider is None:
        raise UsageError("The section `api` names no `provider`.", suggestion=f"Write one of: {_known()}.")
    if not isinstance(provider, str) or provider.strip().lower() not in _PROVIDERS:
        raise UsageError(
            f"There is no provider `{provider!s:.40}`.",
            suggestion=_hint(str(provider), _PROVIDERS),
        )


def _number(api: Mapping[str, Any], name: str) -> float | int:
    value = api[name]
    kinds = (int,) if name == "max_tokens" else (int, float)
    if (
        isinstance(value, bool)
        or not isinstance(value, kinds)
        or value < 0
        or (value == 0 and name != "temperature")
    ):
        what = "whole number of at least 1" if name == "max_tokens" else "number"
        raise UsageError(f"{name} must be a {what}, not {value!r:.40}.")
    return value


def _hint(word: str, candidates: tuple[str, ...]) -> str:
    near = closest(word, candidates)
    meant = f"Did you mean `{near[0]}`? " if near else ""
    return f"{meant}There are: {', '.join(candidates)}."


def _known() -> str:
    return ", ".join(_PROVIDERS)
