"""What is to be sent for one request, and how its answer is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from namel3ss.gateway.dialects import StreamReader, usage_of_body
from namel3ss.gateway.routes import Action, Dialect

if TYPE_CHECKING:
    from namel3ss.gateway.authority import Called
    from namel3ss.gateway.dialects import InferenceRequest
    from namel3ss.gateway.forwarding.limits import ForwardingLimits
    from namel3ss.gateway.principal import Principal
    from namel3ss.gateway.routes import Route
    from namel3ss.gateway.usage import Usage

__all__ = ["Job", "Reader"]

_LOADER: Final = ("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread")
_NO_LOADER: Final[dict[str, object]] = {}
_USUAL_TOKENS: Final = 512
_MOST_TOKENS: Final = 1_000_000


class Reader(Protocol):
    """An answer in pieces, on its way to the caller. `StreamReader` is the one that changes nothing."""

    error: bytes | None

    @property
    def content_events(self) -> int: ...

    @property
    def ended_well(self) -> bool: ...

    def feed(self, piece: bytes) -> bytes:
        """What may be sent on now. Raises Refusal for what no server sends."""

    def finish(self) -> bytes:
        """What of the rest may be sent on, now that the server has ended its answer."""

    def charged(self, prompt_tokens: int) -> Usage:
        """What to put on the account, also of an answer that was cut."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One request to a server, in the caller's own protocol. Another way of asking derives from it."""

    principal: Principal
    route: Route
    request: InferenceRequest
    called: Called
    body: bytes
    """What is sent."""
    max_wait_s: float | None = None
    """The longest wait in the queue, where it is not everybody's."""
    leaves_long_queues: bool = False
    """Whether it waits at all where a longer wait is foreseen."""

    def settle_down(self) -> None:
        """Forget the body as it came, where no other way of answering will read it: what is sent is enough."""
        self.request = msgspec.structs.replace(self.request, body=b"", members={})

    @property
    def model(self) -> str:
        """The Ollama name."""
        return self.called.served.model

    @property
    def spelling(self) -> str:
        """The model as what is sent names it: callers may write it otherwise than the file does."""
        return self.model if self.called.by_declared_name else self.request.model

    @property
    def path(self) -> str:
        """Where the server has what the caller asked for: Ollama's own routes are there twice."""
        path = self.route.path
        return "/api" + path[len("/api/ollama") :] if path.startswith("/api/ollama/") else path

    @property
    def shows_events(self) -> bool:
        """Whether a stream may hold comments: only the protocols of server-sent events know any."""
        return self.request.stream and self.route.dialect is not Dialect.OLLAMA

    def leaves_for(self, expected_s: float) -> bool:
        """Whether a wait that is foreseen is too long to begin."""
        return self.leaves_long_queues and self.max_wait_s is not None and expected_s > self.max_wait_s

    @property
    def loader(self) -> dict[str, object]:
        """The options by which the server loads the model."""
        options = self.request.options
        return {name: options[name] for name in _LOADER if name in options} if options else _NO_LOADER

    @property
    def cost(self) -> float | None:
        """The estimate that fairness starts with; None: what requests to this model usually take."""
        return self.request.prompt_tokens if self.route.action is Action.EMBED else None

    @property
    def most_tokens(self) -> int:
        """What is put aside for it until the real count is known."""
        prompt_tokens = self.request.prompt_tokens
        if self.route.action is Action.EMBED:
            return prompt_tokens
        longest = self.longest_answer
        return prompt_tokens + (_USUAL_TOKENS if longest is None else longest)

    @property
    def longest_answer(self) -> int | None:
        """Tokens that its answer ends at by itself; None where the request does not say, or says more than any has."""
        wanted = self.request.max_tokens
        return int(wanted) if wanted is not None and 0 <= wanted <= _MOST_TOKENS else None

    def first_piece_s(self, limits: ForwardingLimits) -> float | None:
        """How long the server may be silent at first."""
        if self.request.stream:
            return self._declared("first_token_timeout", limits.first_token_s)
        return self._declared("total_timeout", limits.whole_answer_s)

    def idle_s(self, limits: ForwardingLimits) -> float | None:
        """How long the server may be silent later."""
        return self._declared("idle_timeout", limits.idle_s)

    def reader(self) -> Reader:
        return StreamReader(self.route)

    def _declared(self, name: str, usual_s: float) -> float | None:
        return self.called.served.waits_s.get(name, usual_s)

    def whole_answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        """An answer in one piece as it goes to the caller, and what it says that it used."""
        return body, usage_of_body(self.route, body)
