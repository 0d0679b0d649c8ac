"""The models of one server: list, show, running, pull, delete, copy, load and unload."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from namel3ss.errors import UsageError
from namel3ss.observability.metrics import record_metric
from namel3ss.providers.call_parts import check_callable, check_seconds
from namel3ss.providers.local.ollama._address import parse_url
from namel3ss.providers.local.ollama._availability import ModelAvailabilityCache
from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaCapabilityError,
    OllamaError,
    OllamaModelNotFoundError,
    OllamaRequestError,
)
from namel3ss.providers.local.ollama._http import OllamaHttp
from namel3ss.providers.local.ollama._names import find_model, model_key, name_problem, nearest_models
from namel3ss.providers.local.ollama._pull import PullPolicy, give_back, pull

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from namel3ss.providers.local.ollama._address import Address
    from namel3ss.providers.local.ollama._pull import ProgressListener

__all__ = ["OllamaModelManager", "model_names", "not_found", "open_http", "part"]

Shape = TypeVar("Shape")

_ANSWER_TIMEOUT_S = 30.0  # for questions that read a few files on the server


class _Listed(msgspec.Struct):
    """What must be there, and of which type, for an entry of a list to be an entry."""

    name: str
    size: int | None = None
    modified_at: str | None = None
    digest: str | None = None
    details: dict[str, Any] | None = None
    capabilities: list[str] | None = None


class _ListAnswer(msgspec.Struct):
    models: list[_Listed] | None


class _LoadAnswer(msgspec.Struct):
    done: bool = False
    done_reason: str | None = None


class OllamaModelManager:
    """Looks after the models of the server at `base_url`.

    `cache` remembers which models are installed. `http` is the connection of somebody else, who closes it; without
    it the manager opens its own when needed, `headers` going with every request, and `aclose()` (or ``async with``)
    closes that. `load_timeout` and `pull_timeout` (seconds) bound a load and a whole pull. `on_change` is called after
    a pull, delete or copy.
    """

    def __init__(
        self,
        base_url: str,
        cache: ModelAvailabilityCache | None = None,
        *,
        http: OllamaHttp | None = None,
        headers: Mapping[str, str] | None = None,
        load_timeout: float | None = 300.0,
        pull_timeout: float | None = None,
        pull_policy: PullPolicy | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        if cache is not None and not isinstance(cache, ModelAvailabilityCache):
            raise UsageError(
                f"cache must be a ModelAvailabilityCache, not a value of type {type(cache).__name__}."
            )
        self.cache = ModelAvailabilityCache() if cache is None else cache
        self._http = open_http(parse_url(base_url), headers or {}) if http is None else http
        self._owns_http = http is None
        self._load_timeout = load_timeout
        self._pull_timeout = pull_timeout
        self._pull_policy = pull_policy or PullPolicy()
        self._on_change = on_change

    @property
    def base_url(self) -> str:
        """The address of its server, without secrets. It stays: for another server, make another manager."""
        return self._http.base_url

    # -- asking -------------------------------------------------------------------------------------------------

    async def list_models(self) -> list[dict[str, Any]]:
        """The installed models, most recently changed first.

        Each has at least ``name``, ``size`` (bytes), ``modified_at`` (RFC 3339), ``digest`` (hex) and ``details``;
        newer servers add ``capabilities`` and ``context_length`` (tokens it was trained for). What the server left
        out is None.
        """
        body = await self._http.request("GET", "/api/tags", timeout_s=_ANSWER_TIMEOUT_S)
        models = [_described(entry) for entry in self._entries(body)]
        record_metric("ollama.models.count", len(models), {"base_url": self.base_url})
        return models

    async def show_model(self, name: str) -> dict[str, Any]:
        """What the server knows of one model: its answer, with ``capabilities`` (a list) and ``context_length``
        (tokens it was trained for, or None) always there.
        """
        body = await self._ask(
            "POST", "/api/show", {"model": _checked(name, self.base_url)}, name, can_pull=True
        )
        answer = self._decode(body, dict[str, Any])
        answer["capabilities"] = _texts(answer.get("capabilities"))
        answer["context_length"] = _trained_context(answer)
        return answer

    async def running_models(self) -> list[dict[str, Any]]:
        """The loaded models, with ``size_vram`` (bytes), ``expires_at`` and the allocated ``context_length``."""
        body = await self._http.request("GET", "/api/ps", timeout_s=_ANSWER_TIMEOUT_S)
        return self._entries(body)

    async def ensure_model_available(
        self, model: str, auto_pull: bool = True, *, on_progress: ProgressListener | None = None
    ) -> None:
        """Return once the server has `model`, pulled if need be.

        Raises OllamaModelNotFoundError with the nearest installed names when it is missing and `auto_pull` is off.
        """
        _checked(model, self.base_url)
        if await self.cache.look_up(model, lambda: self._check(model)):
            return
        if not auto_pull:
            raise not_found(model, await self._installed_or_none(), self.base_url, pulls_if_allowed=True)
        await self.pull_model(model, on_progress=on_progress)

    # -- changing -----------------------------------------------------------------------------------------------

    async def pull_model(
        self,
        name: str,
        pull_timeout: float | None = None,
        on_progress: ProgressListener | None = None,
        *,
        insecure: bool = False,
    ) -> None:
        """Download a model, or wait for a download of it that is under way.

        `pull_timeout` (seconds) bounds the wait, where the setting does not. `on_progress` gets a PullProgress for
        every change. `insecure` allows a registry without TLS (a name that begins with ``http://``). Cancelling
        stops the download unless somebody else waits for it; pulling again resumes. Raises OllamaModelPullError.
        """
        _checked(name, self.base_url)
        if pull_timeout is not None:
            check_seconds(pull_timeout, "pull_timeout")
        check_callable(on_progress, "on_progress")
        try:
            await pull(
                self._http,
                name.strip(),
                key=model_key(name),
                is_listed=lambda http: self._is_listed(http, name),
                policy=self._pull_policy,
                timeout_s=self._pull_timeout if pull_timeout is None else pull_timeout,
                on_progress=on_progress,
                insecure=insecure,
            )
        finally:
            await self._changed(name)
        await self.cache.set(name, True)

    async def delete_model(self, name: str) -> None:
        """Remove a model from the server. Raises OllamaModelNotFoundError when it is not there."""
        await self._ask("DELETE", "/api/delete", {"model": _checked(name, self.base_url)}, name)
        await self._changed(name)
        record_metric("ollama.model.deleted", 1, {"model": name})

    async def copy_model(self, source: str, destination: str) -> None:
        """Give a model a second name. Its data is not copied."""
        body = {
            "source": _checked(source, self.base_url),
            "destination": _checked(destination, self.base_url),
        }
        await self._ask("POST", "/api/copy", body, source)
        await self._changed(destination)

    async def warm_up(
        self,
        model: str,
        *,
        keep_alive: float | str | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        """Load a model, so that the next request need not wait for that.

        `options` must be those of the requests to come: other runner options make the server load it again.
        """
        body: dict[str, object] = {"model": _checked(model, self.base_url), "stream": False}
        if keep_alive is not None:
            body["keep_alive"] = keep_alive
        if options:
            body["options"] = dict(options)
        limit = self._load_timeout
        try:
            await self._ask("POST", "/api/generate", body, model, timeout_s=limit, can_pull=True)
        except OllamaCapabilityError:
            # A model that only embeds refuses to generate; embedding nothing loads it.
            await self._ask("POST", "/api/embed", body | {"input": []}, model, timeout_s=limit, can_pull=True)

    async def unload(self, model: str) -> None:
        """Take a model out of memory, at once or as soon as it is idle. One that is not loaded stays so."""
        body = {"model": _checked(model, self.base_url), "keep_alive": 0, "stream": False}
        answer = self._decode(await self._ask("POST", "/api/generate", body, model), _LoadAnswer)
        if not answer.done:
            raise OllamaBadResponseError(
                f"The server did not confirm that it unloads '{model}'.", model=model, base_url=self.base_url
            )

    # -- lifetime -----------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Give up the pulls of this manager and close the connections that it opened. Idempotent."""
        await give_back(self._http)
        if self._owns_http:
            await self._http.aclose()

    def __repr__(self) -> str:
        return f"<OllamaModelManager of {self.base_url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # -- inside -------------------------------------------------------------------------------------------------

    async def _ask(
        self,
        method: str,
        path: str,
        body: object,
        model: str,
        *,
        timeout_s: float | None = _ANSWER_TIMEOUT_S,
        can_pull: bool = False,
    ) -> bytes:
        """The answer to a question about `model`. One that is not installed names its neighbours, and how to pull it
        where that is what the caller wants.
        """
        try:
            return await self._http.request(method, path, body, timeout_s=timeout_s)
        except OllamaModelNotFoundError as error:
            await self.cache.invalidate(model)
            raise not_found(
                model, await self._installed_or_none(), self.base_url, can_pull=can_pull
            ) from error

    async def _check(self, model: str) -> bool:
        started_at = time.perf_counter()
        try:
            return find_model(model, model_names(await self.list_models())) is not None
        finally:
            record_metric("ollama.model.check_duration", time.perf_counter() - started_at, {"model": model})

    async def _installed_or_none(self) -> list[str]:
        """Names for a suggestion: none when the server does not tell, because another error is being reported."""
        try:
            return model_names(await self.list_models())
        except OllamaError:
            return []

    async def _is_listed(self, http: OllamaHttp, name: str) -> bool:
        body = await http.request("GET", "/api/tags", timeout_s=_ANSWER_TIMEOUT_S)
        return find_model(name, model_names(self._entries(body))) is not None

    async def _changed(self, name: str) -> None:
        await self.cache.invalidate(name)
        if self._on_change is not None:
            self._on_change()

    def _entries(self, body: bytes) -> list[dict[str, Any]]:
        """The entries under ``models``, each checked to be one; their unknown fields are kept."""
        document = self._decode(body, dict[str, Any])
        listed = document.get("models")
        for entry in listed if isinstance(listed, list) else ():
            if isinstance(entry, dict) and "name" not in entry and "model" in entry:
                entry["name"] = entry["model"]
        self._convert(document, _ListAnswer, body)
        return document["models"] or []

    def _decode(self, body: bytes, shape: type[Shape]) -> Shape:
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._http.bad_response(f"The answer is not JSON ({error})", body, model=None) from error
        return self._convert(document, shape, body)

    def _convert(self, document: object, shape: type[Shape], body: bytes) -> Shape:
        try:
            return msgspec.convert(document, shape)
        except msgspec.ValidationError as error:
            raise self._http.bad_response(
                f"The answer is not Ollama's ({error})", body, model=None
            ) from error


def open_http(address: Address, headers: Mapping[str, str] = MappingProxyType({})) -> OllamaHttp:
    """A connection of its own to a server; what the URL says of a user goes into a header."""
    from_url = {"Authorization": address.authorization} if address.authorization else {}
    return OllamaHttp(address.url, headers={**from_url, **headers})


def model_names(models: list[dict[str, Any]]) -> list[str]:
    """The names in a list of models."""
    return [model["name"] for model in models]


def not_found(
    model: str, installed: list[str], base_url: str, *, can_pull: bool = True, pulls_if_allowed: bool = False
) -> OllamaModelNotFoundError:
    """The error for a model that is not installed, with its neighbours and, where that helps, how to pull it.

    `pulls_if_allowed`: what was asked for would have pulled it, had the settings said so.
    """
    nearest = nearest_models(model, installed)
    advice = []
    if can_pull:
        advice.append(f"Run: ollama pull {model}")
    if pulls_if_allowed:
        advice.append("Or enable auto_pull_model in your configuration.")
    if nearest:
        advice.append(f"Installed with a similar name: {', '.join(nearest)}")
    return OllamaModelNotFoundError(
        f"Ollama model '{model}' is not available locally.",
        model=model,
        base_url=base_url,
        suggestion="\n".join(advice) or "`ollama list` shows what is installed.",
        nearest=nearest,
    )


def _checked(name: object, base_url: str) -> str:
    """`name` without white space around it. Raises OllamaRequestError with the reason when it is no name."""
    problem = name_problem(name)
    if problem is not None or not isinstance(name, str):
        raise OllamaRequestError(
            f"{name!r:.80} is not a model name: {problem}.",
            model=name if isinstance(name, str) else None,
            base_url=base_url,
            suggestion="A name looks like llama3:8b or namespace/model:tag.",
        )
    return name.strip()


def _described(entry: dict[str, Any]) -> dict[str, Any]:
    """One entry of a list with the promised fields, the rest as the server sent it."""
    described = {key: entry.get(key) for key in ("name", "size", "modified_at", "digest")}
    details = described["details"] = entry.get("details") or {}
    if isinstance(details.get("context_length"), int):
        described["context_length"] = details["context_length"]
    return described | {key: value for key, value in entry.items() if key not in described}


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _trained_context(answer: dict[str, Any]) -> int | None:
    """The context length that a model was trained for, from its own metadata."""
    for place, key in (
        ("model_info", f"{part(answer, 'model_info').get('general.architecture')}.context_length"),
        ("details", "context_length"),
    ):
        length = part(answer, place).get(key)
        if isinstance(length, int):
            return length
    return None


def part(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """An object inside an answer; empty when it is missing or something else."""
    part = answer.get(name)
    return part if isinstance(part, dict) else {}
