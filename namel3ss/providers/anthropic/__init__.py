"""Anthropic: its models in the cloud, or any server that speaks its Messages API.

    from namel3ss.providers.anthropic import AnthropicProvider

    async with AnthropicProvider("writer", "claude-sonnet-5-5") as provider:  # the key is in ANTHROPIC_API_KEY
        print((await provider.generate("Hello")).output_text)

Importing this package loads no HTTP library; each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from namel3ss.providers.anthropic._address import API_KEY_ENV, BASE_URL_ENV, DEFAULT_URL
    from namel3ss.providers.anthropic._errors import (
        AnthropicAuthError,
        AnthropicBadResponseError,
        AnthropicBillingError,
        AnthropicBusyError,
        AnthropicCapabilityError,
        AnthropicConnectTimeoutError,
        AnthropicContextWindowExceededError,
        AnthropicError,
        AnthropicFirstTokenTimeoutError,
        AnthropicInterTokenTimeoutError,
        AnthropicKeyMissingError,
        AnthropicModelNotFoundError,
        AnthropicRateLimitError,
        AnthropicRequestError,
        AnthropicRequestTimeoutError,
        AnthropicRequestTooLargeError,
        AnthropicServerError,
        AnthropicStreamInterruptedError,
        AnthropicUnreachableError,
    )
    from namel3ss.providers.anthropic._native import AnthropicConnection
    from namel3ss.providers.anthropic._provider import AnthropicProvider

_MODULES = {
    "_address": ("API_KEY_ENV", "BASE_URL_ENV", "DEFAULT_URL"),
    "_errors": (
        "AnthropicAuthError",
        "AnthropicBadResponseError",
        "AnthropicBillingError",
        "AnthropicBusyError",
        "AnthropicCapabilityError",
        "AnthropicConnectTimeoutError",
        "AnthropicContextWindowExceededError",
        "AnthropicError",
        "AnthropicFirstTokenTimeoutError",
        "AnthropicInterTokenTimeoutError",
        "AnthropicKeyMissingError",
        "AnthropicModelNotFoundError",
        "AnthropicRateLimitError",
        "AnthropicRequestError",
        "AnthropicRequestTimeoutError",
        "AnthropicRequestTooLargeError",
        "AnthropicServerError",
        "AnthropicStreamInterruptedError",
        "AnthropicUnreachableError",
    ),
    "_native": ("AnthropicConnection",),
    "_provider": ("AnthropicProvider",),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [  # noqa: RUF022  # sorted plainly, as every public module's list is
    "API_KEY_ENV",
    "AnthropicAuthError",
    "AnthropicBadResponseError",
    "AnthropicBillingError",
    "AnthropicBusyError",
    "AnthropicCapabilityError",
    "AnthropicConnectTimeoutError",
    "AnthropicConnection",
    "AnthropicContextWindowExceededError",
    "AnthropicError",
    "AnthropicFirstTokenTimeoutError",
    "AnthropicInterTokenTimeoutError",
    "AnthropicKeyMissingError",
    "AnthropicModelNotFoundError",
    "AnthropicProvider",
    "AnthropicRateLimitError",
    "AnthropicRequestError",
    "AnthropicRequestTimeoutError",
    "AnthropicRequestTooLargeError",
    "AnthropicServerError",
    "AnthropicStreamInterruptedError",
    "AnthropicUnreachableError",
    "BASE_URL_ENV",
    "DEFAULT_URL",
]


def __getattr__(name: str) -> object:
    module = _PLACES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
