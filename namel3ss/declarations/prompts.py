"""`prompt NAME { … }`: a template with typed input and, if wanted, a typed answer."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from namel3ss.declarations.parts import DeclaredPart, Models, Part, check_apart
from namel3ss.declarations.templates import read_template
from namel3ss.declarations.type_reading import read_object_type, read_type
from namel3ss.declarations.value_types import ScalarType
from namel3ss.declarations.written import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.places import Location
    from namel3ss.declarations.templates import Template
    from namel3ss.declarations.value_types import ObjectType, ValueType

__all__ = ["PROMPT_KEYS", "PromptDeclaration", "check_prompts"]

# What people write into a prompt and the language keeps in the ai model.
_OF_MODELS = frozenset(
    {
        "config",
        "deployment_config",
        "max_tokens",
        "num_ctx",
        "provider",
        "seed",
        "stop",
        "temperature",
        "top_k",
        "top_p",
    }
)
_ELSEWHERE = "Settings belong in the ai model; `model` names the one that this prompt asks."
PROMPT_KEYS = ("model", "input", "output", "system", "template", "prompt", "description")


@dataclass(frozen=True, slots=True)
class PromptDeclaration:
    """One `prompt`. `model` is None for the program's default; `output` is None where the answer is text."""

    name: str
    model: str | None
    input: ObjectType
    output: ValueType | None
    system: Template | None
    template: Template
    description: str | None
    location: Location = field(compare=False)


def check_prompts(
    parts: Mapping[str, DeclaredPart], models: Models, findings: Findings
) -> dict[str, PromptDeclaration]:
    """The prompts that can be used, by name; what is wrong with the others is reported."""
    read = functools.partial(_read, models, findings)
    prompts = findings.recall_all("prompts", [(part,) for part in parts.values()], models.names, read)
    return {prompt.name: prompt for prompt in prompts if prompt is not None}


def _read(models: Models, findings: Findings, part: DeclaredPart) -> PromptDeclaration | None:
    if findings.is_full:
        return None
    work = functools.partial(check_apart, part, findings, functools.partial(_check, part, models))
    matter = models.matter_to([layer.block for layer in part.layers])
    return findings.recall("prompt", (part,), matter, work)


def _check(declared: DeclaredPart, models: Models, findings: Findings) -> PromptDeclaration | None:
    errors_before = findings.errors
    name, place = declared.name, declared.place
    part = Part("a prompt", declared.layers, findings)
    for step in declared.steps():
        findings.report("N3108", "A step belongs in a chain.", step)
    for key in part.keys_other_than(PROMPT_KEYS):
        otherwise = _ELSEWHERE if key in _OF_MODELS else None
        part.report_unknown_key("N3508", key, PROMPT_KEYS, otherwise=otherwise)
    model = part.model(models)
    part.report_missing_model(models, place)
    inputs = part.types("input")
    output = _answer_type(part)
    known = {each.name: each.type for each in inputs.fields}
    scope = {**known, **dict.fromkeys(inputs.unread), "input": inputs}
    templates = _templates(part, scope, place, name)
    description = part.text("description")
    if findings.errors > errors_before or templates.get("template") is None:
        return None
    template = templates["template"]
    assert template is not None
    _report_unused_inputs(inputs, [each for each in templates.values() if each is not None], name, findings)
    return PromptDeclaration(
        name=name,
        model=model,
        input=inputs,
        output=None if output == ScalarType("str") else output,
        system=templates["system"],
        template=template,
        description=description.value if description is not None else None,
        location=place,
    )


def _answer_type(part: Part) -> ValueType | None:
    if layers := part.blocks("output"):
        return read_object_type(layers, part.findings)
    answer = part.value("output")
    return read_type(answer, part.source("output"), part.findings) if answer is not None else None


def _templates(
    part: Part, scope: Mapping[str, ValueType | None], place: Location, name: str
) -> dict[str, Template | None]:
    key = "template" if "template" in part or "prompt" not in part else "prompt"
    if "template" in part and "prompt" in part:
        part.findings.report(
            "N3204",
            "template and prompt are two words for the same text.",
            part.key_place("prompt"),
            help="Keep one of the two.",
        )
    if key not in part:
        part.findings.report(
            "N3501",
            f"Prompt `{shortened(name)}` has no template.",
            place,
            help="Add `template: |` and the text below it.",
        )
    found: dict[str, Template | None] = {}
    for role, written in (("template", key), ("system", "system")):
        text = part.text(written)
        found[role] = (
            read_template(text, part.source(written), scope, part.findings) if text is not None else None
        )
    return found


def _report_unused_inputs(
    inputs: ObjectType, templates: list[Template], name: str, findings: Findings
) -> None:
    used: set[str] = set()
    for template in templates:
        if template.inputs is None:
            return
        used |= template.used | template.inputs
    for each in inputs.fields:
        if each.name not in used:
            findings.report(
                "N3510",
                f"The template of `{shortened(name)}` never uses its input `{shortened(each.name)}`.",
                each.location,
                help=f"Write {{{{{each.name}}}}} where it belongs, or take it out.",
            )
