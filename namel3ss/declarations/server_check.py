"""Makes servers: their settings, and whether two of them are one."""

from __future__ import annotations

import functools
from types import MappingProxyType
from typing import TYPE_CHECKING

from namel3ss.declarations.blocks import BlockCheck
from namel3ss.declarations.environment import report_literal_password
from namel3ss.declarations.gateway_settings import ServerSettings
from namel3ss.declarations.gateways import ServerDeclaration
from namel3ss.declarations.layers import layered_values
from namel3ss.language import Label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.parts import DeclaredPart
    from namel3ss.declarations.places import Location
    from namel3ss.declarations.written import Written

__all__ = ["check_servers", "values_of"]


def check_servers(
    parts: Mapping[str, DeclaredPart], environ: Mapping[str, str], findings: Findings
) -> dict[str, ServerDeclaration]:
    """The servers that can be used, by name; what is wrong with the others is reported."""
    found: dict[str, ServerDeclaration] = {}
    first: dict[str, Location] = {}
    read = functools.partial(_read, environ=environ, findings=findings)
    for server in findings.recall_all("servers", [(part,) for part in parts.values()], None, read):
        if server is not None:
            declaration, url = server
            found[declaration.name] = declaration
            _report_same_address(url, declaration.pairs["base_url"].place, first, findings)
    return found


def _read(
    part: DeclaredPart, environ: Mapping[str, str], findings: Findings
) -> tuple[ServerDeclaration, str] | None:
    """A server with its address; None where it cannot be used."""
    if findings.is_full:
        return None
    errors_before = findings.errors
    pairs = values_of(part, findings)
    settings = BlockCheck(environ, findings).read(ServerSettings, pairs, part.place, "the server")
    report_literal_password("base_url", pairs, findings)
    if settings is None or findings.errors > errors_before or part.fault_lines:
        return None
    return ServerDeclaration(part.name, part.place, MappingProxyType(pairs)), settings.base_url


def values_of(part: DeclaredPart, findings: Findings) -> dict[str, Written]:
    """The settings of a server or gateway as written, the profile's over the program's."""
    for step in part.steps():
        findings.report("N3108", "A step belongs in a chain.", step)
    return layered_values(part.layers, findings)


def _report_same_address(url: str, place: Location, first: dict[str, Location], findings: Findings) -> None:
    known = first.setdefault(url.casefold(), place)
    if known is not place:
        findings.report(
            "N3711",
            "Two servers have one address.",
            place,
            labels=(Label(known.span, "the other", None if known.source is place.source else known.source),),
            help="Declare it once, and give it the slots of both.",
            notes=("Each of them is given requests as if the other were not there.",),
        )
