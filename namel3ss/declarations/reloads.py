"""Models that look harmless one by one and slow each other down together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from namel3ss.declarations.written import shortened
from namel3ss.language import Label

if TYPE_CHECKING:
    from collections.abc import Collection

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.model import ModelDeclaration

__all__ = ["report_reloads"]

# Where a model runs: two declarations that write the same here reach the same server.
_ADDRESS: Final = ("base_url", "hosts", "host", "port")


class _Load(NamedTuple):
    """The model that a server loads for a declaration, and its server, and the window it loads it with."""

    what: tuple[str | None, ...]
    window: int


def report_reloads(models: Collection[ModelDeclaration], findings: Findings) -> None:
    """Warn of declarations of one model on one server with different windows: each makes the server load it anew."""
    first: dict[tuple[str | None, ...], tuple[ModelDeclaration, int]] = {}
    loads = findings.recall_all("load", [(model,) for model in models], None, _load)
    for model, load in zip(models, loads, strict=True):
        if load is None:
            continue
        other, window = first.setdefault(load.what, (model, load.window))
        if load.window == window:
            continue
        here, there = model.locations[("num_ctx",)], other.locations[("num_ctx",)]
        if here == there:
            continue
        findings.report(
            "N3805",
            f"`{shortened(model.name)}` and `{shortened(other.name)}` use one model with different num_ctx.",
            here,
            labels=(Label(there.span, "the other", None if there.source is here.source else there.source),),
            help="Give both the same num_ctx.",
            notes=("The server loads the model again whenever the window changes.",),
        )


def _load(model: ModelDeclaration) -> _Load | None:
    """None where the window is not written."""
    settings = {**model.config, **model.deployment_config}
    window = settings.get("num_ctx")
    if not isinstance(window, int):
        return None
    address = [None if (value := settings.get(key)) is None else repr(value) for key in _ADDRESS]
    return _Load((model.provider, model.model, *address), window)
