"""Lets the rules of `faults` hit requests: chooses which, and spoils what is sent to them.

The choice is made once for a request, when its body is there. What strikes is remembered for the task that works on the
request, where those parts of the server ask that have to play along (`struck_by`); what needs only the connection is
done here.
"""

from __future__ import annotations

import asyncio
import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.http import Aborted, Raw
from namel3ss.sandbox.names import ModelName, ModelReference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from namel3ss.sandbox.clock import Clock
    from namel3ss.sandbox.faults import FaultName, FaultRule
    from namel3ss.sandbox.http import Message, Request, Send

__all__ = ["ERROR_PAGE", "Laboratory", "spoiled", "struck_by"]

ERROR_PAGE: Final = Raw(
    200,
    b"<!doctype html>\n<title>Sign in</title>\n<h1>Sign in to use this network</h1>\n",
    "text/html; charset=utf-8",
)
"""What a portal or a proxy in between answers instead of the server."""

_ANSWERING: Final = frozenset(
    {
        "/api/chat",
        "/api/embed",
        "/api/embeddings",
        "/api/generate",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/messages",
        "/v1/responses",
    }
)
_ON_THE_WIRE: Final = frozenset({"cut", "drip", "reset", "stall"})

_striking: ContextVar[FaultRule | None] = ContextVar("_striking", default=None)


def struck_by(name: FaultName) -> FaultRule | None:
    """The rule, if the request that this task works on is hit by one of that name."""
    rule = _striking.get()
    return rule if rule is not None and rule.name == name else None


class Laboratory:
    """Counts the requests of one sandbox, and says which rule hits which."""

    def __init__(self, rules: Sequence[FaultRule]) -> None:
        self._rules = [_Counted(rule) for rule in rules]

    def strike(self, request: Request) -> FaultRule | None:
        """The rule that hits this request, for the rest of the running task. The first that does wins."""
        if not self._rules or request.path not in _ANSWERING:
            return None
        model, wants_answer = _wanted(request.body)
        if not wants_answer:
            return None
        # All of them count it, so that none shifts the others.
        hits = [counted.rule for counted in self._rules if counted.hits(model)]
        rule = hits[0] if hits else None
        _striking.set(rule)
        return rule


class _Counted:
    """A rule, and how many requests it has seen and hit."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self._key = ModelName.parse(rule.model).key if rule.model is not None else None
        self._seen = 0
        self._hit = 0

    def hits(self, model: str) -> bool:
        if self._key is not None and ModelReference.parse(model).name.key != self._key:
            return False
        self._seen += 1
        if self._seen % self.rule.every or self._hit == self.rule.limit:
            return False
        self._hit += 1
        return True


def _wanted(body: bytes) -> tuple[str, bool]:
    """The model that a request names, and whether it wants more than to have it unloaded: that is how one heals."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return "", False
    if not isinstance(fields, dict):
        return "", False
    model = fields.get("model")
    is_unload = fields.get("keep_alive") in (0, "0", "0s") and not (
        fields.get("prompt") or fields.get("messages") or fields.get("input")
    )
    return (model if isinstance(model, str) else ""), not is_unload


def spoiled(rule: FaultRule, send: Send, drop: Callable[[bool], None] | None, clock: Clock) -> Send:
    """`send` as the request of that rule gets it. `drop` ends the connection, with a reset where it is told so."""
    return _Spoiled(rule, send, drop, clock) if rule.name in _ON_THE_WIRE else send


class _Spoiled:
    """Lets some lines of an answer through, and then does what its rule says.

    An answer in one piece is one line that arrives in two halves: the fault strikes between them.
    """

    def __init__(
        self, rule: FaultRule, send: Send, drop: Callable[[bool], None] | None, clock: Clock
    ) -> None:
        self._rule = rule
        self._send = send
        self._drop = drop
        self._clock = clock
        self._lines = 0

    async def __call__(self, message: Message) -> None:
        body = message.get("body", b"")
        if message["type"] == "http.response.start":
            # Without a single line not even the head comes: the server writes both at once.
            if self._rule.lines_before == 0 and self._rule.name != "drip":
                await self._strike(b"")
            await self._send(message)
        elif not isinstance(body, bytes) or not body:
            await self._send(message)
        elif self._lines < self._rule.lines_before and message.get("more_body"):
            self._lines += 1
            await self._send(message)
        elif self._rule.name == "drip":
            await self._drip(message, body)
        else:
            await self._strike(body[: len(body) // 2])

    async def _strike(self, beginning: bytes) -> None:
        """Send the beginning of a line, and never come back."""
        if beginning and self._rule.name != "stall":
            await self._send({"type": "http.response.body", "body": beginning, "more_body": True})
        if self._rule.name != "stall":
            if self._drop is None:
                raise Aborted
            self._drop(self._rule.name == "reset")
        await asyncio.Event().wait()  # until the client is gone, which ends this task

    async def _drip(self, message: Message, body: bytes) -> None:
        for place in range(len(body) - 1):
            await self._send(
                {"type": "http.response.body", "body": body[place : place + 1], "more_body": True}
            )
            await self._clock.sleep(self._rule.pause_s)
        await self._send({**message, "body": body[-1:]})
