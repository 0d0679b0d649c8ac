"""Writing an answer token by token: the context window, limits, stop texts, pace and counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.gojson import encode
from namel3ss.sandbox.http import Aborted, Failure
from namel3ss.sandbox.laboratory import struck_by
from namel3ss.sandbox.options import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from namel3ss.sandbox.clock import Clock
    from namel3ss.sandbox.memory import Runner
    from namel3ss.sandbox.models import Job
    from namel3ss.sandbox.options import SandboxOptions
    from namel3ss.sandbox.settings import RunOptions

__all__ = ["Engine", "Finish", "Limits", "Piece"]

TOO_LONG: Final = "the input length exceeds the context length"
_NO_SHIFT_TOO_LONG: Final = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, "
    "adjust the context length in settings, or use a model with a longer context length"
)
_RUNNER_DIED: Final = "an error was encountered while running the model: unexpected EOF"
_DIES_AFTER: Final = 12
"""Tokens of an answer that a dying runner or server still sends."""
_MOST_REPEATS: Final = 30
_BREATH: Final = 16
"""Tokens between two looks at the other connections, when there is no pace to keep."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request says about the window and about extras."""

    options: RunOptions
    truncate: bool = True
    shift: bool = True
    logprobs: bool = False
    top_logprobs: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of the answer, as the runner sent it."""

    text: str
    logprobs: Sequence[Mapping[str, object]] = ()


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an answer. An answer that is cut off by the server has none."""

    reason: str
    prompt_tokens: int
    prompt_ns: int
    tokens: int
    eval_ns: int


@dataclass(slots=True)
class _Hold:
    """Text that may still turn out to be a stop text."""

    stops: Sequence[str]
    pieces: list[str] = field(default_factory=list)

    def add(self, piece: str) -> tuple[list[str], bool]:
        """The pieces that may be sent now, and whether a stop text ended the answer."""
        self.pieces.append(piece)
        if not self.stops:
            return self.take(), False
        text = "".join(self.pieces)
        found = [place for place in (text.find(stop) for stop in self.stops) if place >= 0]
        if found:
            kept = text[: min(found)]
            self.pieces = []
            return ([kept] if kept else []), True
        if any(text.endswith(stop[:length]) for stop in self.stops for length in range(1, len(stop))):
            return [], False
        return self.take(), False

    def take(self) -> list[str]:
        text, self.pieces = "".join(self.pieces), []
        return [text] if text else []


class Engine:
    """Runs answers. `tokens_written` counts every token that any answer took."""

    def __init__(self, options: SandboxOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._dies = {Fault.RUNNER_DIES, Fault.SERVER_DIES}.intersection(options.faults)
        self.tokens_written = 0

    def fitted(self, runner: Runner, prompt_tokens: int, limits: Limits) -> int:
        """How many tokens of the prompt are used, its first mark included. Raises Failure when it is too long."""
        window = runner.context
        total = prompt_tokens + 1
        if self._options.ollama_version == "0.24.0":
            if total <= window:
                return total
            if not limits.truncate:
                raise Failure(400, TOO_LONG)
            return window
        if not limits.truncate:
            if total > window:
                raise Failure(400, _newer_overflow(total, window))
            return total
        if total <= window - 1:
            return total
        if not limits.shift:
            raise Failure(400, _NO_SHIFT_TOO_LONG)
        keep = limits.options.num_keep
        keep = min(keep + 1 if keep >= 0 else window, window - 1)
        return window - max((window - keep) // 2, 1)

    async def run(self, runner: Runner, job: Job, limits: Limits) -> AsyncIterator[Piece | Finish]:
        """The answer to `job`. Raises Failure before the first piece, or when the runner pretends to die."""
        started = self._clock.ticks_ns()
        prompt_tokens = self.fitted(runner, len(job.tokens), limits)
        pace = _Pace(self._options.tokens_per_second, self._clock)
        written = 0
        last, repeats = "", 0
        async for step in self._steps(runner, job, limits, prompt_tokens, pace):
            if isinstance(step, _End):
                self._die_on_purpose(_DIES_AFTER)
                if struck_by("no-done"):
                    return
                now = self._clock.ticks_ns()
                eval_ns = max(now - pace.began_ns, 1) if step.tokens > 1 else 0
                yield Finish(
                    step.reason, prompt_tokens, max(pace.began_ns - started, 1), step.tokens, eval_ns
                )
                return
            stripped = step.text.strip()
            repeats = repeats + 1 if stripped == last else 0
            last = stripped
            if repeats > _MOST_REPEATS:
                return
            written += 1
            self._die_on_purpose(written)
            yield step

    async def _steps(
        self, runner: Runner, job: Job, limits: Limits, prompt_tokens: int, pace: _Pace
    ) -> AsyncIterator[Piece | _End]:
        most = limits.options.num_predict
        if most < 0 or most > 10 * runner.context:
            most = 10 * runner.context
        room = 2**62 if limits.shift else runner.context - prompt_tokens + 1
        hold = _Hold(limits.options.stop)
        answer = runner.model.weights.brain.write(job)
        for tokens in count(1):
            if (most and tokens > most) or tokens > room:
                for text in hold.take():
                    yield self._piece(text, limits)
                yield _End("length", tokens - 1)
                return
            await pace.wait(tokens)
            self.tokens_written += 1
            token = next(answer, None)
            if token is None:
                for text in hold.take():
                    yield self._piece(text, limits)
                yield _End("stop", tokens)
                return
            texts, stopped = hold.add(token)
            for text in texts:
                yield self._piece(text, limits)
            if stopped:
                yield _End("stop", tokens)
                return

    def _piece(self, text: str, limits: Limits) -> Piece:
        return Piece(text, (_logprob(text, limits.top_logprobs),) if limits.logprobs else ())

    def _die_on_purpose(self, written: int) -> None:
        rule = struck_by("error-line")
        if rule is not None and written > rule.lines_before:
            raise Failure(500, _RUNNER_DIED)
        if not self._dies or written < _DIES_AFTER:
            return
        if Fault.SERVER_DIES in self._dies:
            raise Aborted
        raise Failure(500, _RUNNER_DIED)


@dataclass(frozen=True, slots=True)
class _End:
    reason: str
    tokens: int


class _Pace:
    """Keeps the wanted number of tokens a second, counted from the first, and lets others have their turn."""

    def __init__(self, tokens_per_second: float | None, clock: Clock) -> None:
        self._rate = tokens_per_second
        self._clock = clock
        self.began_ns = clock.ticks_ns()

    async def wait(self, token: int) -> None:
        if self._rate is not None:
            due = self.began_ns + int(token / self._rate * 1e9)
            await self._clock.sleep(max(due - self._clock.ticks_ns(), 0) / 1e9)
        elif token % _BREATH == 0:
            await asyncio.sleep(0)


_SECOND_LOGPROB: Final = -36.99289321899414
"""Of the runner-up, where the model was all but certain."""
_ALTERNATIVES: Final = ('"', "}", "{", ":", "1", "]", "[", ",")


def _logprob(text: str, alternatives: int) -> dict[str, object]:
    entry = _candidate(text, 0)
    if alternatives:
        others = [each for each in _ALTERNATIVES if each != text][: alternatives - 1]
        entry["top_logprobs"] = [
            _candidate(text, 0),
            *(_candidate(each, _SECOND_LOGPROB - place / 2) for place, each in enumerate(others)),
        ]
    return entry


def _candidate(text: str, logprob: float) -> dict[str, object]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def _newer_overflow(tokens: int, window: int) -> str:
    """Newer servers hand on what the runner said, as text."""
    error = {
        "code": 400,
        "message": f"request ({tokens} tokens) exceeds the available context size ({window} tokens), "
        "try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": tokens,
        "n_ctx": window,
    }
    return encode({"error": error}).decode()
