"""What `serve --check` shows: every value in force with its origin, and what comes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.cli.provenance_text import declaration_as_text
from namel3ss.declarations.part_provenance import resolve_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from namel3ss.declarations import ProgramFile
    from namel3ss.gateway.plan import BackendPlan, GatewayPlan

__all__ = ["configuration_text"]


def configuration_text(program: ProgramFile, plan: GatewayPlan, environ: Mapping[str, str]) -> str:
    """The gateway and its servers as a `.ai` file with origins, then a summary. Secrets are shown as their variables."""
    names = [plan.name, *(backend.name for backend in plan.backends if backend.declared_at is not None)]
    parts = [declaration_as_text(resolve_part(program, name, environ)) for name in names]
    return "\n\n".join([*parts, "\n".join(_summary(plan))])


def _summary(plan: GatewayPlan) -> Iterator[str]:
    yield f"# users connect to {plan.settings.listen}, administrators to {plan.settings.admin_listen}"
    yield from (f"# server {_server(backend)}" for backend in plan.backends)
    for model in plan.models:
        yield f"# model {model.name}: {model.model}"
    if not plan.models:
        yield "# no model is served"
    classes = sorted(plan.settings.priorities.items(), key=lambda item: item[1])
    yield f"# classes, the first to be served first: {', '.join(name for name, _ in classes)}"
    if plan.fallback is not None:
        yield f"# fallback {plan.fallback.name}: {plan.fallback.model}"


def _server(backend: BackendPlan) -> str:
    what = "every model" if backend.models is None else ", ".join(sorted(backend.models))
    slots = "1 slot" if backend.slots == 1 else f"{backend.slots} slots"
    return f"{backend.name}: {backend.base_url}, {slots} of each model, for {what}"
