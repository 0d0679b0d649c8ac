"""Servers that speak OpenAI's protocol: OpenAI, vLLM, LocalAI, and others like them.

    from namel3ss.providers.local.openai_compatible import OpenAICompatibleProvider

    async with OpenAICompatibleProvider("fast", "Qwen/Qwen3-8B", kind="vllm") as provider:
        print((await provider.generate("Hello")).output_text)

Importing this package loads no HTTP library; each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from namel3ss.providers.local.openai_compatible._errors import (
        OpenAICompatibleAuthError,
        OpenAICompatibleBadResponseError,
        OpenAICompatibleBusyError,
        OpenAICompatibleCapabilityError,
        OpenAICompatibleConnectTimeoutError,
        OpenAICompatibleContextWindowExceededError,
        OpenAICompatibleError,
        OpenAICompatibleFirstTokenTimeoutError,
        OpenAICompatibleInterTokenTimeoutError,
        OpenAICompatibleKeyMissingError,
        OpenAICompatibleModelNotFoundError,
        OpenAICompatibleQuotaError,
        OpenAICompatibleRateLimitError,
        OpenAICompatibleRequestError,
        OpenAICompatibleRequestTimeoutError,
        OpenAICompatibleServerError,
        OpenAICompatibleStreamInterruptedError,
        OpenAICompatibleUnreachableError,
    )
    from namel3ss.providers.local.openai_compatible._provider import OpenAICompatibleProvider

__all__ = [
    "OpenAICompatibleAuthError",
    "OpenAICompatibleBadResponseError",
    "OpenAICompatibleBusyError",
    "OpenAICompatibleCapabilityError",
    "OpenAICompatibleConnectTimeoutError",
    "OpenAICompatibleContextWindowExceededError",
    "OpenAICompatibleError",
    "OpenAICompatibleFirstTokenTimeoutError",
    "OpenAICompatibleInterTokenTimeoutError",
    "OpenAICompatibleKeyMissingError",
    "OpenAICompatibleModelNotFoundError",
    "OpenAICompatibleProvider",
    "OpenAICompatibleQuotaError",
    "OpenAICompatibleRateLimitError",
    "OpenAICompatibleRequestError",
    "OpenAICompatibleRequestTimeoutError",
    "OpenAICompatibleServerError",
    "OpenAICompatibleStreamInterruptedError",
    "OpenAICompatibleUnreachableError",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "_errors" if name.endswith("Error") else "_provider"
    value: object = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
