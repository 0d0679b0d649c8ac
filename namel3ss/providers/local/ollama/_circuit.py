"""Which of several servers to leave alone for a while: pure, with the clock given.

A circuit opens on evidence about the server: it could not be reached (at once), or it failed three times in a row
without one whole answer between. A refused request, a missing model or a crashed runner says nothing against a server:
it answers. An open circuit lets one request through after a while; that one closes it or opens it for twice as long.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaError,
    OllamaInterTokenTimeoutError,
    OllamaRunnerError,
    OllamaServerError,
    OllamaServerUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Circuit"]

_FAILURES_TO_OPEN: Final = 3
_FIRST_REST_S: Final = 5.0
_LONGEST_REST_S: Final = 300.0
_JITTER: Final = 0.1  # of the rest, so that many clients do not come back at the same instant


class Circuit:
    """The memory of one server's failures. `clock` is monotonic, in seconds."""

    __slots__ = ("_clock", "_failures", "_openings", "open_until")

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._openings = 0
        self.open_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the server is better left alone now."""
        return self.open_until is not None and self._clock() < self.open_until

    def trying(self) -> None:
        """A request is about to be sent. Where the circuit was open, others go on to avoid the server until it ends."""
        if self.open_until is not None:
            self.open_until = self._clock() + self._rest_s()

    def answered(self) -> None:
        """The server has begun to answer: it may be asked, but what failed before is not forgotten yet."""
        self._failures = min(self._failures, _FAILURES_TO_OPEN - 1)
        self.open_until = None

    def succeeded(self) -> None:
        """The server has given a whole answer."""
        self._failures = self._openings = 0
        self.open_until = None

    def failed(self, error: OllamaError) -> None:
        """A request ended with `error`."""
        if error.error_type == "_OTHER":
            return  # this program could not ask: it may open nothing more
        if isinstance(error, OllamaServerUnreachableError):
            self._failures = _FAILURES_TO_OPEN
        elif _blames_the_server(error):
            self._failures += 1
        else:
            if error.status is not None:
                self.answered()
            return
        if self._failures >= _FAILURES_TO_OPEN:
            self._openings += 1
            self.open_until = self._clock() + self._rest_s()

    def _rest_s(self) -> float:
        rest_s = min(_LONGEST_REST_S, _FIRST_REST_S * 2.0 ** min(self._openings - 1, 16))
        return rest_s * random.uniform(1.0, 1.0 + _JITTER)


def _blames_the_server(error: OllamaError) -> bool:
    """Whether an error tells something about the server, and not about a request or one model."""
    if isinstance(error, OllamaBadResponseError):
        return error.status is not None and error.status >= 500
    if isinstance(error, OllamaServerError):
        return not isinstance(error, OllamaRunnerError)
    # A connection that broke, but not an answer that ended politely without its last line: that is the model's doing.
    return error.error_type == "stream_reset" or isinstance(error, OllamaInterTokenTimeoutError)
