"""What an editor may ask about Ollama on this machine.

Everything can be called on the class. Look-ups wait 300 ms at most and never raise for a server that is not there:
a list is empty, details are None, and `check_status` says why. Without an address the user's own environment
decides, never a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

from namel3ss.errors import N3Error
from namel3ss.providers.local.ollama._address import resolve_address
from namel3ss.providers.local.ollama._errors import OllamaRequestTimeoutError
from namel3ss.providers.local.ollama._health import fetch_version
from namel3ss.providers.local.ollama._models import OllamaModelManager, model_names, open_http, part
from namel3ss.providers.local.ollama._names import find_model, model_key, parse_model_name
from namel3ss.providers.local.ollama._server import OllamaServerManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from namel3ss.providers.local.ollama._http import OllamaHttp
    from namel3ss.providers.local.ollama._pull import ProgressListener

__all__ = ["OllamaEditorTools"]

Answer = TypeVar("Answer")

LOOK_UP_S = 0.3
_DEFAULT_MODEL = "llama3:8b"
_START_HINT = "Start it: ollama serve"

# Names that people look for first, for a completion on a machine that has few models.
_PUBLIC_NAMES = (
    "llama3:8b",
    "llama3.2:3b",
    "mistral:7b",
    "qwen2.5:7b",
    "gemma3:4b",
    "phi3:mini",
    "codellama:13b",
    "deepseek-r1:8b",
    "nomic-embed-text:latest",
)


class _Capabilities:
    """What models can do, by digest: the same digest can always do the same. Bounded; the oldest goes first."""

    _LIMIT = 256

    def __init__(self) -> None:
        self._known: OrderedDict[str, list[str]] = OrderedDict()

    def get(self, digest: str | None) -> list[str] | None:
        known = self._known.get(digest or "")
        return None if known is None else list(known)

    def learn(self, digest: str | None, capabilities: list[str]) -> None:
        if digest:
            self._known[digest] = list(capabilities)
            while len(self._known) > self._LIMIT:
                self._known.popitem(last=False)


class OllamaEditorTools:
    """Status, installed models and their details, names, pulls: for editors and language servers."""

    _capabilities = _Capabilities()

    @classmethod
    async def check_status(cls, base_url: str | None = None) -> dict[str, Any]:
        """``reachable``, ``models_count``, ``models`` (names), ``version``, ``response_time_ms``; when it cannot be
        reached also ``error`` and ``suggestion``.
        """
        started_at = time.perf_counter()

        async def look(http: OllamaHttp, models: OllamaModelManager) -> tuple[str, list[str]]:
            nonlocal started_at
            started_at = time.perf_counter()
            return await fetch_version(http), model_names(await models.list_models())

        status: dict[str, Any] = {"reachable": False, "models_count": 0, "models": [], "version": None}
        try:
            version, names = await _look_up(base_url, look)
        except N3Error as error:
            status |= {"error": error.message, "suggestion": error.suggestion or _START_HINT}
        else:
            status |= {"reachable": True, "models_count": len(names), "models": names, "version": version}
        return status | {"response_time_ms": (time.perf_counter() - started_at) * 1000}

    @classmethod
    async def list_available_models(cls, base_url: str | None = None) -> list[dict[str, Any]]:
        """The installed models: ``name``, ``size``, ``modified_at``, ``digest``, ``details``, ``capabilities`` (None
        while nobody knows them), ``loaded``.
        """

        async def look(
            http: OllamaHttp, models: OllamaModelManager
        ) -> tuple[list[dict[str, Any]], list[str]]:
            return await models.list_models(), model_names(await models.running_models())

        try:
            installed, running = await _look_up(base_url, look)
        except N3Error:
            return []
        return [cls._described(model, running) for model in installed]

    @staticmethod
    def validate_model_name(name: object) -> dict[str, Any]:
        """``is_valid``, ``message`` (the reason when it is not) and ``normalized`` (as the server lists it, or None)."""
        if not isinstance(name, str):
            return {"is_valid": False, "message": f"{name!r} is not a text.", "normalized": None}
        try:
            normalized = str(parse_model_name(name))
        except ValueError as problem:
            return {
                "is_valid": False,
                "message": f"{name!r:.80} is not a model name: {problem}.",
                "normalized": None,
            }
        return {"is_valid": True, "message": f"{name!r} is a valid model name.", "normalized": normalized}

    @staticmethod
    def get_default_model() -> str:
        """A model to begin with."""
        return _DEFAULT_MODEL

    @staticmethod
    def get_supported_capabilities() -> dict[str, bool]:
        """What the provider can do, whatever the model."""
        return {
            "chat": True,
            "streaming": True,
            "embeddings": True,
            "function_calling": True,
            "vision": True,
            "thinking": True,
            "structured_output": True,
            "local_deployment": True,
        }

    @classmethod
    async def get_model_details(cls, name: str, base_url: str | None = None) -> dict[str, Any] | None:
        """``name``, ``context_length`` (tokens it was trained for), ``capabilities``, ``size`` (bytes),
        ``parameter_size``, ``quantization_level``, ``family``, ``parameters`` (its own settings, a text), ``digest``;
        None when the model or the server is not there.
        """

        async def look(
            http: OllamaHttp, models: OllamaModelManager
        ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
            return await models.show_model(name), await models.list_models()

        try:
            shown, installed = await _look_up(base_url, look)
        except N3Error:
            return None
        listed = _entry(name, installed)
        details = part(shown, "details")
        cls._capabilities.learn(listed.get("digest"), shown["capabilities"])
        return {
            "name": listed.get("name", name),
            "context_length": shown["context_length"],
            "capabilities": shown["capabilities"],
            "size": listed.get("size"),
            "digest": listed.get("digest"),
            "parameters": shown.get("parameters"),
            **{key: details.get(key) for key in ("parameter_size", "quantization_level", "family")},
        }

    @classmethod
    async def pull_model(
        cls, name: str, on_progress: ProgressListener | None = None, base_url: str | None = None
    ) -> dict[str, Any]:
        """Download a model: ``success``, ``message``, ``suggestion``. `on_progress` gets a PullProgress for every
        change; cancelling stops the download.
        """

        async def pull(models: OllamaModelManager) -> None:
            await models.pull_model(name, on_progress=on_progress)

        return await _change(base_url, pull, f"Model '{name}' is installed.")

    @classmethod
    async def remove_model(cls, name: str, base_url: str | None = None) -> dict[str, Any]:
        """Remove a model: ``success``, ``message``, ``suggestion``."""

        async def remove(models: OllamaModelManager) -> None:
            await models.delete_model(name)

        return await _change(base_url, remove, f"Model '{name}' was removed.")

    @classmethod
    async def start_server(cls, base_url: str | None = None) -> dict[str, Any]:
        """Have the server of this machine run: ``success``, ``message``, ``suggestion``. It stays when the editor ends."""
        try:
            address = resolve_address(base_url).url
            async with OllamaServerManager({"base_url": address}, announce=lambda _line: None) as manager:
                was_started = await manager.start()
        except N3Error as error:
            return {"success": False, "message": error.message, "suggestion": error.suggestion}
        done = "The Ollama server was started." if was_started else "The Ollama server was running already."
        return {"success": True, "message": done, "suggestion": None}

    @classmethod
    async def model_suggestions(cls, prefix: str = "", base_url: str | None = None) -> list[dict[str, Any]]:
        """Names that begin with `prefix`, the installed ones first: ``name``, ``installed``, and of an installed one
        ``size`` and ``details``. Known public names follow, also when no server answers.
        """
        wanted = prefix.strip().lower()
        installed = await cls.list_available_models(base_url)
        suggestions = [
            {
                "name": model["name"],
                "installed": True,
                "size": model["size"],
                "details": model["details"],
            }
            for model in installed
            if model["name"].lower().startswith(wanted)
        ]
        have = {model_key(model["name"]) for model in installed}
        return suggestions + [
            {"name": name, "installed": False, "size": None, "details": {}}
            for name in _PUBLIC_NAMES
            if name.startswith(wanted) and model_key(name) not in have
        ]

    @classmethod
    def _described(cls, model: dict[str, Any], running: list[str]) -> dict[str, Any]:
        if isinstance(model.get("capabilities"), list):
            cls._capabilities.learn(model["digest"], model["capabilities"])
        return {
            **{key: model[key] for key in ("name", "size", "modified_at", "digest", "details")},
            "capabilities": cls._capabilities.get(model["digest"]),
            "loaded": find_model(model["name"], running) is not None,
        }


def _entry(name: str, installed: list[dict[str, Any]]) -> dict[str, Any]:
    found = find_model(name, model_names(installed))
    return next((model for model in installed if model["name"] == found), {})


async def _look_up(
    base_url: str | None, ask: Callable[[OllamaHttp, OllamaModelManager], Awaitable[Answer]]
) -> Answer:
    """The answer of `ask` within the deadline. Raises N3Error."""
    async with _manager(base_url) as (http, models):
        await http.load()  # loading a library is not waiting for a server
        try:
            async with asyncio.timeout(LOOK_UP_S):
                return await ask(http, models)
        except TimeoutError as error:
            if isinstance(error, N3Error):
                raise
            raise OllamaRequestTimeoutError(
                f"The Ollama server does not answer within {LOOK_UP_S * 1000:.0f} ms.",
                base_url=http.base_url,
                suggestion="It may be busy starting; ask again in a moment.",
            ) from error


async def _change(
    base_url: str | None, change: Callable[[OllamaModelManager], Awaitable[None]], done: str
) -> dict[str, Any]:
    try:
        async with _manager(base_url) as (_, models):
            await change(models)
    except N3Error as error:
        return {"success": False, "message": error.message, "suggestion": error.suggestion}
    return {"success": True, "message": done, "suggestion": None}


@contextlib.asynccontextmanager
async def _manager(base_url: str | None) -> AsyncIterator[tuple[OllamaHttp, OllamaModelManager]]:
    """A connection of its own for each call: editors call rarely, and from loops of their own."""
    http = open_http(resolve_address(base_url))
    try:
        async with OllamaModelManager(http.base_url, http=http) as models:
            yield http, models
    finally:
        await http.aclose()
