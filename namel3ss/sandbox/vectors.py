"""Embeddings: vectors of length one that depend on the text alone."""

from __future__ import annotations

import hashlib
import math
import struct

__all__ = ["normalised", "one_hot", "unit_vector"]


def unit_vector(text: str, width: int) -> list[float]:
    """A direction picked by the text's digest; texts that share words point a little the same way."""
    words = text.lower().split() or [""]
    total = [0.0] * width
    for word in {text, *words}:
        weight = 1.0 if word == text else 0.5 / math.sqrt(len(words))
        for place, value in enumerate(_spread(word, width)):
            total[place] += weight * value
    return normalised(total)


def _spread(text: str, width: int) -> list[float]:
    """`width` numbers between -1 and 1."""
    digest = hashlib.shake_128(text.encode("utf-8", "replace")).digest(2 * width)
    return [number / 32768 for number in struct.unpack(f"<{width}h", digest)]


def one_hot(place: int, width: int) -> list[float]:
    """The vector along one axis."""
    return [1.0 if index == place else 0.0 for index in range(width)]


def normalised(vector: list[float]) -> list[float]:
    """The vector at length one; one without a direction stays as it is."""
    length = math.sqrt(sum(value * value for value in vector))
    return [value / max(length, 1e-12) for value in vector]
