"""Providers for tests."""

from __future__ import annotations

from typing import Any, Protocol

from namel3ss.providers.anthropic import AnthropicProvider

__all__ = ["KEY", "MODEL", "PATH", "WEATHER", "Make", "provider_of"]

KEY = "sk-ant-test-0123456789"
MODEL = "claude-sonnet-4-5"
PATH = "/v1/messages"
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Make(Protocol):
    """Makes a provider with these settings."""

    def __call__(self, **settings: Any) -> AnthropicProvider: ...


def provider_of(url: str, **settings: Any) -> AnthropicProvider:
    return AnthropicProvider("writer", MODEL, {"base_url": url, "api_key": KEY, **settings}, environ={})
