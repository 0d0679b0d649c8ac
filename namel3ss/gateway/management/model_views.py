"""What models there are: Ollama's lists, OpenAI's, the managed list, and what is known of one model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from namel3ss._version import __version__
from namel3ss.gateway.answering import line, send_document
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.management.bodies import model_field, read_fields
from namel3ss.gateway.management.fleet import ask, ask_all, decoded, usable
from namel3ss.gateway.management.known_models import manages
from namel3ss.gateway.management.listing import openai_entry, tags_entry, without_paths
from namel3ss.gateway.management.showing import for_everybody
from namel3ss.gateway.routes import Action, Dialect
from namel3ss.providers.local.ollama import model_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.management.fleet import Fleet
    from namel3ss.gateway.management.known_models import KnownModels
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.principal import Principal

__all__ = ["ModelViews"]

# What else a request to show may say. `ollama run` sends the session's system prompt and options, and shows what comes
# back as the model's Modelfile.
_OF_SHOW: Final = {"verbose": bool, "system": str, "options": dict}

_VERSION: Final = re.compile(r"(\d{1,5})\.(\d{1,5})\.(\d{1,5})(?:-[0-9A-Za-z.-]{1,20})?", re.ASCII)


class ModelViews:
    """Handlers that change nothing."""

    def __init__(self, plan: GatewayPlan, known: KnownModels, fleet: Fleet) -> None:
        self._plan = plan
        self._known = known
        self._fleet = fleet

    def handlers(self) -> dict[Action, Callable[[Exchange], Awaitable[None]]]:
        return {
            Action.LIST_MODELS: self.list_models,
            Action.SHOW_MODEL: self.show_model,
            Action.LIST_LOADED: self.list_loaded,
            Action.MANAGED_MODELS: self.managed_models,
            Action.MANAGED_MODEL: self.managed_model,
            Action.VERSION: self.version,
            Action.CLOUD_STATUS: self.cloud_status,
        }

    async def list_models(self, exchange: Exchange) -> None:
        """`/api/tags` and `/v1/models`: what the key may call, and what a server has."""
        found = await self._known.callable_by(exchange.caller)
        if exchange.route is not None and exchange.route.dialect is Dialect.OPENAI:
            models = [openai_entry(model, model.name) for model, _ in found]
            await _send_openai(exchange, {"object": "list", "data": models})
            return
        entries = [tags_entry(model, served, several_servers=self._several) for model, served in found]
        await send_document(exchange, {"models": entries})

    async def managed_models(self, exchange: Exchange) -> None:
        """The managed list: `models` and how many they are."""
        found = await self._known.managed_by(exchange.caller)
        entries = [tags_entry(model, served, several_servers=self._several) for model, served in found]
        await send_document(exchange, {"models": entries, "total": len(entries)})

    async def show_model(self, exchange: Exchange) -> None:
        """`/api/show`, and `/v1/models/{model}`."""
        if exchange.route is not None and exchange.route.dialect is Dialect.OPENAI:
            await self._show_openai(exchange, exchange.parameters["model"])
            return
        fields = await read_fields(exchange)
        name, principal = model_field(fields), exchange.caller
        server, body = await self._shown(principal, name, _asked_of_show(fields))
        if manages(principal):
            await exchange.reply(200, body)
        else:
            await send_document(exchange, for_everybody(decoded(server, body)))

    async def managed_model(self, exchange: Exchange) -> None:
        """One model of the managed list, with what `show` tells."""
        principal, name = exchange.caller, exchange.parameters["name"]
        server, body = await self._shown(principal, name)
        shown = decoded(server, body)
        told = shown if manages(principal) else for_everybody(shown)
        wanted = model_key(self._known.named(principal, name))
        for model, served in await self._known.managed_by(principal):
            if model_key(model.name) == wanted:
                entry = tags_entry(model, served, several_servers=self._several)
                await send_document(exchange, {**told, **entry})
                return
        raise _not_found(name)

    async def list_loaded(self, exchange: Exchange) -> None:
        """`/api/ps` of every server, each entry with the server's name."""
        loaded: list[dict[str, Any]] = []
        for server, answer in (await ask_all(self._fleet, "/api/ps")).items():
            models = answer.get("models")
            loaded += [
                {**without_paths(entry), "server": server}
                for entry in (models if isinstance(models, list) else ())
                if isinstance(entry, dict)
            ]
        await send_document(exchange, {"models": loaded})

    async def version(self, exchange: Exchange) -> None:
        """What clients may rely on: the lowest version of the servers, beside the gateway's own."""
        lowest = lowest_version(self._fleet.version(server) for server in self._fleet.names)
        if lowest is None:
            raise Refusal(
                Reason.no_server,
                "No Ollama server has said its version yet.",
                suggestion="Try again once a server is running.",
                retry_after_s=5.0,
            )
        await send_document(exchange, {"version": lowest, "gateway": f"namel3ss {__version__}"})

    async def cloud_status(self, exchange: Exchange) -> None:
        """Ollama's own `/api/status`: whether models that run elsewhere may be used."""
        await send_document(exchange, {"cloud": cloud_status(self._plan)})

    @property
    def _several(self) -> bool:
        return len(self._fleet.names) > 1

    async def _show_openai(self, exchange: Exchange, name: str) -> None:
        wanted = model_key(self._known.named(exchange.caller, name))
        model = (await self._known.installed()).get(wanted)
        if model is None:
            raise _not_found(name)
        await _send_openai(exchange, openai_entry(model, name))

    async def _shown(
        self, principal: Principal, name: str, asked: Mapping[str, object] | None = None
    ) -> tuple[str, bytes]:
        """What the first server that has a model says of it, as it says it."""
        model = self._known.named(principal, name)
        question = {**(asked or {}), "model": model}
        trouble: Refusal | None = None
        for server in usable(self._fleet):
            try:
                answer = await ask(self._fleet, server, "POST", "/api/show", question)
            except Refusal as refusal:
                trouble = refusal
                continue
            if answer.status == 200:
                return server, answer.body
            if answer.status != 404:
                trouble = Refusal(
                    Reason.bad_upstream,
                    f"The server {server} could not say what '{name}' is (status {answer.status}).",
                )
        raise trouble or _not_found(name)


def _asked_of_show(fields: Mapping[str, Any]) -> dict[str, object]:
    return {name: fields[name] for name, kind in _OF_SHOW.items() if isinstance(fields.get(name), kind)}


def lowest_version(versions: Iterable[str | None]) -> str | None:
    """The lowest of those that are versions, so that nobody relies on what one of the servers cannot do."""
    known: list[tuple[tuple[int, ...], str]] = []
    for version in versions:
        match = _VERSION.fullmatch(version) if version is not None else None
        if match is not None:
            known.append((tuple(map(int, match.groups())), match[0]))
    return min(known)[1] if known else None


def cloud_status(plan: GatewayPlan) -> dict[str, object]:
    """In Ollama's form; its `source` says where a prohibition comes from."""
    allowed = plan.settings.cloud_models
    return {"disabled": not allowed, "source": "none" if allowed else "config"}


async def _send_openai(exchange: Exchange, value: object) -> None:
    """As the server writes what is not its own protocol."""
    await exchange.reply(200, line(value), b"application/json")


def _not_found(name: str) -> Refusal:
    return Refusal(Reason.model_not_found, f"model '{name}' not found")
