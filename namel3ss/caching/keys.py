"""Which requests may be answered from memory, and what makes two of them the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["cache_key", "is_deterministic"]

_EMBEDDING_PATHS: Final = frozenset({"/api/embed", "/api/embeddings", "/v1/embeddings"})
# Ollama draws its own seed for this one.
_RANDOM_SEED: Final = -1


def is_deterministic(path: str, body: Mapping[str, Any]) -> bool:
    """Whether the same request means the same answer, by what it says itself.

    That is: an embedding; or a temperature of exactly 0; or a `seed`, which is a whole number other than -1. Ollama reads
    both in ``options``, the APIs under ``/v1`` at top level. What a model's own file sets is not looked at.
    """
    if path in _EMBEDDING_PATHS:
        return True
    settings = body.get("options") if path.startswith("/api/") else body
    if not isinstance(settings, Mapping):
        return False
    temperature, seed = settings.get("temperature"), settings.get("seed")
    is_zero = _is_number(temperature) and temperature == 0
    return is_zero or (_is_number(seed) and isinstance(seed, int) and seed != _RANDOM_SEED)


def cache_key(path: str, content: bytes, *, digest: str, caller: str | None) -> bytes:
    """The key of a request: equal only if all four are, byte for byte.

    `content` is the whole body; `digest` says what the model's name means at this moment; `caller` is whose answer it
    is, None for one that everybody may share.
    """
    parts = [b"shared" if caller is None else b"of " + _utf8(caller), _utf8(digest), _utf8(path), content]
    found = hashlib.sha256()
    for part in parts:
        # The lengths keep the end of one part from passing for the beginning of the next.
        found.update(len(part).to_bytes(8, "big"))
        found.update(part)
    return found.digest()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
