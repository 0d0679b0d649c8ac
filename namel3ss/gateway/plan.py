"""What a program says of one gateway, with the environment's values in place: the servers, the models, the settings.

Making a plan does no I/O. It is the same for `serve`, `serve --check` and the commands that only look at the database.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from namel3ss.errors import ProgramError, UsageError
from namel3ss.language.suggest import did_you_mean
from namel3ss.providers.local.ollama import native_body, resolve_address
from namel3ss.providers.settings import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from namel3ss.declarations import ModelDeclaration, ProgramFile
    from namel3ss.declarations.gateway_settings import GatewaySettings
    from namel3ss.declarations.gateways import GatewayDeclaration

__all__ = ["BackendPlan", "GatewayPlan", "ServedModel", "plan_gateway"]

_PROVIDER: Final = "ollama"
_WAITS: Final = ("first_token_timeout", "idle_timeout", "total_timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendPlan:
    """One Ollama server that the gateway may use."""

    name: str
    base_url: str
    """Without a slash at its end."""
    slots: int = 1
    max_loaded_models: int | None = None
    weight: float = 1.0
    shared: bool = False
    api_key: SecretStr | None = field(default=None, repr=False)
    models: frozenset[str] | None = None
    """The Ollama names that it is for, where the models name their own servers; None: any."""
    declared_at: str | None = None
    """`file:line:column` of its declaration."""
    is_guarded: bool = False
    """Whether no address is connected to that machines keep for themselves, wherever its name may lead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One `ai model` that may be called: by `model`, its Ollama name, or by `name`, the declaration's."""

    name: str
    model: str
    system: str | None
    settings: Mapping[str, Any]
    """The provider's settings as declared, resolved and flat: what a call by `name` fills in."""
    options: Mapping[str, Any]
    """Of the settings Ollama's options, under Ollama's names."""
    waits_s: Mapping[str, float | None]
    """Of the settings those that say how long its server may be silent, in seconds; None: for ever."""
    declared_at: str

    @property
    def auto_pull(self) -> bool:
        return bool(self.settings.get("auto_pull_model", False))


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlan:
    """Everything that a gateway is told by its file."""

    name: str
    path: Path
    """The file; its folder is where a relative database is."""
    declared_at: str
    settings: GatewaySettings
    backends: tuple[BackendPlan, ...]
    models: tuple[ServedModel, ...]
    """In the order written; the first is the one for requests that name none."""
    fallback: ModelDeclaration | None

    def moved(self, addresses: Mapping[str, str]) -> GatewayPlan:
        """The same with other addresses for some servers, by name. Their keys stay behind: they were for others."""
        return replace(
            self,
            backends=tuple(
                replace(backend, base_url=addresses[backend.name].rstrip("/"), api_key=None)
                if backend.name in addresses
                else backend
                for backend in self.backends
            ),
        )


def plan_gateway(program: ProgramFile, name: str | None, environ: Mapping[str, str]) -> GatewayPlan:
    """The plan of the program's gateway of that name, or of its only one.

    Raises ProgramError for a program without a usable gateway, UsageError for a name that it does not have.
    """
    gateway = _choose(program, name)
    _refuse_broken_parts(program, gateway)
    settings = gateway.settings(environ)
    models = tuple(_served(program.models[model], environ) for model in gateway.models)
    if gateway.servers:
        backends = tuple(_declared(program, server, environ) for server in gateway.servers)
    else:
        backends = _own_addresses(models, environ)
    return GatewayPlan(
        name=gateway.name,
        path=Path(program.path),
        declared_at=str(gateway.location),
        settings=settings,
        backends=backends,
        models=models,
        fallback=program.models[gateway.fallback] if gateway.fallback is not None else None,
    )


def _choose(program: ProgramFile, name: str | None) -> GatewayDeclaration:
    known = program.gateways
    if not known and (unreadable := program.unreadable()) is not None:
        raise unreadable
    if name is not None:
        if name in known:
            return known[name]
        if name in program.broken_gateways:
            raise ProgramError(
                f"The gateway {name!r} of {program.path} has mistakes.", diagnostics=program.errors
            )
        raise UsageError(
            f"{program.path} has no gateway {name!r}.",
            suggestion=did_you_mean(name, known) or f"It has {', '.join(known) or 'none'}.",
        )
    if program.broken_gateways and not known:
        raise ProgramError(
            f"The gateway {program.broken_gateways[0]!r} of {program.path} has mistakes.",
            diagnostics=program.errors,
        )
    if not known:
        raise ProgramError(
            f"{program.path} declares no gateway.",
            suggestion="Add one, such as `gateway team { }`, and give the users keys: docs/gateway.md.",
        )
    if len(known) > 1:
        raise UsageError(
            f"{program.path} declares {len(known)} gateways.",
            suggestion=f"Choose one with --gateway: {', '.join(known)}.",
        )
    return next(iter(known.values()))


def _refuse_broken_parts(program: ProgramFile, gateway: GatewayDeclaration) -> None:
    """A gateway without one of its servers or models would answer, and not as its file says."""
    fallback = () if gateway.fallback is None else (gateway.fallback,)
    missing = (
        *(f"server {name!r}" for name in gateway.servers if name not in program.servers),
        *(f"ai model {name!r}" for name in (*gateway.models, *fallback) if name not in program.models),
    )
    if missing:
        # What a variable gives that is not set is no mistake of the file, and only now is it needed.
        unset = tuple(found for found in program.diagnostics if found.code == "N3301")
        what = "has mistakes" if program.errors else "lacks a variable of the environment"
        raise ProgramError(
            f"The gateway {gateway.name!r} of {program.path} uses the {missing[0]}, which {what}.",
            diagnostics=program.errors or unset,
        )


def _declared(program: ProgramFile, name: str, environ: Mapping[str, str]) -> BackendPlan:
    declaration = program.servers[name]
    settings = declaration.settings(environ)
    return BackendPlan(
        name=name,
        base_url=settings.base_url.rstrip("/"),
        slots=settings.slots,
        max_loaded_models=settings.max_loaded_models,
        weight=settings.weight,
        shared=settings.shared,
        api_key=settings.api_key,
        declared_at=str(declaration.location),
    )


def _served(declaration: ModelDeclaration, environ: Mapping[str, str]) -> ServedModel:
    settings = declaration.settings(environ)
    return ServedModel(
        name=declaration.name,
        model=declaration.model,
        system=declaration.system,
        settings=MappingProxyType(settings),
        options=MappingProxyType(_options(settings)),
        waits_s=MappingProxyType({name: _seconds(settings[name]) for name in _WAITS if name in settings}),
        declared_at=str(declaration.location),
    )


def _options(settings: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = native_body(settings, stream=False).get("options", {})
    if isinstance(stop := options.get("stop"), str):
        options["stop"] = [stop]
    return options


def _seconds(limit: str | float | None) -> float | None:
    """A wait as the file has it, checked before: 30s, 30, none."""
    if limit is None or limit == "none":
        return None
    return parse_duration(limit) if isinstance(limit, str) else float(limit)


def _own_addresses(models: tuple[ServedModel, ...], environ: Mapping[str, str]) -> tuple[BackendPlan, ...]:
    """A server for each address that the models themselves name, used for those models alone."""
    served: dict[str, set[str]] = {}
    keys: dict[str, SecretStr | None] = {}
    for model in models:
        for url in _addresses(model.settings, environ):
            served.setdefault(url, set()).add(model.model)
            keys.setdefault(url, model.settings.get("api_key"))
    return tuple(
        BackendPlan(name=_host_name(url), base_url=url, models=frozenset(names), api_key=keys[url])
        for url, names in served.items()
    )


def _addresses(settings: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    if hosts := settings.get("hosts"):
        return [resolve_address(host, environ=environ).url.rstrip("/") for host in hosts]
    address = resolve_address(
        settings.get("base_url"), settings.get("host"), settings.get("port"), environ=environ
    )
    return [address.url.rstrip("/")]


def _host_name(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
