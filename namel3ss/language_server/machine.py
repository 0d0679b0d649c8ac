"""What is known of the model servers: asked in the background, answered from memory.

Nothing here is awaited on the way to an answer for the editor. A look-up that is due is started, what is known is given
at once, and who listens is told when it has changed.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from namel3ss.providers.registry import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from namel3ss.language_server.trust import Address, Trust
    from namel3ss.providers.registry import ProviderRegistry

__all__ = ["EditorTools", "InstalledModel", "Machine", "ModelDetails", "ServerFacts"]

_logger = logging.getLogger("namel3ss.language_server")

_FRESH_S: Final = 5.0  # of a list of models
_MOST_DETAILS: Final = 256


@runtime_checkable
class EditorTools(Protocol):
    """What a provider's plug-in offers an editor; OllamaEditorTools says what each gives."""

    async def check_status(self, base_url: str | None = None) -> dict[str, Any]: ...
    async def list_available_models(self, base_url: str | None = None) -> list[dict[str, Any]]: ...
    async def get_model_details(self, name: str, base_url: str | None = None) -> dict[str, Any] | None: ...
    async def model_suggestions(
        self, prefix: str = "", base_url: str | None = None
    ) -> list[dict[str, Any]]: ...
    async def pull_model(
        self, name: str, on_progress: Any = None, base_url: str | None = None
    ) -> dict[str, Any]: ...
    async def remove_model(self, name: str, base_url: str | None = None) -> dict[str, Any]: ...
    def validate_model_name(self, name: str) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model on a server. `size_bytes` and `quantization` are None where the server does not say."""

    name: str
    size_bytes: int | None
    quantization: str | None
    parameters: str | None
    capabilities: tuple[str, ...] | None
    is_loaded: bool


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """`context_length` is the window, in tokens, that the model was trained for."""

    context_length: int | None
    capabilities: tuple[str, ...] | None


@dataclass(frozen=True)
class ServerFacts:
    """What a server said last. `problem` says why there is nothing, where it cannot be reached."""

    is_reachable: bool
    models: tuple[InstalledModel, ...] = ()
    suggestions: tuple[str, ...] = ()  # public names that are not installed
    problem: str | None = None
    details: Mapping[str, ModelDetails] = field(default_factory=dict)

    def find(self, name: str) -> InstalledModel | None:
        """The installed model of that name; `llama3` is `llama3:latest`."""
        return self._by_name.get(_key(name))

    @functools.cached_property
    def _by_name(self) -> dict[str, InstalledModel]:
        return {_key(model.name): model for model in reversed(self.models)}


@dataclass(slots=True)
class _Known:
    facts: ServerFacts | None = None
    asked_at: float = float("-inf")
    task: asyncio.Task[None] | None = None
    wanted: dict[str, None] = field(default_factory=dict)  # models whose details are wanted, the latest last


class Machine:
    """The servers of one editor, by provider and address. Lives on the server's event loop; `close` ends look-ups."""

    def __init__(
        self,
        registry: ProviderRegistry,
        trust: Trust,
        on_change: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.trust = trust
        self._registry = registry
        self._on_change = on_change
        self._clock = clock
        self._known: dict[tuple[str, Address], _Known] = {}
        self._tools: dict[str, EditorTools | None] = {}

    def tools(self, provider: str) -> EditorTools | None:
        """The editor tools of a provider, where it has some."""
        if provider not in self._tools:
            try:
                plugin = self._registry.get(provider)
            except PluginError:
                plugin = None
            found = plugin.editor_tools() if plugin is not None else None
            self._tools[provider] = found if isinstance(found, EditorTools) else None
        return self._tools[provider]

    def facts(self, provider: str, address: Address, *models: str) -> ServerFacts | None:
        """What is known by now; None before the first answer and of servers that must not be asked.

        Starts a look-up where the last one is old. `models` are those whose details are wanted.
        """
        if not self.trust.may_ask(address) or self.tools(provider) is None:
            return None
        known = self._known.setdefault((provider, address), _Known())
        if _want(known.wanted, models[:_MOST_DETAILS]) or self._clock() - known.asked_at >= _FRESH_S:
            self._look_up(provider, address, known)
        return known.facts

    def refresh(self) -> None:
        """Something has changed on the servers: what is known is old."""
        for known in self._known.values():
            known.asked_at = float("-inf")

    async def settle(self) -> None:
        """Wait for the look-ups that are under way."""
        while tasks := [known.task for known in self._known.values() if known.task is not None]:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """End the look-ups that are under way."""
        tasks = [known.task for known in self._known.values() if known.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _look_up(self, provider: str, address: Address, known: _Known) -> None:
        if known.task is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # nobody can be asked without a loop; what is known stays
        known.asked_at = self._clock()
        known.task = loop.create_task(self._ask(provider, address, known), name=f"look-up of {provider}")

    async def _ask(self, provider: str, address: Address, known: _Known) -> None:
        tools = self.tools(provider)
        assert tools is not None, "asked for above"
        before, wanted = known.facts, set(known.wanted)
        try:
            known.facts = await _ask_server(tools, address.url, wanted)
        except Exception:  # a plug-in's tools are other people's code: their failure is not the editor's
            _logger.exception("the editor tools of %s failed", provider)
        finally:
            known.task = None
        if known.wanted.keys() - wanted:
            self._look_up(provider, address, known)
        if known.facts != before:
            self._on_change()


def _want(wanted: dict[str, None], names: Sequence[str]) -> bool:
    """Add names; whether one is new. A name is half typed most of the time, so those that came first are forgotten."""
    is_new = any(name not in wanted for name in names)
    for name in names:
        wanted.pop(name, None)
        wanted[name] = None
    while len(wanted) > _MOST_DETAILS:
        del wanted[next(iter(wanted))]
    return is_new


async def _ask_server(tools: EditorTools, url: str | None, wanted: set[str]) -> ServerFacts:
    status = await tools.check_status(url)
    if not status.get("reachable"):
        return ServerFacts(False, problem=str(status.get("error") or "the server does not answer"))
    listed = await tools.list_available_models(url)
    models = tuple(_installed(model) for model in listed)
    suggested = [
        str(each["name"]) for each in await tools.model_suggestions("", url) if not each.get("installed")
    ]
    facts = ServerFacts(True, models, tuple(suggested))
    details: dict[str, ModelDetails] = {}
    for name in sorted(wanted):
        model = facts.find(name)
        if model is not None and (shown := await tools.get_model_details(model.name, url)) is not None:
            details[model.name] = ModelDetails(shown.get("context_length"), _texts(shown.get("capabilities")))
    return ServerFacts(True, models, tuple(suggested), details=details)


def _installed(model: Mapping[str, Any]) -> InstalledModel:
    details = model.get("details") or {}
    return InstalledModel(
        name=str(model["name"]),
        size_bytes=model.get("size"),
        quantization=_known_word(details.get("quantization_level")),
        parameters=_known_word(details.get("parameter_size")),
        capabilities=_texts(model.get("capabilities")),
        is_loaded=bool(model.get("loaded")),
    )


def _known_word(value: object) -> str | None:
    """What a server says of a model, unless it says that it does not know."""
    return value if isinstance(value, str) and value not in ("", "unknown") else None


def _texts(value: object) -> tuple[str, ...] | None:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else None


def _key(name: str) -> str:
    last = name.rpartition("/")[2]
    return (name if ":" in last else f"{name}:latest").lower()
