"""`chain NAME { … }`: steps over models and prompts. This module says what one is; `chain_check` makes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.places import Location
    from namel3ss.declarations.templates import Template
    from namel3ss.declarations.value_types import ObjectType, ValueType

__all__ = ["ChainDeclaration", "StepDeclaration", "StepInput"]

# What a step passes on: templates inside plain data.
StepInput: TypeAlias = "Template | str | int | float | bool | list[StepInput] | dict[str, StepInput] | None"


@dataclass(frozen=True, slots=True)
class StepDeclaration:
    """One step of a chain.

    It asks with `template`, or with the prompt called `prompt` and `input` for that. `answer_type` is the type the
    answer must have, None for text. The answer is known under `names`: one for the whole, or one for each field.
    `needs` are, for each name the step reads, the steps that may give it, as positions in the chain, earliest first.
    `foreign` are keys of the wider language, which this version does not run. `timeout_s` bounds each try, of which
    there are 1 + `retries`.
    """

    name: str
    location: Location = field(compare=False)
    model: str | None = None
    prompt: str | None = None
    template: Template | None = None
    system: Template | None = None
    input: Mapping[str, StepInput] = field(default_factory=dict)
    answer_type: ValueType | None = None
    names: tuple[str, ...] = ()
    gives_fields: bool = False
    condition: Template | bool = True
    retries: int = 0
    timeout_s: float | None = None
    needs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ChainDeclaration:
    """One `chain`. Without declared `output` every name that a step gives is part of the result."""

    name: str
    input: ObjectType
    output: ObjectType | None
    steps: tuple[StepDeclaration, ...]
    description: str | None
    location: Location = field(compare=False)

    def dependencies(self, position: int) -> frozenset[int]:
        """The steps that must have ended before this one starts."""
        return frozenset(giver for givers in self.steps[position].needs.values() for giver in givers)
