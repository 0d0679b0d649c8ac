from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

from namel3ss.providers.base import ProviderError
from namel3ss.providers.local import ollama
from namel3ss.providers.local.ollama import _errors
from namel3ss.providers.local.ollama._errors import OllamaError, OllamaModelNotFoundError

CLASSES: list[type[OllamaError]] = [getattr(_errors, name) for name in _errors.__all__]
# The words that metrics and logs may use (docs/providers.md).
ERROR_TYPES = {
    "_OTHER", "auth", "bad_request", "connect_refused", "connect_timeout", "disk_full", "first_token_timeout",
    "idle_timeout", "invalid_response", "model_not_found", "pull_failed", "queue_full", "resource_exhausted",
    "stream_incomplete", "total_timeout", "upstream_error",
}  # fmt: skip


def make(cls: type[OllamaError], **extra: Any) -> OllamaError:
    return cls("It failed.", model="tiny", base_url="http://localhost:11434", suggestion="Do this.", **extra)


def test_message_model_server_and_suggestion_are_shown_as_in_the_guide() -> None:
    error = OllamaModelNotFoundError(
        "Ollama model 'mistral:latest' is not available locally.",
        model="mistral:latest",
        base_url="http://localhost:11434",
        suggestion="Run: ollama pull mistral:latest\nOr enable auto_pull in your configuration.",
    )

    assert str(error) == (
        "Ollama model 'mistral:latest' is not available locally.\n"
        "Model: mistral:latest\n"
        "Server: http://localhost:11434\n"
        "\n"
        "Suggestion: Run: ollama pull mistral:latest\n"
        "Or enable auto_pull in your configuration."
    )


def test_what_is_unknown_is_not_shown() -> None:
    assert str(OllamaError("It failed.")) == "It failed."


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_takes_the_common_arguments_and_survives_pickling(cls: type[OllamaError]) -> None:
    cause = ValueError("inner")
    error = make(cls, original_error=cause)
    error.partial_text, error.chunks = "so far", 3

    copy = pickle.loads(pickle.dumps(error))

    assert isinstance(error, ProviderError)
    assert error.original_error is cause
    assert (type(copy), str(copy), copy.model, copy.base_url) == (
        cls,
        str(error),
        "tiny",
        "http://localhost:11434",
    )
    assert (copy.partial_text, copy.chunks, copy.original_error) == ("so far", 3, None)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_has_a_word_from_the_closed_list(cls: type[OllamaError]) -> None:
    assert cls.error_type in ERROR_TYPES


def test_every_error_is_public_and_named_alike() -> None:
    defined = {
        name
        for name, value in vars(_errors).items()
        if inspect.isclass(value) and issubclass(value, OllamaError)
    }

    assert defined == set(_errors.__all__)
    assert defined <= set(ollama.__all__)
    assert all(name.startswith("Ollama") and name.endswith("Error") for name in defined)


@pytest.mark.parametrize(
    "cls", [cls for cls in CLASSES if "Timeout" in cls.__name__ or "Stalled" in cls.__name__]
)
def test_everything_that_took_too_long_is_a_timeout_error(cls: type[OllamaError]) -> None:
    assert issubclass(cls, TimeoutError)


def test_unreachable_server_is_a_connection_error() -> None:
    assert issubclass(_errors.OllamaServerUnreachableError, ConnectionError)
