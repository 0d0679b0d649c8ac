"""Prompts and models that nothing refers to: left over, or misspelt where they were meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.declarations.drafts import DEFAULT_NAME
from namel3ss.declarations.written import shortened

if TYPE_CHECKING:
    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.imports import Files
    from namel3ss.declarations.program_parts import ProgramModels, ProgramParts

__all__ = ["report_unused"]


def report_unused(files: Files, models: ProgramModels, parts: ProgramParts, findings: Findings) -> None:
    """Warn of what nothing refers to, where everything that could refer to it is there and sound."""
    if not files.is_whole or any(parts.broken(kind) for kind in ("prompt", "chain", "gateway")):
        return
    _report_prompts(parts, findings)
    _report_models(files, models, parts, findings)


def _report_prompts(parts: ProgramParts, findings: Findings) -> None:
    """Warn of prompts beside the chains: in a file without chains, prompts are there to be called."""
    used = {step.prompt for chain in parts.chains.values() for step in chain.steps}
    for name, prompt in parts.prompts.items() if parts.chains else ():
        if name not in used:
            findings.report(
                "N3509",
                f"No chain uses the prompt `{shortened(name)}`.",
                prompt.location,
                help="Use it in a step, take it out, or leave it if it is called by name.",
            )


def _report_models(files: Files, models: ProgramModels, parts: ProgramParts, findings: Findings) -> None:
    """Warn of models of the file itself beside the prompts and chains that ask others.

    In a file without any, models are there to be called; those of an imported file are there for whoever imports it.
    """
    asked = {prompt.model for prompt in parts.prompts.values()}
    asked.update(step.model for chain in parts.chains.values() for step in chain.steps)
    if not asked:
        return
    used: set[str | None] = {*asked, *models.extended, DEFAULT_NAME}
    used.update(model.fallback.model for model in models.healthy.values() if model.fallback is not None)
    for gateway in parts.gateways.values():
        used.update((*gateway.models, gateway.fallback))
    for name, model in models.healthy.items():
        if name in used:
            continue
        is_for_vectors = "embed" in f"{name} {model.model}".casefold()  # no prompt asks such a model
        is_own = len(models.places) > 1 and model.location.source.path == files.path
        if is_own and not is_for_vectors:
            findings.report(
                "N3807",
                f"Nothing in this file asks the ai model `{shortened(name)}`.",
                model.location,
                help="Use it in a prompt or step, take it out, or leave it if it is called by name.",
            )
