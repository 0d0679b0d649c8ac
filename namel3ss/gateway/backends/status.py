"""How a server stands, for people and for other parts: a value of the moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from namel3ss.gateway.backends.versions import version_warning

if TYPE_CHECKING:
    from namel3ss.gateway.backends.backend import Backend
    from namel3ss.gateway.backends.catalogue import Installed

__all__ = ["ServerStatus", "status_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """One server now. Holds its address: for administrators."""

    name: str
    base_url: str
    state: str
    """`starting`, `up`, `suspected`, `down`; `resting` while it is left alone for failing; `drained` by an administrator."""
    reason: str
    """Why it is not up; "" where it is."""
    since_s: float
    """How long it has been so."""
    checked_s: float | None
    """How old the last probe's answer is; None before the first."""
    version: str | None
    warning: str | None
    """What is wrong with that version."""
    slots: int
    in_flight: int
    """Requests of ours that are on their way through it."""
    installed: tuple[Installed, ...] | None
    """None until it has said."""
    loaded: tuple[Installed, ...]
    loading: tuple[str, ...]
    """Models that requests of ours wait for there while they are being loaded."""
    declared_at: str | None


def status_of(backend: Backend) -> ServerStatus:
    """The status now."""
    now, health, catalogue = backend.now(), backend.health, backend.catalogue
    resting = backend.is_up and health.breaker.is_resting(now)
    return ServerStatus(
        name=backend.name,
        base_url=backend.plan.base_url,
        state="drained" if not backend.enabled else "resting" if resting else str(health.state),
        reason=_reason(backend, resting=resting),
        since_s=now - health.since,
        checked_s=None if health.checked_at is None else now - health.checked_at,
        version=backend.version,
        warning=None if backend.version is None else version_warning(backend.version),
        slots=backend.plan.slots,
        in_flight=len(backend.attempts),
        installed=None if catalogue.installed is None else tuple(catalogue.installed.values()),
        loaded=catalogue.loaded,
        loading=tuple(sorted({a.model for a in backend.attempts if a.silence.cold and a.first_at is None})),
        declared_at=backend.plan.declared_at,
    )


def _reason(backend: Backend, *, resting: bool) -> str:
    if not backend.enabled:
        return "an administrator drains it"
    return "too many of its requests failed" if resting else backend.health.reason
