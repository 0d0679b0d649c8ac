"""Checks the prompts, chains, servers and gateways of a program together. Imported only for files that have some."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from namel3ss.declarations.chain_check import ChainCheck
from namel3ss.declarations.parts import Models, declared_parts
from namel3ss.declarations.program_parts import ProgramParts
from namel3ss.declarations.prompts import check_prompts
from namel3ss.declarations.written import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.chains import ChainDeclaration
    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.gateways import GatewayDeclaration, ServerDeclaration
    from namel3ss.declarations.imports import Files
    from namel3ss.declarations.program_parts import ProgramModels
    from namel3ss.declarations.prompts import PromptDeclaration

__all__ = ["check_parts"]


def check_parts(
    files: Files, models: ProgramModels, environ: Mapping[str, str], findings: Findings
) -> ProgramParts:
    """The prompts, chains, servers and gateways of these files."""
    places = dict(models.places)
    prompt_parts = declared_parts(files, "prompt", places, findings)
    chain_parts = declared_parts(files, "chain", places, findings)
    server_parts = declared_parts(files, "server", places, findings)
    gateway_parts = declared_parts(files, "gateway", places, findings)
    names = Models(tuple(models.places))
    prompts = check_prompts(prompt_parts, names, findings)
    chains = ChainCheck(names, prompts, tuple(prompt_parts), findings).check(chain_parts)
    _report_unused_prompts(
        prompts, chains, has_broken_chain=len(chains) < len(chain_parts), findings=findings
    )
    servers: Mapping[str, ServerDeclaration] = {}
    gateways: Mapping[str, GatewayDeclaration] = {}
    if server_parts or gateway_parts:
        from namel3ss.declarations.gateway_check import GatewayCheck  # few files have any

        check = GatewayCheck(models, environ, findings, is_whole=files.is_whole)
        servers, gateways = check.check(server_parts, gateway_parts)
    return ProgramParts(
        MappingProxyType(prompts),
        MappingProxyType(chains),
        MappingProxyType(servers),
        MappingProxyType(gateways),
        MappingProxyType({**prompt_parts, **chain_parts, **server_parts, **gateway_parts}),
    )


def _report_unused_prompts(
    prompts: Mapping[str, PromptDeclaration],
    chains: Mapping[str, ChainDeclaration],
    *,
    has_broken_chain: bool,
    findings: Findings,
) -> None:
    """Warn of prompts beside the chains: in a file without chains, prompts are there to be called."""
    if not chains or has_broken_chain:
        return
    used = {step.prompt for chain in chains.values() for step in chain.steps}
    for name, prompt in prompts.items():
        if name not in used:
            findings.report(
                "N3509",
                f"No chain uses the prompt `{shortened(name)}`.",
                prompt.location,
                help="Use it in a step, take it out, or leave it if it is called by name.",
            )
