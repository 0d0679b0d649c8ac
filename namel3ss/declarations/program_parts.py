"""All prompts and chains of a program, checked together. Imported only for files that have some."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from namel3ss.declarations.chain_check import ChainCheck
from namel3ss.declarations.parts import Models, declared_parts
from namel3ss.declarations.prompts import PromptDeclaration, check_prompts
from namel3ss.declarations.written import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from namel3ss.declarations.chains import ChainDeclaration
    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.model import Location
    from namel3ss.language import Diagnostic, SyntaxTree

__all__ = ["ProgramParts", "check_parts"]


@dataclass(frozen=True, slots=True)
class ProgramParts:
    """The healthy prompts and chains by name, and the names of the others."""

    prompts: Mapping[str, PromptDeclaration]
    chains: Mapping[str, ChainDeclaration]
    broken_prompts: tuple[str, ...]
    broken_chains: tuple[str, ...]


def check_parts(
    trees: Sequence[SyntaxTree],
    models: Mapping[str, Location],
    syntax: Sequence[Diagnostic],
    findings: Findings,
) -> ProgramParts:
    """The prompts and chains of these files. `models` are all ai models of the program with their places; `syntax` is what reading found."""
    places = dict(models)
    prompt_parts = declared_parts(trees, "prompt", places, syntax, findings)
    chain_parts = declared_parts(trees, "chain", places, syntax, findings)
    names = Models(tuple(models))
    prompts = check_prompts(prompt_parts, names, findings)
    chains = ChainCheck(names, prompts, tuple(prompt_parts), findings).check(chain_parts)
    _report_unused(prompts, chains, has_broken_chain=len(chains) < len(chain_parts), findings=findings)
    return ProgramParts(
        MappingProxyType(prompts),
        MappingProxyType(chains),
        tuple(name for name in prompt_parts if name not in prompts),
        tuple(name for name in chain_parts if name not in chains),
    )


def _report_unused(
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
