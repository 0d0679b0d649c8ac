"""`fallback`: the ai model that answers in another's place, and when it may.

Without it every request stays with its own model. The short form `fallback: cloud` means: when the server is down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.declarations.blocks import BlockCheck
from namel3ss.declarations.environment import UNSET, report_unset, resolve
from namel3ss.declarations.places import EnvironmentValue
from namel3ss.declarations.replacing import written_instead
from namel3ss.declarations.written import shortened
from namel3ss.language.suggest import closest
from namel3ss.providers.settings import Limit, ProviderConfig, setting

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.written import Written

__all__ = ["Fallback", "FallbackWhen", "read_fallback"]


class FallbackWhen(ProviderConfig):
    """What must have happened before the other model is asked. What is not written is no reason."""

    wait_over: Limit = setting(
        None,
        form="a duration such as 30s or 1h30m, or a number of seconds, or none",
        doc="The request would wait, or has waited, longer than this.",
        placeholder="never",
    )
    server_down: bool = setting(False, doc="No server of the model answers.")


class Fallback(ProviderConfig):
    """The ai model that is asked instead. Its own `fallback` is not asked for in turn."""

    model: str = setting(..., doc="The ai model that answers in the other's place.", min_length=1)
    when: FallbackWhen = setting(
        FallbackWhen(server_down=True),
        form="a map of wait_over and server_down",
        doc="When it is asked.",
        placeholder="when the server is down",
    )


def read_fallback(
    written: Written, models: Collection[str], environ: Mapping[str, str], findings: Findings
) -> Fallback | None:
    """The value of a `fallback` key; None where there is none, or none that can be used, which is then reported.

    `models` are the ai models it may name.
    """
    content = written.content
    if isinstance(content, EnvironmentValue):
        content = _from_environment(written, content, environ, findings)
    if content is None:
        return None
    if isinstance(content, str):
        fallback: Fallback | None = Fallback(model=content)
    elif isinstance(content, dict):
        fallback = BlockCheck(environ, findings).read(
            Fallback, content, written.key or written.place, "fallback"
        )
    else:
        findings.report(
            "N3108",
            "fallback must be the name of an ai model, or a map.",
            written.place,
            help="Write `fallback: { model: NAME, when: { server_down: true } }`",
        )
        return None
    if fallback is None:
        return None
    if fallback.model not in models:
        _report_unknown(written.at(("model",)), fallback.model, models, findings)
        return None
    if fallback.when == FallbackWhen():
        findings.report(
            "N3202",
            "when gives no reason to fall back.",
            written.at(("when",)).place,
            help="Write `wait_over: 30s`, `server_down: true` or both, or leave when out.",
        )
        return None
    return fallback


def _from_environment(
    written: Written, reference: EnvironmentValue, environ: Mapping[str, str], findings: Findings
) -> str | None:
    if not reference.has_default and reference.find(environ) is None:
        report_unset(("fallback",), reference, written, findings)
    found = resolve(reference, ("model",), Fallback, environ)
    return None if found is UNSET or found is None else str(found)


def _report_unknown(written: Written, name: str, models: Collection[str], findings: Findings) -> None:
    near = closest(name, models) if findings.is_short else []
    findings.report(
        "N3112",
        f"There is no ai model `{shortened(name)}` to fall back to.",
        written.place,
        help=f"Did you mean `{near[0]}`?" if near else "Declare it, or leave the fallback out.",
        fixes=written_instead(written.place, near) if isinstance(written.content, str) else (),
    )
