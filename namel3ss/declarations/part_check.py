"""Checks the prompts, chains, servers and gateways of a program together. Imported only for files that have some."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from namel3ss.declarations.chain_check import ChainCheck
from namel3ss.declarations.parts import Models, WrittenParts
from namel3ss.declarations.program_parts import ProgramParts
from namel3ss.declarations.prompts import check_prompts
from namel3ss.declarations.unused import report_unused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.gateways import GatewayDeclaration, ServerDeclaration
    from namel3ss.declarations.imports import Files
    from namel3ss.declarations.program_parts import ProgramModels

__all__ = ["check_parts"]


def check_parts(
    files: Files, models: ProgramModels, environ: Mapping[str, str], findings: Findings
) -> ProgramParts:
    """The prompts, chains, servers and gateways of these files."""
    places = dict(models.places)
    written = WrittenParts(files, findings)
    prompt_parts = written.declared("prompt", places)
    chain_parts = written.declared("chain", places)
    server_parts = written.declared("server", places)
    gateway_parts = written.declared("gateway", places)
    names = Models(tuple(models.places))
    prompts = check_prompts(prompt_parts, names, findings)
    chains = ChainCheck(names, prompts, tuple(prompt_parts), findings).check(chain_parts)
    servers: Mapping[str, ServerDeclaration] = {}
    gateways: Mapping[str, GatewayDeclaration] = {}
    if server_parts or gateway_parts:
        from namel3ss.declarations.gateway_check import GatewayCheck  # few files have any

        check = GatewayCheck(models, environ, findings, is_whole=files.is_whole)
        servers, gateways = check.check(server_parts, gateway_parts)
    parts = ProgramParts(
        MappingProxyType(prompts),
        MappingProxyType(chains),
        MappingProxyType(servers),
        MappingProxyType(gateways),
        MappingProxyType({**prompt_parts, **chain_parts, **server_parts, **gateway_parts}),
    )
    report_unused(files, models, parts, findings)
    return parts
