"""What answers a request queue in its tests: by chance, with faults, without a socket. It watches how it is treated."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from namel3ss.providers.local.ollama import OllamaServerBusyError, OllamaServerUnreachableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from namel3ss.scheduling.queue_requests import Outgoing

__all__ = ["HANGING", "ScriptedSender"]

HANGING: Final = "never answered: "
"""What the prompt of a request begins with that gets no answer; what follows is its name."""


class ScriptedSender:
    """Answers by chance: at once or a little later, with an error, in pieces. Counts what is under way.

    `busiest_s` is the most that its event loop's thread worked between two beats of a heart that beats each 5 ms.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        # By server and model, which is what slots are counted by.
        self._at: Counter[tuple[str, str]] = Counter()
        self.most = 0
        self.sent: Counter[str] = Counter()
        self.is_closed = False
        self.busiest_s = 0.0
        self._heart: asyncio.Task[None] | None = None
        self._left: dict[str, threading.Event] = {}

    @property
    def under_way(self) -> int:
        return self._at.total()

    def left(self, name: str) -> threading.Event:
        """Set once a request that is never answered has been given up."""
        return self._left.setdefault(name, threading.Event())

    async def fetch(self, request: Outgoing) -> dict[str, Any]:
        self._enter(request)
        try:
            prompt: str = msgspec.json.decode(request.content)["messages"][0]["content"]
            if prompt.startswith(HANGING):
                await self._hang(prompt.removeprefix(HANGING))
            await self._dawdle(request)
            return {"message": {"role": "assistant", "content": "yes"}, "done": True, "eval_count": 2}
        finally:
            self._at[request.server, request.model] -= 1

    async def stream(self, request: Outgoing) -> AsyncGenerator[dict[str, Any], None]:
        self._enter(request)
        try:
            for text in ("y", "es"):
                await self._dawdle(request)
                yield {"message": {"role": "assistant", "content": text}, "done": False}
            yield {"message": {"role": "assistant", "content": ""}, "done": True, "eval_count": 2}
        finally:
            self._at[request.server, request.model] -= 1

    async def look(self, request: Outgoing, path: str) -> dict[str, Any]:
        if self._chance.random() < 0.3:
            raise OllamaServerUnreachableError("No server answers.", base_url=request.server)
        return {"models": [{"name": self._chance.choice(("m", "n"))}]}

    async def aclose(self) -> None:
        self.is_closed = True
        if self._heart is not None:
            self._heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._heart

    def _enter(self, request: Outgoing) -> None:
        if self._heart is None:
            self._heart = asyncio.create_task(self._beat())
        self._at[request.server, request.model] += 1
        self.sent[request.server] += 1
        self.most = max(self.most, self._at[request.server, request.model])

    async def _beat(self) -> None:
        while True:
            # Of the processor, not of the clock: other programs cannot add to it.
            worked_s = time.thread_time()
            await asyncio.sleep(0.005)
            self.busiest_s = max(self.busiest_s, time.thread_time() - worked_s)

    async def _hang(self, name: str) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.left(name).set()

    async def _dawdle(self, request: Outgoing) -> None:
        chance = self._chance.random()
        if chance < 0.1:
            raise OllamaServerUnreachableError("No server answers.", base_url=request.server)
        if chance < 0.11:
            busy = OllamaServerBusyError("Too many wait.", base_url=request.server)
            busy.retry_after_s = 0.001
            raise busy
        if chance < 0.12:
            raise KeyError("a mistake in a program")
        if chance < 0.5:
            await asyncio.sleep(self._chance.random() * 0.002)
