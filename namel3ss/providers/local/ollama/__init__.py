"""Ollama: run open models on your own machine, and look after their server.

    from namel3ss.providers.local.ollama import OllamaProvider

    async with OllamaProvider("fast", "llama3:8b") as provider:
        print((await provider.generate("Hello")).output_text)

Importing this package loads no HTTP library; each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from namel3ss.providers.local.ollama._address import (
        DEFAULT_OLLAMA_URL,
        OLLAMA_BASE_URL_ENV,
        Address,
        resolve_address,
    )
    from namel3ss.providers.local.ollama._availability import ModelAvailabilityCache
    from namel3ss.providers.local.ollama._circuit import Circuit
    from namel3ss.providers.local.ollama._editor import OllamaEditorTools
    from namel3ss.providers.local.ollama._errors import (
        OllamaAuthError,
        OllamaBadResponseError,
        OllamaCapabilityError,
        OllamaConnectTimeoutError,
        OllamaContextTruncatedError,
        OllamaContextWindowExceededError,
        OllamaDiskFullError,
        OllamaError,
        OllamaFirstTokenTimeoutError,
        OllamaInterTokenTimeoutError,
        OllamaManifestUnknownError,
        OllamaModelNotFoundError,
        OllamaModelPullError,
        OllamaOutOfMemoryError,
        OllamaPullStalledError,
        OllamaRequestError,
        OllamaRequestTimeoutError,
        OllamaRunnerError,
        OllamaServerBusyError,
        OllamaServerError,
        OllamaServerNotInstalledError,
        OllamaServerStartFailedError,
        OllamaServerTooOldError,
        OllamaServerUnreachableError,
        OllamaStreamInterruptedError,
        OllamaStructuredOutputError,
    )
    from namel3ss.providers.local.ollama._models import OllamaModelManager
    from namel3ss.providers.local.ollama._names import ModelName, model_key, parse_model_name, same_model
    from namel3ss.providers.local.ollama._native import OllamaConnection, native_body
    from namel3ss.providers.local.ollama._provider import OllamaProvider
    from namel3ss.providers.local.ollama._pull import PullPolicy
    from namel3ss.providers.local.ollama._pull_progress import PullProgress
    from namel3ss.providers.local.ollama._refusals import error_from_answer, error_from_text
    from namel3ss.providers.local.ollama._server import OllamaServerManager

_MODULES = {
    "_address": ("DEFAULT_OLLAMA_URL", "OLLAMA_BASE_URL_ENV", "Address", "resolve_address"),
    "_availability": ("ModelAvailabilityCache",),
    "_circuit": ("Circuit",),
    "_editor": ("OllamaEditorTools",),
    "_errors": (
        "OllamaAuthError",
        "OllamaBadResponseError",
        "OllamaCapabilityError",
        "OllamaConnectTimeoutError",
        "OllamaContextTruncatedError",
        "OllamaContextWindowExceededError",
        "OllamaDiskFullError",
        "OllamaError",
        "OllamaFirstTokenTimeoutError",
        "OllamaInterTokenTimeoutError",
        "OllamaManifestUnknownError",
        "OllamaModelNotFoundError",
        "OllamaModelPullError",
        "OllamaOutOfMemoryError",
        "OllamaPullStalledError",
        "OllamaRequestError",
        "OllamaRequestTimeoutError",
        "OllamaRunnerError",
        "OllamaServerBusyError",
        "OllamaServerError",
        "OllamaServerNotInstalledError",
        "OllamaServerStartFailedError",
        "OllamaServerTooOldError",
        "OllamaServerUnreachableError",
        "OllamaStreamInterruptedError",
        "OllamaStructuredOutputError",
    ),
    "_models": ("OllamaModelManager",),
    "_names": ("ModelName", "model_key", "parse_model_name", "same_model"),
    "_native": ("OllamaConnection", "native_body"),
    "_provider": ("OllamaProvider",),
    "_pull": ("PullPolicy",),
    "_pull_progress": ("PullProgress",),
    "_refusals": ("error_from_answer", "error_from_text"),
    "_server": ("OllamaServerManager",),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [  # noqa: RUF022  # sorted plainly, as every public module's list is
    "Address",
    "Circuit",
    "DEFAULT_OLLAMA_URL",
    "ModelAvailabilityCache",
    "ModelName",
    "OLLAMA_BASE_URL_ENV",
    "OllamaAuthError",
    "OllamaBadResponseError",
    "OllamaCapabilityError",
    "OllamaConnectTimeoutError",
    "OllamaConnection",
    "OllamaContextTruncatedError",
    "OllamaContextWindowExceededError",
    "OllamaDiskFullError",
    "OllamaEditorTools",
    "OllamaError",
    "OllamaFirstTokenTimeoutError",
    "OllamaInterTokenTimeoutError",
    "OllamaManifestUnknownError",
    "OllamaModelManager",
    "OllamaModelNotFoundError",
    "OllamaModelPullError",
    "OllamaOutOfMemoryError",
    "OllamaProvider",
    "OllamaPullStalledError",
    "OllamaRequestError",
    "OllamaRequestTimeoutError",
    "OllamaRunnerError",
    "OllamaServerBusyError",
    "OllamaServerError",
    "OllamaServerManager",
    "OllamaServerNotInstalledError",
    "OllamaServerStartFailedError",
    "OllamaServerTooOldError",
    "OllamaServerUnreachableError",
    "OllamaStreamInterruptedError",
    "OllamaStructuredOutputError",
    "PullPolicy",
    "PullProgress",
    "error_from_answer",
    "error_from_text",
    "model_key",
    "native_body",
    "parse_model_name",
    "resolve_address",
    "same_model",
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
