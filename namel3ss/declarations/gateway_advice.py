"""Gateways that load and would probably not do what was meant."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from namel3ss.declarations.gateway_values import is_loopback_host
from namel3ss.declarations.places import EnvironmentValue
from namel3ss.declarations.written import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.gateway_settings import GatewaySettings
    from namel3ss.declarations.gateways import GatewayDeclaration, ServerDeclaration
    from namel3ss.declarations.model import ModelDeclaration
    from namel3ss.declarations.parts import DeclaredPart

__all__ = ["ReadGateway", "advise", "report_unused_servers"]


@dataclass(frozen=True, slots=True)
class ReadGateway:
    """A gateway beside its settings, as the environment of the check gives them. It loads if `is_sound`."""

    declaration: GatewayDeclaration
    settings: GatewaySettings
    is_sound: bool


def advise(
    gateway: ReadGateway,
    servers: Mapping[str, ServerDeclaration],
    models: Mapping[str, ModelDeclaration],
    environ: Mapping[str, str],
    findings: Findings,
    *,
    is_whole: bool,
) -> None:
    """Warn of what is probably not meant in a gateway. Without the whole program nothing is said of what is missing."""
    declaration = gateway.declaration
    used = [servers[name] for name in declaration.servers if name in servers]
    work = functools.partial(_advise_alone, gateway, used, environ, findings, is_whole=is_whole)
    findings.recall("advice", (gateway, *used), is_whole, work)
    if declaration.servers:
        served = [models.get(name) for name in declaration.models]
        hint = functools.partial(_hint_at_addresses, declaration, models, findings)
        findings.recall("addresses", (gateway, *served), None, hint)


def _advise_alone(
    gateway: ReadGateway,
    servers: Sequence[ServerDeclaration],
    environ: Mapping[str, str],
    findings: Findings,
    *,
    is_whole: bool,
) -> None:
    """Warn of what does not depend on the models; `servers` are those it uses."""
    declaration, settings = gateway.declaration, gateway.settings
    _report_closed_listener(declaration, settings, findings)
    if not declaration.models and is_whole:
        findings.report(
            "N3713",
            f"The gateway `{shortened(declaration.name)}` has no ai model to serve.",
            declaration.location,
            help="Declare one: `ai model NAME { provider: ollama  model: … }`",
        )
    slots = [server.settings(environ).slots for server in servers if _is_set(server, environ)]
    if slots and settings.queue.reserve >= max(slots):
        findings.report(
            "N3714",
            "The reserve is as large as the servers' slots, and one slot is never kept.",
            declaration.pairs["queue"].at(("reserve",)).place,
            help="Give the servers more slots, or make the reserve smaller.",
        )


def report_unused_servers(
    gateways: Sequence[ReadGateway], servers: Mapping[str, DeclaredPart], findings: Findings
) -> None:
    """Warn of servers that no gateway uses. Where there is no gateway, they are for files that import this one."""
    used = {name for gateway in gateways for name in gateway.declaration.servers}
    for name, part in servers.items() if gateways else ():
        if name not in used:
            findings.report(
                "N3716",
                f"No gateway uses the server `{shortened(name)}`.",
                part.place,
                help="Add it to a gateway's servers, or take it out.",
            )


def _report_closed_listener(
    declaration: GatewayDeclaration, settings: GatewaySettings, findings: Findings
) -> None:
    if settings.listen.is_loopback:
        return
    closed = [
        key
        for key, is_open in (
            ("allow_addresses", any(not network.is_loopback for network in settings.allow_addresses)),
            ("hosts", any(not is_loopback_host(host.strip("[]")) for host in settings.hosts)),
        )
        if not is_open
    ]
    if closed:
        findings.report(
            "N3712",
            f"The gateway listens on {settings.listen}, and {' and '.join(closed)} let only this machine in.",
            declaration.pairs["listen"].place,
            help=f"Write in {' and '.join(closed)} who may come, or listen on 127.0.0.1.",
        )


def _hint_at_addresses(
    declaration: GatewayDeclaration, models: Mapping[str, ModelDeclaration], findings: Findings
) -> None:
    for name in declaration.models:
        places = models[name].locations if name in models else {}
        for key in ("base_url", "hosts", "host"):
            if (key,) in places:
                findings.report(
                    "N3715",
                    f"Behind the gateway `{shortened(declaration.name)}` the servers count, and not the {key} of "
                    f"`{shortened(name)}`.",
                    places[(key,)],
                    help="It still counts where the model is used without the gateway.",
                )


def _is_set(server: ServerDeclaration, environ: Mapping[str, str]) -> bool:
    """Whether every variable that a server's settings come from is set."""
    return all(
        content.has_default or content.find(environ) is not None
        for written in server.pairs.values()
        for _, item in written.walk()
        if isinstance(content := item.content, EnvironmentValue)
    )
