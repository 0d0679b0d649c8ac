"""What a failed request says, and about whom: the one judgement, pure.

A server's health changes only on evidence about the server. A request that Ollama itself refuses says nothing against
it: it answers. A runner that crashes, or a model that does not fit, speaks against that model on that server. What cannot
be blamed on anybody here (a mistake in the request, a caller who left, our own lack of descriptors) changes nothing.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from namel3ss.providers.local.ollama import (
    OllamaBadResponseError,
    OllamaModelNotFoundError,
    OllamaOutOfMemoryError,
    OllamaRunnerError,
    OllamaServerBusyError,
    OllamaServerError,
    error_from_answer,
    error_from_text,
)
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from namel3ss.providers.local.ollama import OllamaError

__all__ = ["Blame", "judge_answer", "judge_failure", "judge_text"]


class Blame(enum.Enum):
    """Whom a failure speaks against."""

    NOBODY = "nobody"
    UNREACHABLE = "unreachable"
    """The server could not be reached: it is asked at once whether it is there."""
    SERVER = "failing"
    """It was reached, and did not keep to the protocol, or broke off."""
    MODEL = "model_failing"
    """This model on this server: its runner crashed, or answers nothing but errors."""
    MEMORY = "out_of_memory"
    """This model does not fit there now."""
    BUSY = "busy"
    """The server's own queue is full: others keep it busy, and it has begun nothing."""
    MISSING = "model_missing"
    """The server does not have the model (any more)."""


_OF_TRANSPORT: Final = {
    Failure.REFUSED: Blame.UNREACHABLE,
    Failure.UNKNOWN_HOST: Blame.UNREACHABLE,
    Failure.CONNECT_TIMEOUT: Blame.UNREACHABLE,
    Failure.TLS: Blame.UNREACHABLE,
    Failure.ADDRESS: Blame.UNREACHABLE,
    Failure.PROXY: Blame.UNREACHABLE,
    Failure.TIMEOUT: Blame.SERVER,
    Failure.DISCONNECTED: Blame.SERVER,
    Failure.INVALID: Blame.SERVER,
    Failure.NOTHING_LEFT: Blame.NOBODY,
}

# Of the statuses for what a caller does wrong, those that tell of the server all the same: no such model, too much at once.
_OF_THE_SERVER: Final = frozenset({404, 429})


def judge_failure(failure: Failure) -> Blame:
    """Of a request that failed below HTTP, or whose answer broke off."""
    return _OF_TRANSPORT[failure]


def judge_answer(status: int, body: bytes) -> Blame:
    """Of an answer with a status of failure; `body` may be its beginning."""
    if 400 <= status < 500 and status not in _OF_THE_SERVER:
        # Its words may be the caller's own, quoted: `keep_alive: "out of memory"` is no lack of memory.
        return Blame.NOBODY
    return _blame(error_from_answer(status, {}, body, model=None, base_url=""))


def judge_text(text: str) -> Blame:
    """Of an error that came inside an answer."""
    return _blame(error_from_text(text, status=None, model=None, base_url=""))


def _blame(error: OllamaError) -> Blame:
    if isinstance(error, OllamaOutOfMemoryError):
        return Blame.MEMORY
    if isinstance(error, OllamaModelNotFoundError):
        return Blame.MISSING
    if isinstance(error, OllamaServerBusyError):
        return Blame.BUSY
    if isinstance(error, OllamaRunnerError | OllamaServerError):
        return Blame.MODEL
    if isinstance(error, OllamaBadResponseError) and (error.status is None or error.status >= 500):
        # Not Ollama's own words: a proxy before it, or something else that listens there.
        return Blame.SERVER
    return Blame.NOBODY
