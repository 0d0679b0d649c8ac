"""The servers of one provider, made from its settings."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from namel3ss.providers.local.ollama._address import parse_url, resolve_address
from namel3ss.providers.local.ollama._attempts import Host
from namel3ss.providers.local.ollama._availability import ModelAvailabilityCache
from namel3ss.providers.local.ollama._circuit import Circuit
from namel3ss.providers.local.ollama._http import OllamaHttp
from namel3ss.providers.local.ollama._models import OllamaModelManager
from namel3ss.providers.local.ollama._pull import PullPolicy
from namel3ss.providers.local.ollama._server import OllamaServerManager

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from namel3ss.providers.local.ollama._address import Address
    from namel3ss.providers.local.ollama._config import OllamaConfig
    from namel3ss.providers.local.ollama._health import HealthMonitor

__all__ = ["Notice", "make_hosts"]


class Notice:
    """Tells a health monitor that something has changed, without keeping it alive.

    A reference would close a circle around the connections of a provider that nobody closed, and they would then be
    found by the garbage collector, in any order and with complaints, instead of being let go one after the other.
    """

    def __init__(self) -> None:
        self._monitor: weakref.ref[HealthMonitor] | None = None

    def goes_to(self, monitor: HealthMonitor) -> None:
        self._monitor = weakref.ref(monitor)

    def __call__(self) -> None:
        monitor = self._monitor() if self._monitor is not None else None
        if monitor is not None:
            monitor.invalidate()


def make_hosts(
    config: OllamaConfig,
    cache: ModelAvailabilityCache,
    *,
    transport: httpx.AsyncBaseTransport | None,
    clock: Callable[[], float],
    on_change: Callable[[], None],
    environ: Mapping[str, str] | None = None,
) -> list[Host]:
    """Every server that `config` or else `environ` names, in order; `cache` belongs to the first. Does no I/O."""
    hosts: list[Host] = []
    for address in _addresses(config, environ):
        own_cache = ModelAvailabilityCache(config.model_cache_ttl, clock=clock) if hosts else cache
        hosts.append(_make_host(address, config, own_cache, transport, clock, on_change))
    return hosts


def _make_host(
    address: Address,
    config: OllamaConfig,
    cache: ModelAvailabilityCache,
    transport: httpx.AsyncBaseTransport | None,
    clock: Callable[[], float],
    on_change: Callable[[], None],
) -> Host:
    headers = config.request_headers()
    if address.authorization is not None:
        headers.setdefault("Authorization", address.authorization)
    http = OllamaHttp(
        address.url, headers=headers, connect_timeout_s=config.connect_timeout, transport=transport
    )
    models = OllamaModelManager(
        address.url,
        cache,
        http=http,
        load_timeout=config.first_token_timeout,
        pull_timeout=config.pull_timeout,
        pull_policy=PullPolicy(clock=clock),
        on_change=on_change,
    )
    return Host(http, models, OllamaServerManager(config, http=http, clock=clock), Circuit(clock=clock))


def _addresses(config: OllamaConfig, environ: Mapping[str, str] | None) -> list[Address]:
    """Where to ask, in order."""
    if config.hosts:
        return [parse_url(url, name="hosts") for url in config.hosts]
    return [resolve_address(config.base_url, config.host, config.port, environ)]
