"""The servers that share one protocol: what differs between them besides their settings."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GENERIC", "KINDS", "LOCAL_AI", "OPENAI", "VLLM", "Kind"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One registered provider. `name` is what a file writes, `label` is for people.

    `default_url` holds where nothing says an address. `key_variable` and `url_variable` are the environment's names
    for the key and the address, where the server's own tools have such.
    """

    name: str
    label: str
    default_url: str | None = None
    key_variable: str | None = None
    url_variable: str | None = None


OPENAI = Kind("openai", "OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI_BASE_URL")
VLLM = Kind("vllm", "vLLM", "http://127.0.0.1:8000/v1")
LOCAL_AI = Kind("local_ai", "LocalAI", "http://127.0.0.1:8080/v1")
GENERIC = Kind("openai_compatible", "OpenAI-compatible")

KINDS = {kind.name: kind for kind in (OPENAI, VLLM, LOCAL_AI, GENERIC)}
