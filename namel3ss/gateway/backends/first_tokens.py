"""How long models are silent before they answer, learnt from the answers, by the length of the prompt.

An answer in pieces begins with its first token, and one that comes whole only when all of it is there: two different things,
as are a model that is loaded and one that has to be loaded first.
"""

from __future__ import annotations

import statistics
from collections import deque
from typing import Final, NamedTuple

__all__ = ["FirstTokenTimes", "Silence"]

_KEPT: Final = 32
_MODELS: Final = 256
_LONGEST_DRAIN_S: Final = 10.0
# Before anything was learnt: a warm model begins within a second or so; a load may take as long as Ollama allows.
_WARM_S: Final = 2.0
_COLD_S: Final = 300.0
# The length of a whole answer is anybody's guess.
_LONGEST_WHOLE_S: Final = 600.0


class Silence(NamedTuple):
    """What a request is like, as far as its first silence depends on it."""

    model: str
    cold: bool
    whole: bool


class _Sample(NamedTuple):
    prompt_tokens: int
    seconds: float

    def scaled(self, prompt_tokens: int) -> float:
        """What a longer prompt may take: in proportion. A shorter one as long, since much of it is the same for all."""
        return self.seconds * max(1.0, prompt_tokens / max(1, self.prompt_tokens))


class FirstTokenTimes:
    """Of one server. Bounded: the models that were not heard of longest are forgotten."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: dict[Silence, deque[_Sample]] = {}

    def learn(self, silence: Silence, seconds: float, prompt_tokens: int) -> None:
        samples = self._samples.pop(silence, None)
        if samples is None:
            samples = deque(maxlen=_KEPT)
            if len(self._samples) >= _MODELS:
                del self._samples[next(iter(self._samples))]
        self._samples[silence] = samples
        samples.append(_Sample(prompt_tokens, seconds))

    def usual_s(self, silence: Silence, prompt_tokens: int) -> float:
        """How long such a request is usually silent."""
        samples = self._samples.get(silence)
        if not samples:
            return _COLD_S if silence.cold else _WARM_S
        return statistics.median(sample.scaled(prompt_tokens) for sample in samples)

    def longest_s(self, silence: Silence, prompt_tokens: int) -> float:
        """How long the slowest of the last ones was silent, or would have been with this prompt."""
        longest_s = self.known_s(silence, prompt_tokens)
        if longest_s is None:
            longest_s = _COLD_S if silence.cold else _WARM_S
        return max(longest_s, _LONGEST_WHOLE_S) if silence.whole else longest_s

    def known_s(self, silence: Silence, prompt_tokens: int) -> float | None:
        """The same where something was learnt; else None."""
        samples = self._samples.get(silence, ())
        return max((sample.scaled(prompt_tokens) for sample in samples), default=None)

    def drain_s(self, silence: Silence, elapsed_s: float, prompt_tokens: int) -> float:
        """How much longer a server may work on a request that was given up before its first piece."""
        return min(_LONGEST_DRAIN_S, max(0.0, self.usual_s(silence, prompt_tokens) - elapsed_s))

    def forget(self, model: str) -> None:
        """Another model goes by that name now."""
        self._samples = {known: samples for known, samples in self._samples.items() if known.model != model}
