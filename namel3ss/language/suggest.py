"""Did you mean …? One way of answering, for keys, names and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["closest", "did_you_mean"]

_LONGEST = 80  # characters; nobody misspells a longer word by a letter or two


def closest(word: str, candidates: Iterable[str], n: int = 1) -> list[str]:
    """The `n` candidates most like `word`, best first; none that is unlike it.

    Letter case and the difference between ``-`` and ``_`` do not count. One slip in three letters is allowed, one in words
    of two, and a candidate that begins with the word (at least three letters of it) counts as one slip away.
    """
    if len(word) > _LONGEST:
        return []
    wanted = _folded(word)
    found = []
    for candidate in dict.fromkeys(candidates):
        limit = max(1, max(len(wanted), len(candidate)) // 3)
        distance = _candidate_distance(wanted, _folded(candidate), limit)
        if distance <= limit and distance < max(len(wanted), len(candidate)):
            found.append((distance, candidate))
    found.sort(key=lambda pair: pair[0])
    return [candidate for _, candidate in found[:n]]


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """The sentence for a message, or None."""
    best = closest(word, candidates)
    return f"did you mean `{best[0]}`?" if best else None


def _candidate_distance(wanted: str, candidate: str, limit: int) -> int:
    if wanted == candidate:
        return 0
    if len(wanted) >= 3 and candidate.startswith(wanted):
        return 1
    return _edit_distance(wanted, candidate, limit)


def _folded(word: str) -> str:
    return word.casefold().replace("-", "_")


def _edit_distance(left: str, right: str, limit: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbours that turn one into the other.

    Where they are more than `limit`, some number above it.
    """
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    # Only cells near the diagonal can stay within the limit; the others count as far above it.
    far = limit + 1
    before: list[int] = []
    last = list(range(len(right) + 1))
    for row, character in enumerate(left, 1):
        first, end = max(1, row - limit), min(len(right), row + limit)
        line = [far] * (len(right) + 1)
        line[0] = row
        nearest = row
        for column in range(first, end + 1):
            other = right[column - 1]
            cost = min(last[column] + 1, line[column - 1] + 1, last[column - 1] + (character != other))
            if row > 1 and column > 1 and character == right[column - 2] and left[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            line[column] = cost
            if cost < nearest:
                nearest = cost
        if nearest > limit and min(last) > limit:
            return far
        before, last = last, line
    return last[-1]
