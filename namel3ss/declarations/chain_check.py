"""Makes chains: each step is read first, then the names between them are joined into a graph and checked."""

from __future__ import annotations

import bisect
import functools
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from namel3ss.declarations.chains import ChainDeclaration
from namel3ss.declarations.parts import Part, check_apart
from namel3ss.declarations.places import Location
from namel3ss.declarations.step_check import StepDraft, WrittenStep, read_step
from namel3ss.declarations.value_types import (
    ChoiceType,
    ListType,
    ObjectType,
    OptionalType,
    ScalarType,
    describe_type,
    without_optional,
)
from namel3ss.declarations.written import shortened
from namel3ss.language import BareWord, Block, Label, List, Step
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.parts import DeclaredPart, Models
    from namel3ss.declarations.prompts import PromptDeclaration
    from namel3ss.declarations.value_types import Field, ValueType
    from namel3ss.language import Source

__all__ = ["CHAIN_KEYS", "ChainCheck"]

CHAIN_KEYS = ("input", "output", "description")
_MOST_STEPS: Final = 1000


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """Checks the chains of one program. `prompt_names` are all prompts, `prompts` those that can be used."""

    models: Models
    prompts: Mapping[str, PromptDeclaration]
    prompt_names: tuple[str, ...]
    findings: Findings

    def check(self, parts: Mapping[str, DeclaredPart]) -> dict[str, ChainDeclaration]:
        """The chains that can be used, by name."""
        every_part = parts.values()
        references = self.findings.recall_all(
            "chain names", [(part,) for part in every_part], None, _references
        )
        find = self.prompts.get
        items = [
            (part, each, *map(find, each.prompts)) for part, each in zip(every_part, references, strict=True)
        ]
        names = (self.models.names, self.prompt_names)
        chains = self.findings.recall_all("chains", items, names, self._read)
        return {chain.name: chain for chain in chains if chain is not None}

    def _read(
        self, part: DeclaredPart, references: _References, *prompts: PromptDeclaration | None
    ) -> ChainDeclaration | None:
        """The chain, from the memory while it, the prompts it names and what it means by other names are the same."""
        if self.findings.is_full:
            return None
        are_known = all(name in self.prompt_names for name in references.prompts)
        detail = (self.models.matter_to(references.steps), None if are_known else self.prompt_names)
        work = functools.partial(check_apart, part, self.findings, functools.partial(self._check_one, part))
        return self.findings.recall("chain", (part, *prompts), detail, work)

    def _check_one(self, part: DeclaredPart, findings: Findings) -> ChainDeclaration | None:
        return replace(self, findings=findings)._chain(part)

    def _chain(self, declared: DeclaredPart) -> ChainDeclaration | None:
        errors_before = self.findings.errors
        name, place = declared.name, declared.place
        part = Part("a chain", declared.layers, self.findings)
        stray = part.keys_other_than(CHAIN_KEYS)
        for key in stray:
            self._report_stray_key(part, key)
        inputs = part.types("input")
        outputs = part.types("output") if "output" in part else None
        steps = self._steps(declared)
        if not steps and not stray:  # they may have been meant for steps
            self.findings.report(
                "N3601",
                f"Chain `{shortened(name)}` has no steps.",
                place,
                help='Add one: `step NAME { prompt: "…"  output: answer }`',
            )
        if len(steps) > _MOST_STEPS:
            self.findings.report(
                "N3613",
                f"Chain `{shortened(name)}` has {len(steps)} steps, and no more than {_MOST_STEPS} are run.",
                place,
                help="Divide the work among several chains.",
            )
            return None
        drafts = [StepDraft.begin(step, outputs, self) for step in steps]
        scope = _scope(inputs, drafts)
        read = [read_step(draft, scope, self) for draft in drafts]
        description = part.text("description")
        if outputs is not None:
            is_whole = not stray and all(draft.gives or "output" not in draft.part for draft in drafts)
            self._check_outputs(outputs, drafts, is_whole=is_whole)
        if self.findings.errors > errors_before:
            return None
        every_giver = _givers(drafts)
        joined = [step.joined(_needs(step, position, every_giver)) for position, step in enumerate(read)]
        chain = ChainDeclaration(
            name=name,
            input=inputs,
            output=outputs,
            steps=tuple(each.declaration for each in joined),
            description=description.value if description is not None else None,
            location=place,
        )
        self._report_circles(chain)
        self._report_unused(chain)
        return chain if self.findings.errors == errors_before else None

    def _report_stray_key(self, part: Part, key: str) -> None:
        """A key that a chain does not have: a map, or a list of them, is probably a step."""
        if isinstance(part.value(key), Block | List) and not closest(key, CHAIN_KEYS):
            name = "NAME" if key in ("step", "steps") else shortened(key)
            self.findings.report(
                "N3607",
                f"A chain has no key `{shortened(key)}`.",
                part.key_place(key),
                help=f"A step is written `step {name} {{ … }}`.",
            )
        else:
            part.report_unknown_key("N3607", key, CHAIN_KEYS)

    def _steps(self, declared: DeclaredPart) -> list[WrittenStep]:
        """The steps, those of the profile over those of the program; new ones of the profile come last."""
        found: list[WrittenStep] = []
        for block, source, _ in declared.layers:
            below = {step.name: position for position, step in reversed([*enumerate(found)])}
            own: dict[str, Step] = {}
            for step in (entry for entry in block.entries if isinstance(entry, Step)):
                known = own.setdefault(step.name.text, step)
                position = below.get(step.name.text)
                if known is not step:
                    self._report_same_name(step, known, source)
                if known is step and position is not None:
                    found[position] = found[position].laid_over(step, source)
                else:
                    found.append(WrittenStep.of(step, source))
        return found

    def _report_same_name(self, step: Step, known: Step, source: Source) -> None:
        self.findings.report(
            "N3610",
            f"Two steps are called `{shortened(step.name.text)}`.",
            Location(source, step.name.span),
            label="again here",
            labels=(Label(known.name.span, "first here"),),
            help="Give one of them another name.",
        )

    def _report_circles(self, chain: ChainDeclaration) -> None:
        """Report one circle, if the steps wait for each other in one."""
        left = {position: set(chain.dependencies(position)) for position in range(len(chain.steps))}
        waiting: dict[int, list[int]] = {}
        for position, needs in left.items():
            for giver in needs:
                waiting.setdefault(giver, []).append(position)
        ready = [position for position, needs in left.items() if not needs]
        while ready:
            ended = ready.pop()
            del left[ended]
            for position in waiting.get(ended, ()):
                left[position].remove(ended)
                if not left[position]:
                    ready.append(position)
        if not left:
            return
        path = [next(iter(left))]
        while True:
            following = min(left[path[-1]])
            if following in path:
                path = path[path.index(following) :]
                break
            path.append(following)
        names = [chain.steps[position].name for position in [*path, path[0]]]
        self.findings.report(
            "N3602",
            f"Steps wait for each other: {' needs '.join(f'`{shortened(name)}`' for name in names)}.",
            chain.steps[path[0]].location,
            labels=tuple(Label(chain.steps[position].location.span, "and this one") for position in path[1:]),
            help="Take one of these names out of a template.",
        )

    def _check_outputs(self, outputs: ObjectType, drafts: Sequence[StepDraft], *, is_whole: bool) -> None:
        """Whether the steps give what the chain promises. Unless all steps could be read, more may be given."""
        given: dict[str, list[StepDraft]] = {}
        for draft in drafts:
            for name in draft.gives:
                given.setdefault(name, []).append(draft)
        for each in outputs.fields:
            givers = given.get(each.name, [])
            if not givers and is_whole:
                self._report_missing_output(each, given)
            for giver in givers:
                answer = giver.gives[each.name]
                if answer is not None and not _fits_into(answer, each.type):
                    self.findings.report(
                        "N3612",
                        f"`{shortened(each.name)}` is {describe_type(each.type)} in the chain, and step "
                        f"`{shortened(giver.name)}` gives {describe_type(answer)}.",
                        each.location,
                        labels=(Label(giver.location.span, "given here"),),
                        help="Let both say the same type.",
                    )

    def _report_missing_output(self, missing: Field, given: Collection[str]) -> None:
        near = closest(missing.name, given)
        there = ", ".join(f"`{shortened(name)}`" for name in itertools.islice(given, 10))
        self.findings.report(
            "N3604",
            f"No step gives `{shortened(missing.name)}`.",
            missing.location,
            help=f"Is it `{near[0]}`?"
            if near
            else f"The steps give {there}."
            if there
            else "Add `output:` to a step.",
        )

    def _report_unused(self, chain: ChainDeclaration) -> None:
        if chain.output is None:
            return
        read = {
            (name, giver) for step in chain.steps for name, givers in step.needs.items() for giver in givers
        }
        for position, step in enumerate(chain.steps):
            if step.foreign:
                continue
            if not any(name in chain.output.names or (name, position) in read for name in step.names):
                self.findings.report(
                    "N3605",
                    f"Nothing uses the answer of step `{shortened(step.name)}`.",
                    step.location,
                    help="Name it in the chain's output, use it in a template, or take the step out.",
                )


class _References(NamedTuple):
    """The blocks of all steps of a chain, and the names of prompts in them."""

    steps: tuple[Block, ...]
    prompts: tuple[str, ...]


def _references(part: DeclaredPart) -> _References:
    entries = [entry for layer in part.layers for entry in layer.block.entries]
    steps = tuple(entry.block for entry in entries if isinstance(entry, Step))
    named = [pair.value for block in steps if (pair := block.get("prompt")) is not None]
    return _References(steps, tuple(value.value for value in named if isinstance(value, BareWord)))


def _scope(inputs: ObjectType, drafts: Sequence[StepDraft]) -> dict[str, ValueType | None]:
    scope: dict[str, ValueType | None] = {"input": inputs}
    for draft in drafts:
        for name, known in draft.gives.items():
            # Of several steps that give one name with different types, nothing is known.
            scope[name] = known if scope.get(name, known) == known else None
    return scope


def _givers(drafts: Sequence[StepDraft]) -> dict[str, list[int]]:
    """For each name the steps that give it, in their order."""
    found: dict[str, list[int]] = {}
    for position, draft in enumerate(drafts):
        for name in draft.gives:
            found.setdefault(name, []).append(position)
    return found


def _needs(step: StepDraft, position: int, givers: Mapping[str, list[int]]) -> dict[str, tuple[int, ...]]:
    """For each name a step reads, who gives it: the steps before it, or else those after it."""
    found: dict[str, tuple[int, ...]] = {}
    for name in sorted(step.reads):
        every = givers.get(name, [])
        found[name] = tuple(every[: bisect.bisect_left(every, position)] or every)
    return found


def _fits_into(given: ValueType, wanted: ValueType) -> bool:
    """Whether an answer of one type can be passed on as another: everything can be passed on as text."""
    given, wanted = without_optional(given), without_optional(wanted)
    if wanted == ScalarType("str") or given == wanted:
        return True
    if isinstance(wanted, ScalarType):
        if wanted.name == "object":
            return isinstance(given, ObjectType)
        return wanted.name == "float" and given == ScalarType("int")
    if isinstance(wanted, ListType):
        return isinstance(given, ListType) and _fits_into(given.item, wanted.item)
    if isinstance(wanted, ChoiceType):
        return isinstance(given, ChoiceType) and set(given.options) <= set(wanted.options)
    if isinstance(wanted, OptionalType) or not isinstance(given, ObjectType):
        return False
    if given.unread or wanted.unread:
        return True  # nobody knows
    return set(given.names) == set(wanted.names) and all(
        _fits_into(each.type, other.type)
        for each in given.fields
        if (other := wanted.get(each.name)) is not None
    )
