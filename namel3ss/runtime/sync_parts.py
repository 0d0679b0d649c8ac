"""Prompts and chains for code without asyncio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

    from namel3ss.providers.loop_thread import LoopThread
    from namel3ss.runtime.chains import ChainResult, RunnableChain, StepEvent
    from namel3ss.runtime.prompts import PromptResult, PromptStream, RunnablePrompt

__all__ = ["SyncChain", "SyncPrompt", "SyncPromptStream"]


class SyncPrompt:
    """A prompt of a program, blocking. See `RunnablePrompt`."""

    def __init__(self, prompt: RunnablePrompt, thread: LoopThread) -> None:
        self._prompt = prompt
        self._thread = thread

    def __call__(self, inputs: Mapping[str, Any] | None = None, /, **more: Any) -> PromptResult:
        """Answer with these inputs, as one mapping or by name."""
        return self._thread.run(self._prompt(inputs, **more))

    def run(self, inputs: Mapping[str, Any], *, model: str | None = None, **overrides: Any) -> PromptResult:
        """Answer with these inputs; see `RunnablePrompt.run`."""
        return self._thread.run(self._prompt.run(inputs, model=model, **overrides))

    def stream(
        self, inputs: Mapping[str, Any] | None = None, /, *, model: str | None = None, **more: Any
    ) -> SyncPromptStream:
        """The answer as it comes; see `RunnablePrompt.stream`. Best inside ``with``, which stops it when left early."""
        return SyncPromptStream(self._thread, lambda: self._prompt.stream(inputs, model=model, **more))


class SyncChain:
    """A chain of a program, blocking. See `RunnableChain`."""

    def __init__(self, chain: RunnableChain, thread: LoopThread) -> None:
        self._chain = chain
        self._thread = thread

    def __call__(self, inputs: Mapping[str, Any] | None = None, /, **more: Any) -> ChainResult:
        """Run with these inputs, as one mapping or by name."""
        return self._thread.run(self._chain(inputs, **more))

    def run(
        self, inputs: Mapping[str, Any], *, on_step: Callable[[StepEvent], None] | None = None
    ) -> ChainResult:
        """Run with these inputs; `on_step` is called on the program's own thread. See `RunnableChain.run`."""
        return self._thread.run(self._chain.run(inputs, on_step=on_step))


class SyncPromptStream(Iterator[Any]):
    """A `PromptStream` for a plain `for` loop. Leaving the context or calling `cancel` stops the answer."""

    def __init__(self, thread: LoopThread, open_stream: Callable[[], PromptStream]) -> None:
        self._thread = thread
        self._stream = thread.run(_opened(open_stream))

    def __next__(self) -> Any:
        item = self._thread.run(_next(self._stream))
        if item is _END:
            raise StopIteration
        return item

    def result(self) -> PromptResult:
        """The complete answer; see `PromptStream.result`."""
        return self._thread.run(self._stream.result())

    def cancel(self) -> None:
        """Stop the answer. Idempotent."""
        if not self._thread.is_closed:  # closing it has cancelled everything
            self._thread.run(self._stream.cancel())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()


_END = object()


async def _opened(open_stream: Callable[[], PromptStream]) -> PromptStream:
    return open_stream()


async def _next(stream: PromptStream) -> Any:
    # A StopAsyncIteration cannot travel through a future.
    return await anext(stream, _END)
