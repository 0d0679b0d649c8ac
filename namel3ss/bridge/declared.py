"""A bridge from a declared model: its provider decides who answers, its settings are those of every call."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from namel3ss.bridge.anthropic import AnthropicBridge
from namel3ss.bridge.fallback import BridgeFallback
from namel3ss.bridge.ollama import OllamaBridge
from namel3ss.errors import ProgramError, UsageError
from namel3ss.language.render import render_concise
from namel3ss.language.suggest import closest
from namel3ss.providers.anthropic import AnthropicProvider
from namel3ss.providers.local.ollama import OllamaProvider
from namel3ss.providers.registry import PluginError, installed_providers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.bridge.base import Bridge
    from namel3ss.caching import ResponseCache
    from namel3ss.declarations import ModelDeclaration, ProgramFile
    from namel3ss.providers.base import N3Provider
    from namel3ss.scheduling import RequestQueue

__all__ = ["DeclaredModel", "LoadedProgram", "ProgramModels", "from_models"]

_DEFAULT: Final = "default"
_MOST_SHOWN: Final = 5
_TIMEOUT_S: Final = 120.0


class DeclaredModel(Protocol):
    """One model of a program: its declaration, and the provider made from it."""

    @property
    def declaration(self) -> ModelDeclaration: ...
    @property
    def provider(self) -> N3Provider: ...


class LoadedProgram(Protocol):
    """A program as far as a bridge needs it. `model(None)` is the only one, else the one called ``default``."""

    @property
    def models(self) -> Mapping[str, DeclaredModel]: ...
    def model(self, name: str | None = None) -> DeclaredModel: ...


def from_models(
    program: LoadedProgram,
    name: str | None,
    *,
    queue: RequestQueue | None,
    cache: ResponseCache | None,
    allow_fallback: bool,
) -> Bridge:
    """The bridge to a model of a program, with the fallback that it declares."""
    declared = program.model(name)
    fallback = declared.declaration.fallback
    rule = None
    if fallback is not None:
        if fallback.model not in program.models:
            raise ProgramError(
                f"ai model `{fallback.model}`, the fallback of `{declared.declaration.name}`, does not load."
            )
        instead = _bridge(program.models[fallback.model], program, queue, cache, None, allow_fallback=False)
        rule = BridgeFallback(
            bridge=instead, wait_over=fallback.when.wait_over, server_down=fallback.when.server_down
        )
    return _bridge(declared, program, queue, cache, rule, allow_fallback=allow_fallback)


def _bridge(
    declared: DeclaredModel,
    program: LoadedProgram,
    queue: RequestQueue | None,
    cache: ResponseCache | None,
    rule: BridgeFallback | None,
    *,
    allow_fallback: bool,
) -> Bridge:
    declaration, provider = declared.declaration, declared.provider
    if isinstance(provider, OllamaProvider):
        config = provider.config
        return OllamaBridge(
            config.base_url or provider.base_url,
            provider.model,
            queue,
            servers=config.hosts or (),
            temperature=None,
            timeout=config.total_timeout or _TIMEOUT_S,
            system=declaration.system,
            options=config.request_options(),
            fields=config.request_fields(),
            headers=config.request_headers(),
            cache=cache,
            fallback=rule,
            allow_fallback=allow_fallback,
        )
    if isinstance(provider, AnthropicProvider):
        return AnthropicBridge(
            provider=provider,
            system=declaration.system,
            is_owner=isinstance(program, ProgramModels),
            fallback=rule,
            allow_fallback=allow_fallback,
        )
    raise UsageError(
        f"ai model `{declaration.name}` is of provider `{declaration.provider}`, which has no bridge.",
        suggestion="A bridge asks models of the providers anthropic and ollama.",
    )


class _FileModel:
    """A model of a file; its provider is made anew for each bridge."""

    def __init__(self, declaration: ModelDeclaration, environ: Mapping[str, str]) -> None:
        self.declaration = declaration
        self._environ = environ

    @property
    def provider(self) -> N3Provider:
        plugin = installed_providers().get(self.declaration.provider)
        if plugin is None:
            raise PluginError(f"The provider {self.declaration.provider!r} is not installed any more.")
        settings = self.declaration.settings(self._environ)
        return plugin.create(self.declaration.name, self.declaration.model, settings, environ=self._environ)


class ProgramModels:
    """The models of a `.ai` file that nobody else has loaded. Raises ProgramError where it has none."""

    def __init__(self, file: ProgramFile, environ: Mapping[str, str]) -> None:
        self._file = file
        self.models: Mapping[str, DeclaredModel] = MappingProxyType(
            {name: _FileModel(declaration, environ) for name, declaration in file.models.items()}
        )
        if not file.models:
            raise self._unusable()

    def model(self, name: str | None = None) -> DeclaredModel:
        if name is None:
            if len(self.models) == 1 and not self._file.broken:
                return next(iter(self.models.values()))
            name = _DEFAULT
        if name in self.models:
            return self.models[name]
        if self._file.broken:
            raise self._unusable()
        near = closest(str(name), self.models)
        raise UsageError(
            f"{self._file.path} declares no ai model `{name}`; it declares: {', '.join(self.models)}.",
            suggestion=f"Did you mean `{near[0]}`?" if near else "Name one of them.",
        )

    def _unusable(self) -> ProgramError:
        shown = render_concise(self._file.errors[:_MOST_SHOWN]).rstrip() or "It declares no ai model."
        return ProgramError(
            f"{self._file.path} cannot be used.\n{shown}",
            suggestion=f"Run: namel3ss check {self._file.path}",
            diagnostics=self._file.diagnostics,
        )
