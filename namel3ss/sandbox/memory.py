"""The models that are loaded: how long they take to load, how long they stay, and who is using them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.durations import FOREVER_NS
from namel3ss.sandbox.http import Failure
from namel3ss.sandbox.laboratory import struck_by
from namel3ss.sandbox.options import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from namel3ss.sandbox.clock import Clock
    from namel3ss.sandbox.models import Model
    from namel3ss.sandbox.options import SandboxOptions
    from namel3ss.sandbox.settings import RunOptions

__all__ = ["Memory", "Runner"]

_DEFAULT_KEEP_ALIVE_NS: Final = 5 * 60 * 1_000_000_000
_MOST_LOADED: Final = 3
_SMALLEST_CONTEXT: Final = 4

_NO_RUNNER_TEXT: Final = (
    "error starting llama-server: llama-server binary not found (checked: /usr/local/bin/llama-server, "
    "/usr/local/lib/ollama/llama-server, /usr/local/bin/build/lib/ollama/llama-server, "
    "/usr/local/bin/dist/linux-amd64/lib/ollama/llama-server, "
    "/usr/local/bin/dist/linux_amd64/lib/ollama/llama-server). "
    "Run 'cmake -S llama/server --preset cpu && cmake --build --preset cpu' first "
)
_NO_BATCH: Final = (
    "llama runner process has terminated: "
    "llama_init_from_model: n_batch and n_ubatch cannot both be zero\npanic: unable to create llama context"
)
_TOO_LARGE: Final = "model requires more system memory (5.6 GiB) than is available (1.2 GiB)"
_OLDER_NO_RUNNER_TEXT: Final = "llama runner process has terminated: exit status 2"


@dataclass(slots=True, eq=False)
class Runner:
    """One loaded model. `context` is the window it was given."""

    model: Model
    context: int
    settings: tuple[object, ...]
    keep_alive_ns: int
    expires_ns: int
    ready: asyncio.Event
    users: int = 0
    is_wedged: bool = False
    """It has lost its slot: it counts as loaded, and never answers again."""

    @property
    def memory(self) -> int:
        return self.model.weights.memory(self.context)


class Memory:
    """Loads models when they are wanted and forgets them when their time is over."""

    def __init__(self, options: SandboxOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._runners: dict[str, Runner] = {}

    @asynccontextmanager
    async def use(
        self, model: Model, options: RunOptions, keep_alive_ns: int | None
    ) -> AsyncIterator[Runner]:
        """A runner for the model, loaded if need be. Raises Failure when it cannot be had."""
        self._refuse_on_purpose()
        runner = self._runner(model, options)
        if keep_alive_ns is not None:
            runner.keep_alive_ns = keep_alive_ns
        runner.users += 1
        try:
            if not runner.ready.is_set():
                await self._load(runner)
            if struck_by("wedge"):
                runner.is_wedged = True
            if runner.is_wedged:
                await asyncio.Event().wait()  # until the client is gone, which ends this task
            yield runner
        finally:
            runner.users -= 1
            self._settle(runner)

    def _refuse_on_purpose(self) -> None:
        if Fault.QUEUE_FULL in self._options.faults or struck_by("busy"):
            raise Failure(503, "server busy, please try again.  maximum pending requests exceeded")
        if Fault.NO_RUNNER in self._options.faults:
            newer = self._options.ollama_version != "0.24.0"
            raise Failure(500, _NO_RUNNER_TEXT if newer else _OLDER_NO_RUNNER_TEXT)
        if struck_by("oom"):
            raise Failure(500, _TOO_LARGE)

    def _runner(self, model: Model, options: RunOptions) -> Runner:
        self._forget_expired()
        context = max(min(options.num_ctx, model.weights.context_length), _SMALLEST_CONTEXT)
        key = model.weights.digest
        runner = self._runners.get(key)
        if runner is None or (runner.context, runner.settings) != (context, options.runner):
            self._runners.pop(key, None)
            self._make_room()
            if options.num_batch == 0 and "embedding" not in model.capabilities:
                raise Failure(500, _NO_BATCH)
            expires = _later(self._clock.now_ns(), _DEFAULT_KEEP_ALIVE_NS)
            runner = Runner(model, context, options.runner, _DEFAULT_KEEP_ALIVE_NS, expires, asyncio.Event())
            self._runners[key] = runner
        return runner

    async def _load(self, runner: Runner) -> None:
        """Everybody who wants the model waits for the same load; one who leaves does not end it for the rest."""
        if runner.users > 1:
            await runner.ready.wait()
            return
        try:
            slow = struck_by("slow-load")
            delay_s = slow.pause_s if slow else self._options.load_delay
            if delay_s:
                await self._clock.sleep(delay_s)
        finally:
            runner.ready.set()

    def _settle(self, runner: Runner) -> None:
        """Begins the time that an idle model stays."""
        if runner.users:
            return
        runner.expires_ns = _later(self._clock.now_ns(), runner.keep_alive_ns)
        self._forget_expired()

    def _forget_expired(self) -> None:
        now = self._clock.now_ns()
        for key, runner in list(self._runners.items()):
            if not runner.users and runner.expires_ns <= now:
                del self._runners[key]

    def _make_room(self) -> None:
        idle = sorted(
            (runner for runner in self._runners.values() if not runner.users),
            key=lambda each: (each.keep_alive_ns, each.expires_ns),
        )
        while len(self._runners) >= _MOST_LOADED and idle:
            del self._runners[idle.pop(0).model.weights.digest]

    def unload(self, model: Model) -> None:
        """Forgets the model, at once when it is idle and else when its last user is done."""
        runner = self._runners.get(model.weights.digest)
        if runner is None:
            return
        if runner.users and not runner.is_wedged:
            runner.keep_alive_ns = 0
        else:
            del self._runners[model.weights.digest]

    def loaded(self) -> list[Runner]:
        """The loaded models, the longest remaining first."""
        self._forget_expired()
        return sorted(self._runners.values(), key=lambda runner: -(runner.expires_ns // 1_000_000_000))


def _later(now_ns: int, duration_ns: int) -> int:
    return now_ns + min(duration_ns, FOREVER_NS)
