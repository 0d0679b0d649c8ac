"""Models that look harmless one by one and slow each other down together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from namel3ss.declarations.written import shortened
from namel3ss.language import Label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.model import ModelDeclaration

__all__ = ["report_reloads"]

# Where a model runs: two declarations that write the same here reach the same server.
_ADDRESS: Final = ("base_url", "hosts", "host", "port")


def report_reloads(models: Iterable[ModelDeclaration], findings: Findings) -> None:
    """Warn of declarations of one model on one server with different windows: each makes the server load it anew."""
    first: dict[tuple[str | None, ...], tuple[ModelDeclaration, int]] = {}
    for model in models:
        settings = {**model.config, **model.deployment_config}
        window = settings.get("num_ctx")
        if not isinstance(window, int):
            continue
        address = [None if (value := settings.get(key)) is None else repr(value) for key in _ADDRESS]
        where = (model.provider, model.model, *address)
        other, other_window = first.setdefault(where, (model, window))
        here, there = model.locations[("num_ctx",)], other.locations[("num_ctx",)]
        if window == other_window or here == there:
            continue
        findings.report(
            "N3805",
            f"`{shortened(model.name)}` and `{shortened(other.name)}` use one model with different num_ctx.",
            here,
            labels=(Label(there.span, "the other", None if there.source is here.source else there.source),),
            help="Give both the same num_ctx.",
            notes=("The server loads the model again whenever the window changes.",),
        )
