"""How long models take to their first token, learnt from the answers: cold or warm, by the length of the prompt."""

from __future__ import annotations

import statistics
from collections import deque
from typing import Final, NamedTuple

__all__ = ["FirstTokenTimes"]

_KEPT: Final = 32
_MODELS: Final = 256
_LONGEST_DRAIN_S: Final = 10.0
# Before anything was learnt: a warm model begins within a second or so; a load may take as long as Ollama allows.
_WARM_S: Final = 2.0
_COLD_S: Final = 300.0


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
        self._samples: dict[tuple[str, bool], deque[_Sample]] = {}

    def learn(self, model: str, seconds: float, *, cold: bool, prompt_tokens: int) -> None:
        samples = self._samples.pop((model, cold), None)
        if samples is None:
            samples = deque(maxlen=_KEPT)
            if len(self._samples) >= _MODELS:
                del self._samples[next(iter(self._samples))]
        self._samples[model, cold] = samples
        samples.append(_Sample(prompt_tokens, seconds))

    def usual_s(self, model: str, *, cold: bool, prompt_tokens: int) -> float:
        """What a request usually takes to its first token."""
        samples = self._samples.get((model, cold))
        if not samples:
            return _COLD_S if cold else _WARM_S
        return statistics.median(sample.scaled(prompt_tokens) for sample in samples)

    def longest_s(self, model: str, *, cold: bool, prompt_tokens: int) -> float:
        """What the slowest of the last requests took, or would have taken with this prompt."""
        samples = self._samples.get((model, cold))
        if not samples:
            return _COLD_S if cold else _WARM_S
        return max(sample.scaled(prompt_tokens) for sample in samples)

    def drain_s(self, model: str, elapsed_s: float, *, cold: bool, prompt_tokens: int) -> float:
        """How much longer a server may work on a request that was given up before its first token."""
        usual_s = self.usual_s(model, cold=cold, prompt_tokens=prompt_tokens)
        return min(_LONGEST_DRAIN_S, max(0.0, usual_s - elapsed_s))

    def forget(self, model: str) -> None:
        """Another model goes by that name now."""
        self._samples.pop((model, False), None)
        self._samples.pop((model, True), None)
