"""A program for code without asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from namel3ss.providers.loop_thread import LoopThread, SyncStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from namel3ss.providers.base import EmbeddingResponse, Messages, ProviderResponse
    from namel3ss.runtime.program import Program
    from namel3ss.runtime.sync_parts import SyncChain, SyncModel, SyncPrompt
    from namel3ss.runtime.tools import Tool, ToolConversation, ToolResult, ToolRun

__all__ = ["SyncProgram"]


class SyncProgram:
    """The calls of a `Program`, blocking. Reached as ``program.sync``; closing it closes the program.

    May be used from several threads, and inside a running event loop, which it then blocks. Ctrl-C stops the
    running answer.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._thread = LoopThread(f"namel3ss {program.path}")

    def run(
        self,
        prompt: Messages,
        *,
        model: str | None = None,
        system: str | None = None,
        images: Sequence[object] = (),
        **overrides: Any,
    ) -> ProviderResponse:
        """One complete answer; see `Program.run`."""
        return self._thread.run(
            self._program.run(prompt, model=model, system=system, images=images, **overrides)
        )

    def stream(
        self,
        prompt: Messages,
        *,
        model: str | None = None,
        system: str | None = None,
        images: Sequence[object] = (),
        **overrides: Any,
    ) -> SyncStream:
        """The answer piece by piece: iterate it, best inside ``with``, which stops the server when left early."""
        return SyncStream(
            self._thread,
            lambda: self._program.stream(prompt, model=model, system=system, images=images, **overrides),
        )

    def embed(
        self, texts: str | Sequence[str], *, model: str | None = None, **overrides: Any
    ) -> EmbeddingResponse:
        """A vector for each text; see `Program.embed`."""
        return self._thread.run(self._program.embed(texts, model=model, **overrides))

    def run_with_tools(
        self,
        prompt: Messages,
        tools: Iterable[Callable[..., Any] | Tool],
        *,
        model: str | None = None,
        system: str | None = None,
        max_rounds: int | None = None,
        on_call: Callable[[ToolResult], object] | None = None,
        **overrides: Any,
    ) -> ToolRun:
        """An answer for which the model may call these functions; plain ones are called on the caller's own thread.

        See `Program.run_with_tools`.
        """
        from namel3ss.runtime.tools import converse_blocking

        chosen = self._program.model(model)

        def ask(so_far: ToolConversation) -> ProviderResponse:
            return self._thread.run(
                chosen.run(so_far.messages, system=system, tools=so_far.descriptions, **overrides)
            )

        return converse_blocking(
            chosen.begin_tools(prompt, tools, max_rounds, on_call), ask, self._thread.run
        )

    @property
    def models(self) -> Mapping[str, SyncModel]:
        """The models of the program, blocking."""
        from namel3ss.runtime.sync_parts import SyncModel

        return {name: SyncModel(model, self._thread) for name, model in self._program.models.items()}

    @property
    def prompts(self) -> Mapping[str, SyncPrompt]:
        """The prompts of the program, blocking."""
        from namel3ss.runtime.sync_parts import SyncPrompt

        return {name: SyncPrompt(prompt, self._thread) for name, prompt in self._program.prompts.items()}

    @property
    def chains(self) -> Mapping[str, SyncChain]:
        """The chains of the program, blocking."""
        from namel3ss.runtime.sync_parts import SyncChain

        return {name: SyncChain(chain, self._thread) for name, chain in self._program.chains.items()}

    def close(self) -> None:
        """Close everything the program opened, and end the private event loop. Idempotent."""
        if not self._thread.is_closed:
            try:
                self._thread.run(self._program.close_providers())
            finally:
                self._thread.close()

    def close_thread(self) -> None:
        """End the private event loop alone: the program closes the rest."""
        self._thread.close()

    def __repr__(self) -> str:
        return f"<SyncProgram of {self._program!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
