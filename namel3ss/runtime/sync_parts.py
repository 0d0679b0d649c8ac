"""Models, prompts and chains for code without asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from namel3ss.providers.loop_thread import BlockingStream, SyncStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from namel3ss.providers.base import EmbeddingResponse, Messages, ProviderResponse
    from namel3ss.providers.loop_thread import LoopThread
    from namel3ss.runtime.chains import ChainResult, RunnableChain, StepEvent
    from namel3ss.runtime.models import RunnableModel
    from namel3ss.runtime.prompts import PromptResult, RunnablePrompt

__all__ = ["SyncChain", "SyncModel", "SyncPrompt", "SyncPromptStream"]


class SyncModel:
    """A model of a program, blocking. See `RunnableModel`."""

    def __init__(self, model: RunnableModel, thread: LoopThread) -> None:
        self._model = model
        self._thread = thread

    def run(
        self, prompt: Messages, *, system: str | None = None, images: Sequence[object] = (), **overrides: Any
    ) -> ProviderResponse:
        """One complete answer; see `Program.run`."""
        return self._thread.run(self._model.run(prompt, system=system, images=images, **overrides))

    def stream(
        self, prompt: Messages, *, system: str | None = None, images: Sequence[object] = (), **overrides: Any
    ) -> SyncStream:
        """The answer piece by piece: iterate it, best inside ``with``, which stops the server when left early."""
        return SyncStream(
            self._thread, lambda: self._model.stream(prompt, system=system, images=images, **overrides)
        )

    def embed(self, texts: str | Sequence[str], **overrides: Any) -> EmbeddingResponse:
        """A vector for each text; see `Program.embed`."""
        return self._thread.run(self._model.embed(texts, **overrides))


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


class SyncPromptStream(BlockingStream[Any, "PromptResult"]):
    """A `PromptStream` without asyncio."""
