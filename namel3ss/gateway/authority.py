"""Who may call which model: asked by every route, for every spelling, in this one place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.providers.local.ollama import model_key, parse_model_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.gateway.plan import GatewayPlan, ServedModel
    from namel3ss.gateway.principal import Principal

__all__ = ["Authority", "Called", "name_matches"]

_REMEMBERED: Final = 1024
_SHOWN: Final = 100


class Called(NamedTuple):
    """A model that may be called, and how: by the name of its declaration, or as Ollama calls it."""

    served: ServedModel
    by_declared_name: bool


class Authority:
    """What the plan serves, seen with a principal's eyes.

    A name that is both the name of a declaration and a model's own means the declaration, also where a key lists it. Of
    several declarations of one Ollama model its own name means the first that the principal may use.
    """

    def __init__(self, plan: GatewayPlan) -> None:
        self._models = plan.models
        self._by_declaration = {served.name: served for served in plan.models}
        self._by_key: dict[str, tuple[ServedModel, ...]] = {}
        for served in plan.models:
            key = model_key(served.model)
            self._by_key[key] = (*self._by_key.get(key, ()), served)
        self._cloud_models = plan.settings.cloud_models
        self._cloud = frozenset(served.name for served in plan.models if _is_cloud(served.model))
        # Spellings of served models only, and the lists that keys are given: neither grows with what callers make up.
        self._spellings: dict[str, tuple[ServedModel, ...]] = {}
        self._granted: dict[tuple[str, ...], tuple[ServedModel, ...]] = {}

    def find(self, principal: Principal, name: str) -> Called:
        """The model that a request means. Raises Refusal: no such model, not for this key, or run elsewhere.

        What a key may not use is refused in the same words whether it is served or not.
        """
        declared = self._by_declaration.get(name)
        if declared is not None:
            self._check(principal, (declared,), name)
            return Called(declared, by_declared_name=True)
        meant = self._spellings.get(name) or self._by_own_name(principal, name)
        if meant[0].name in self._cloud and not self._may_leave(principal):
            # Such a name says it itself, so that this tells nobody that it is served.
            raise _run_elsewhere(name)
        return Called(self._check(principal, meant, name), by_declared_name=False)

    def allowed(self, principal: Principal) -> tuple[ServedModel, ...]:
        """Everything that the principal may call, in the order of the file."""
        granted = self._models if principal.models is None else self._granted_by(principal.models)
        if not self._cloud or self._may_leave(principal):
            return granted
        return tuple(served for served in granted if served.name not in self._cloud)

    def _by_own_name(self, principal: Principal, name: str) -> tuple[ServedModel, ...]:
        try:
            spelt = parse_model_name(name)
        except ValueError:
            raise Refusal(Reason.bad_request, "invalid model name") from None
        meant = self._by_key.get(spelt.key, ())
        if not meant:
            if spelt.is_cloud and not self._may_leave(principal):
                raise _run_elsewhere(name)
            if principal.models is not None and not any(
                self._names(entry, name) for entry in principal.models
            ):
                raise _not_allowed(name)
            raise Refusal(Reason.model_not_found, f"model '{name}' not found")
        if len(self._spellings) >= _REMEMBERED:
            self._spellings.clear()
        self._spellings[name] = meant
        return meant

    def _check(self, principal: Principal, meant: tuple[ServedModel, ...], name: str) -> ServedModel:
        granted = meant if principal.models is None else self._granted_by(principal.models)
        served = next((served for served in meant if served in granted), None)
        if served is None:
            raise _not_allowed(name)
        if served.name in self._cloud and not self._may_leave(principal):
            raise _run_elsewhere(name)
        return served

    def _may_leave(self, principal: Principal) -> bool:
        """Whether the prompts of a key may leave this site."""
        return self._cloud_models and principal.allows_cloud

    def _granted_by(self, entries: tuple[str, ...]) -> tuple[ServedModel, ...]:
        granted = self._granted.get(entries)
        if granted is None:
            if len(self._granted) >= _REMEMBERED:
                self._granted.clear()
            granted = tuple(served for served in self._models if self._is_granted(served, entries))
            self._granted[entries] = granted
        return granted

    def _is_granted(self, served: ServedModel, entries: tuple[str, ...]) -> bool:
        for entry in entries:
            if entry in self._by_declaration:
                is_meant = entry == served.name
            else:
                is_meant = name_matches(entry, served.model)
            if is_meant or ("*" in entry and _matcher(entry)(served.name) is not None):
                return True
        return False

    def _names(self, entry: str, name: str) -> bool:
        """Whether an entry of a key's list means a name that nobody serves."""
        if entry in self._by_declaration:
            return False
        return name_matches(entry, name) or ("*" in entry and _matcher(entry)(name) is not None)


def name_matches(pattern: str, name: str) -> bool:
    """Whether an Ollama model is meant by a name or a pattern. `*` stands for any characters; case does not count."""
    if "*" not in pattern:
        return model_key(pattern) == model_key(name)
    return _matcher(pattern)(_shown(name)) is not None


def _matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.IGNORECASE).fullmatch


def _shown(name: str) -> str:
    """The name as a server lists it, with its tag; patterns are about these."""
    try:
        return str(parse_model_name(name))
    except ValueError:
        return name


def _is_cloud(name: str) -> bool:
    try:
        return parse_model_name(name).is_cloud
    except ValueError:
        return False


def _not_allowed(name: str) -> Refusal:
    return Refusal(
        Reason.model_not_allowed,
        f"This key may not use the model '{name[:_SHOWN]}'.",
        suggestion="Ask an administrator to add the model to the key, or list those it may use.",
    )


def _run_elsewhere(name: str) -> Refusal:
    return Refusal(
        Reason.cloud_model,
        f"The model '{name[:_SHOWN]}' runs elsewhere, and prompts are not to leave this site.",
        suggestion="Use a model that runs here, or ask an administrator about `cloud_models`.",
    )
