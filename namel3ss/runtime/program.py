"""A program: the models, prompts and chains of one `.ai` file, and everything they open, closed together."""

from __future__ import annotations

import contextlib
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from namel3ss.errors import ProgramError, UsageError
from namel3ss.language.suggest import closest
from namel3ss.providers.registry import PluginError
from namel3ss.runtime.models import RunnableModel
from namel3ss.runtime.sync import SyncProgram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from namel3ss.declarations import ModelDeclaration, ProgramFile
    from namel3ss.language import Diagnostic
    from namel3ss.providers.base import (
        EmbeddingResponse,
        Messages,
        N3Provider,
        ProviderResponse,
        ProviderStream,
    )
    from namel3ss.providers.registry import ProviderPlugin, ProviderRegistry
    from namel3ss.runtime.chains import RunnableChain
    from namel3ss.runtime.prompts import RunnablePrompt
    from namel3ss.runtime.tools import Tool, ToolResult, ToolRun

__all__ = ["Program"]

_DEFAULT = "default"
_NONE: Mapping[str, Any] = MappingProxyType({})


class Program:
    """The healthy models of a `.ai` file. Made by `load`; opens nothing before a model is used.

    `aclose()`, leaving ``async with``, or ``sync.close()`` closes every provider, the last opened first. `models`,
    `prompts` and `chains` are in the order of the file; `diagnostics` hold what the check found.
    """

    def __init__(
        self,
        file: ProgramFile,
        *,
        environ: Mapping[str, str],
        registry: ProviderRegistry,
        address: str | None = None,
    ) -> None:
        self.path = file.path
        self.diagnostics: tuple[Diagnostic, ...] = file.diagnostics
        self.models: Mapping[str, RunnableModel] = MappingProxyType(
            {name: RunnableModel(declared, self._open_provider) for name, declared in file.models.items()}
        )
        self.prompts: Mapping[str, RunnablePrompt] = _NONE
        self.chains: Mapping[str, RunnableChain] = _NONE
        if file.prompts or file.chains:
            self._make_parts(file)
        self._file = file
        self._environ = environ
        self._registry = registry
        self._address = address
        self._lock = threading.Lock()
        self._providers: dict[str, N3Provider] = {}
        self._opened = contextlib.AsyncExitStack()
        self._is_closed = False
        # The same calls for code without asyncio; costs nothing until it is used.
        self.sync = SyncProgram(self)

    def model(self, name: str | None = None) -> RunnableModel:
        """The model of that name; without a name the only one, else the one called ``default``.

        Raises UsageError that lists the models, and ProgramError for one that is declared but does not load.
        """
        if name is None:
            if len(self.models) == 1 and _DEFAULT not in self._file.broken:
                return next(iter(self.models.values()))
            name = _DEFAULT
            if name not in self.models and name not in self._file.broken:
                raise UsageError(
                    f"{self.path} declares several models: {', '.join(self.models)}.",
                    suggestion=f"Name one of them, or call one {_DEFAULT!r}.",
                )
        if name in self.models:
            return self.models[name]
        raise self._no_such("ai model", name, self.models, self._file.broken)

    def prompt(self, name: str) -> RunnablePrompt:
        """The prompt of that name. Raises UsageError that lists them, and ProgramError for one that does not load."""
        if name in self.prompts:
            return self.prompts[name]
        raise self._no_such("prompt", name, self.prompts, self._file.broken_prompts)

    def chain(self, name: str) -> RunnableChain:
        """The chain of that name. Raises UsageError that lists them, and ProgramError for one that does not load."""
        if name in self.chains:
            return self.chains[name]
        raise self._no_such("chain", name, self.chains, self._file.broken_chains)

    async def run(
        self,
        prompt: Messages,
        *,
        model: str | None = None,
        system: str | None = None,
        images: Sequence[object] = (),
        **overrides: Any,
    ) -> ProviderResponse:
        """One complete answer of a model (see `model`).

        `prompt`: text, a message, or a conversation. `system` replaces the declaration's and the conversation's
        own; "" means none. `images` belong to a prompt that is text. `overrides` replace settings for this call.
        """
        return await self.model(model).run(prompt, system=system, images=images, **overrides)

    def stream(
        self,
        prompt: Messages,
        *,
        model: str | None = None,
        system: str | None = None,
        images: Sequence[object] = (),
        **overrides: Any,
    ) -> ProviderStream:
        """The answer piece by piece, with the parameters of `run`. Leaving the stream stops the server."""
        return self.model(model).stream(prompt, system=system, images=images, **overrides)

    async def embed(
        self, texts: str | Sequence[str], *, model: str | None = None, **overrides: Any
    ) -> EmbeddingResponse:
        """A vector for each text, in their order, by a model that makes vectors (see `model`).

        Raises UsageError where the model's provider makes none.
        """
        return await self.model(model).embed(texts, **overrides)

    async def run_with_tools(
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
        """An answer for which the model may call these functions, plain or async, as often as it likes.

        A function's name, docstring and annotations are what the model is told; arguments are validated against the
        annotations. Arguments that do not fit and a `ToolError` go back to the model; any other exception of a function
        ends the run and is raised. `on_call` hears of each call. Raises ToolRoundsError when the model still calls tools
        after `max_rounds` answers (10 unless given) that did.
        """
        return await self.model(model).run_with_tools(
            prompt, tools, system=system, max_rounds=max_rounds, on_call=on_call, **overrides
        )

    async def aclose(self) -> None:
        """Close everything this program opened. Idempotent; running answers end with an error that says so."""
        try:
            await self.close_providers()
        finally:
            self.sync.close_thread()

    async def close_providers(self) -> None:
        """Close the providers on the running event loop, the last opened first; part of both ways to close."""
        self._is_closed = True
        await self._opened.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{len(self._providers)} open"
        return f"<Program {self.path}: {', '.join(self.models)}; {state}>"

    def _make_parts(self, file: ProgramFile) -> None:
        # Here, because most programs have none, and these bring what only they need.
        from namel3ss.runtime.chains import RunnableChain
        from namel3ss.runtime.prompts import RunnablePrompt

        self.prompts = MappingProxyType(
            {name: RunnablePrompt(declared, self.model) for name, declared in file.prompts.items()}
        )
        self.chains = MappingProxyType(
            {name: RunnableChain(declared, self) for name, declared in file.chains.items()}
        )

    def _no_such(
        self, what: str, name: str, there: Mapping[str, object], broken: Sequence[str]
    ) -> ProgramError | UsageError:
        if name in broken:
            return ProgramError(
                f"{what} {name!r} of {self.path} does not load.",
                suggestion=f"Run: namel3ss check {self.path}",
                diagnostics=self._file.errors,
            )
        near = closest(str(name), there)
        declares = f" It declares: {', '.join(there)}." if there else ""
        kinds = {"ai model": self.models, "prompt": self.prompts, "chain": self.chains}
        other = next((kind for kind, names in kinds.items() if name in names), None)
        suggestion = f"Did you mean {near[0]}?" if near else None
        if other is not None:
            suggestion = f"{name!r} is the name of {'an' if other[0] in 'a' else 'a'} {other}."
        return UsageError(f"{self.path} declares no {what} {name!r}.{declares}", suggestion=suggestion)

    def _open_provider(self, declaration: ModelDeclaration) -> N3Provider:
        with self._lock:
            if self._is_closed:
                raise RuntimeError(f"The program {self.path} is closed.")
            provider = self._providers.get(declaration.name)
            if provider is None:
                provider = self._create_provider(declaration)
                self._opened.push_async_callback(provider.aclose)
                self._providers[declaration.name] = provider
            return provider

    def _create_provider(self, declaration: ModelDeclaration) -> N3Provider:
        plugin = self._registry.get(declaration.provider)
        if plugin is None:
            raise PluginError(f"The provider {declaration.provider!r} is not installed any more.")
        if self._address is not None:
            declaration = _readdressed(declaration, plugin, self._address)
        settings = declaration.settings(self._environ)
        return plugin.create(declaration.name, declaration.model, settings, environ=self._environ)


def _readdressed(declaration: ModelDeclaration, plugin: ProviderPlugin, address: str) -> ModelDeclaration:
    """The declaration with another address: what the old one needed from the environment is not asked for."""
    written = {**declaration.config, **declaration.deployment_config}
    replaced = plugin.override_address(written, address)
    changes = {
        name: replaced.get(name) for name in {*written, *replaced} if replaced.get(name) != written.get(name)
    }
    return declaration.overridden(changes)
