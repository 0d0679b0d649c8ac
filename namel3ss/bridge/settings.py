"""A bridge from an application's settings: the `api` section of its configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from namel3ss.bridge.anthropic import AnthropicBridge
from namel3ss.bridge.ollama import OllamaBridge
from namel3ss.errors import UsageError
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from namel3ss.bridge.base import Bridge
    from namel3ss.caching import ResponseCache
    from namel3ss.scheduling import RequestQueue

__all__ = ["PROVIDERS", "check_provider", "from_settings"]

PROVIDERS: Final = ("anthropic", "ollama")
_KEYS: Final = ("provider", "model", "ollama_url", "ollama_model", "temperature", "max_tokens", "timeout")


def from_settings(
    settings: Mapping[str, Any],
    *,
    queue: RequestQueue | None,
    cache: ResponseCache | None,
    environ: Mapping[str, str] | None,
) -> Bridge:
    """The bridge that a configuration with an ``api`` section, or that section itself, asks for."""
    api = settings.get("api", settings)
    if not isinstance(api, Mapping):
        raise UsageError(f"The section `api` must be a map, not a value of type {type(api).__name__}.")
    if "api" not in settings and "provider" not in settings and not any(key in _KEYS for key in settings):
        raise UsageError(
            "The settings have no section `api`.", suggestion="Write api:, and under it provider: ollama."
        )
    for key in api:
        if key not in _KEYS:
            raise UsageError(f"The section `api` has no `{key!s:.40}`.", suggestion=hint(str(key), _KEYS))
    provider = check_provider(api.get("provider"))
    numbers = ("temperature", "max_tokens", "timeout")
    given = {name: _number(api, name) for name in numbers if api.get(name) is not None}
    if provider == "ollama":
        model = _name(api, "ollama_model", "llama3:8b; `ollama list` shows what is installed")
        url = api.get("ollama_url")
        if url is not None and not isinstance(url, str):
            raise UsageError(f"ollama_url must be a URL, not {url!r:.40}.")
        url = url if url is not None and url.strip() else None  # left empty is not set
        return OllamaBridge(url, model, queue, cache=cache, **given)  # type: ignore[arg-type]  # checked one by one
    model = _name(api, "model", "claude-sonnet-4-5")
    return AnthropicBridge(model, environ=environ, **given)  # type: ignore[arg-type]  # checked one by one


def check_provider(provider: object) -> str:
    """The provider's name. Raises UsageError for a missing or unknown one: nothing goes to a cloud by mistake."""
    if provider is None:
        raise UsageError(
            "The section `api` names no `provider`.", suggestion=f"Write one of: {', '.join(PROVIDERS)}."
        )
    name = provider.strip().lower() if isinstance(provider, str) else None
    if name not in PROVIDERS:
        raise UsageError(
            f"There is no provider `{provider!s:.40}`.", suggestion=hint(str(provider), PROVIDERS)
        )
    return name


def hint(word: str, candidates: tuple[str, ...]) -> str:
    """What may have been meant, and what there is."""
    near = closest(word, candidates)
    meant = f"Did you mean `{near[0]}`? " if near else ""
    return f"{meant}There are: {', '.join(candidates)}."


def _name(api: Mapping[str, Any], key: str, example: str) -> str:
    model = api.get(key)
    if not isinstance(model, str) or not model.strip():
        raise UsageError(
            f"provider `{api['provider']}` needs `{key}`, the name of a model that it has.",
            suggestion=f"Write for example {key}: {example}.",
        )
    return model


def _number(api: Mapping[str, Any], name: str) -> float | int:
    value = api[name]
    kinds = (int,) if name == "max_tokens" else (int, float)
    if (
        isinstance(value, bool)
        or not isinstance(value, kinds)
        or not 0 <= value < math.inf
        or (value == 0 and name != "temperature")
    ):
        what = "whole number of at least 1" if name == "max_tokens" else "number"
        raise UsageError(f"{name} must be a {what}, not {value!r:.40}.")
    return value
