"""What is not safe in how a gateway is about to be served: said when it starts, or reason enough not to start."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from namel3ss.declarations.gateway_values import is_loopback_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.gateway.plan import GatewayPlan

__all__ = ["Advice", "advise"]


class Advice(NamedTuple):
    """One thing that others could misuse. With an `option` it is refused unless that is given."""

    message: str
    option: str | None = None


def advise(plan: GatewayPlan, *, has_tls: bool = False) -> tuple[Advice, ...]:
    """All of it, the worst first. No server is asked and nothing is opened."""
    found = (
        *_about_administration(plan),
        *_about_callers(plan, has_tls=has_tls),
        *_about_servers(plan),
        *_about_prompts(plan),
    )
    return tuple(sorted(found, key=lambda advice: advice.option is None))


def _about_administration(plan: GatewayPlan) -> Iterator[Advice]:
    admin = plan.settings.admin_listen
    if not admin.is_loopback:
        yield Advice(
            f"Administration, the panel and the metrics are on {admin}, where other machines can reach them.",
            "--expose-admin",
        )


def _about_callers(plan: GatewayPlan, *, has_tls: bool) -> Iterator[Advice]:
    settings = plan.settings
    if any(network.prefixlen == 0 for network in settings.trusted_proxies):
        yield Advice(
            "trusted_proxies holds every address: each caller could claim to be anybody, the whitelisted included.",
            "--trust-every-proxy",
        )
    if settings.anonymous is not None:
        yield Advice(
            f"Requests without a key count as class `{settings.anonymous}`: every program of this machine can send them."
        )
    if settings.listen.is_loopback:
        return
    if not has_tls:
        yield Advice(
            f"The gateway listens on {settings.listen} without TLS: keys and prompts can be read on the way. "
            "Put a proxy with TLS in front, or give --tls-cert and --tls-key."
        )
    if any(network.prefixlen == 0 for network in settings.allow_addresses):
        yield Advice("allow_addresses lets every address in; the keys alone decide who may do what.")


def _about_servers(plan: GatewayPlan) -> Iterator[Advice]:
    for backend in plan.backends:
        address = urlsplit(backend.base_url)
        if is_loopback_host(address.hostname or ""):
            continue
        yield Advice(
            f"The server `{backend.name}` is at {address.hostname}. Ollama asks nobody for a key: let its firewall admit "
            "only this machine, or others use it without the gateway."
        )
        if address.scheme == "http" and backend.api_key is not None:
            yield Advice(
                f"The api_key of `{backend.name}` goes over plain HTTP, where it can be read on the way."
            )


def _about_prompts(plan: GatewayPlan) -> Iterator[Advice]:
    if plan.settings.store_prompts:
        days = plan.settings.prompts_kept / 86_400
        yield Advice(
            f"Prompts and answers are stored for {days:.3g} days, where administrators can read them "
            "(store_prompts). See that those who ask know it."
        )
