"""Which models there are, and which of them a key may know of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from namel3ss.gateway.authority import name_matches
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.management.fleet import ask_all
from namel3ss.gateway.management.listing import installed_models, newest_first
from namel3ss.gateway.principal import Scope
from namel3ss.providers.local.ollama import model_key

if TYPE_CHECKING:
    from namel3ss.gateway.authority import Authority
    from namel3ss.gateway.management.fleet import Fleet
    from namel3ss.gateway.management.listing import ListedModel
    from namel3ss.gateway.plan import GatewayPlan, ServedModel
    from namel3ss.gateway.principal import Principal

__all__ = ["KnownModels", "manages"]


def manages(principal: Principal) -> bool:
    """Whether somebody looks after the servers' models, and so sees those that nobody can call."""
    return principal.may(Scope.OPERATOR) or principal.may(Scope.MODELS_WRITE)


class KnownModels:
    """Asks the servers, once for everybody who asks at the same time, and shows each key its part."""

    def __init__(self, plan: GatewayPlan, authority: Authority, fleet: Fleet) -> None:
        self._cloud_models = plan.settings.cloud_models
        self._authority = authority
        self._fleet = fleet
        self._asking: asyncio.Task[dict[str, ListedModel]] | None = None

    async def installed(self) -> dict[str, ListedModel]:
        """Every model on a server that answers, by key. Raises Refusal when none does."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    async def callable_by(self, principal: Principal) -> list[tuple[ListedModel, list[ServedModel]]]:
        """What a key may call, the newest first, each with the declarations that mean it."""
        installed = await self.installed()
        served: dict[str, list[ServedModel]] = {}
        for each in self._authority.allowed(principal):
            served.setdefault(model_key(each.model), []).append(each)
        found = newest_first(installed[key] for key in served if key in installed)
        return [
            (model, served[model_key(model.name)])
            for model in found
            if not model.runs_elsewhere or (self._cloud_models and principal.allows_cloud)
        ]

    async def managed_by(self, principal: Principal) -> list[tuple[ListedModel, list[ServedModel]]]:
        """What a key may look after: all of it for operators whose key is not limited to some models."""
        mine = await self.callable_by(principal)
        if not manages(principal):
            return mine
        declared = {model_key(model.name): served for model, served in mine}
        installed = await self.installed()
        return [
            (model, declared.get(model_key(model.name), []))
            for model in newest_first(installed.values())
            if may_manage(principal, model.name)
        ]

    def named(self, principal: Principal, name: str) -> str:
        """The Ollama name of a model that a key may ask about. Raises Refusal.

        Those who look after models may name any that their key is not kept from, served or not.
        """
        try:
            return self._authority.find(principal, name).served.model
        except Refusal as refusal:
            if refusal.reason is not Reason.model_not_found or not manages(principal):
                raise
            if not may_manage(principal, name):
                raise
            return name

    async def aclose(self) -> None:
        """Ask nothing more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _ask(self) -> dict[str, ListedModel]:
        return installed_models(await ask_all(self._fleet, "/api/tags"))

    def _asked(self, task: asyncio.Task[dict[str, ListedModel]]) -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # seen, also where everybody who asked has gone


def may_manage(principal: Principal, name: str) -> bool:
    """Whether a key's list of models, if it has one, holds a model."""
    return principal.models is None or any(name_matches(entry, name) for entry in principal.models)
