"""One step of a chain: its keys, its templates, what it gives and what it reads."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from namel3ss.declarations.chains import StepDeclaration
from namel3ss.declarations.layers import Layer
from namel3ss.declarations.parts import Part, report_unknown_name
from namel3ss.declarations.places import Location
from namel3ss.declarations.templates import Template, read_template
from namel3ss.declarations.type_reading import read_object_type
from namel3ss.declarations.value_types import (
    ObjectType,
    ScalarType,
    as_type,
    describe_type,
    fit,
    without_optional,
)
from namel3ss.declarations.written import shortened
from namel3ss.language import BareWord, Block, BlockText, Boolean, List, Null, Number, String
from namel3ss.language.suggest import closest
from namel3ss.providers.settings import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.chain_check import ChainCheck
    from namel3ss.declarations.chains import StepInput
    from namel3ss.declarations.template_check import Scope
    from namel3ss.declarations.value_types import Field, ValueType
    from namel3ss.language import Source, Step, Value

__all__ = ["STEP_KEYS", "StepDraft", "read_step"]

STEP_KEYS = ("model", "prompt", "input", "output", "system", "if", "retry", "timeout", "description")
_MOST_RETRIES = 100
_NAME = re.compile(r"[A-Za-z_]\w*")
_TEXT = ScalarType("str")


@dataclass(frozen=True, slots=True)
class WrittenStep:
    """A step as written in the program, in the profile, or in both. `place` is its name where it was written first."""

    name: str
    place: Location
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, step: Step, source: Source) -> WrittenStep:
        return cls(step.name.text, Location(source, step.name.span), (Layer(step.block, source),))

    def laid_over(self, step: Step, source: Source) -> WrittenStep:
        """This step with the profile's over it."""
        return replace(self, layers=(*self.layers, Layer(step.block, source)))


@dataclass(frozen=True, slots=True)
class StepDraft:
    """A step while its chain is checked. `gives` are its names with their types, None where nothing is known."""

    part: Part
    name: str
    location: Location
    declaration: StepDeclaration
    gives: Mapping[str, ValueType | None]
    reads: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def begin(cls, step: WrittenStep, outputs: ObjectType | None, check: ChainCheck) -> StepDraft:
        """What a step gives, which the templates of all steps must know before any is read."""
        part = Part("a step", step.layers, check.findings)
        place = step.place
        foreign = _foreign_keys(part, place, check)
        prompt = part.value("prompt")
        referred = check.prompts.get(prompt.value) if isinstance(prompt, BareWord) else None
        answer, names, gives_fields = _answer(part, referred.output if referred else None, outputs, check)
        gives: dict[str, ValueType | None] = {}
        if gives_fields and isinstance(answer, ObjectType):
            gives = {**{each.name: each.type for each in answer.fields}, **dict.fromkeys(answer.unread)}
        else:
            is_known = not foreign and (referred is not None or not isinstance(prompt, BareWord))
            gives = dict.fromkeys(names, (answer or _TEXT) if is_known else None)
        declaration = StepDeclaration(
            step.name,
            place,
            answer_type=answer,
            names=tuple(gives),
            gives_fields=gives_fields,
            foreign=foreign,
        )
        return cls(part, step.name, place, declaration, gives)

    def joined(self, needs: Mapping[str, tuple[int, ...]]) -> StepDraft:
        """The step with the steps it needs."""
        return replace(self, declaration=replace(self.declaration, needs=needs))


def read_step(draft: StepDraft, scope: Scope, check: ChainCheck) -> StepDraft:
    """The rest of a step, once all names of the chain are known."""
    return _Reading(draft, scope, check).read()


class _Reading:
    def __init__(self, draft: StepDraft, scope: Scope, check: ChainCheck) -> None:
        self._draft = draft
        self._part = draft.part
        self._scope = scope
        self._check = check
        self._reads: set[str] = set()

    def read(self) -> StepDraft:
        part, draft = self._part, self._draft
        model = part.model(self._check.models)
        prompt, template = self._prompt()
        description = part.text("description")
        declaration = replace(
            draft.declaration,
            model=model,
            prompt=prompt,
            template=template,
            system=self._template_of("system"),
            input=self._inputs(prompt),
            condition=self._condition(),
            retries=self._retries(),
            timeout_s=self._timeout(),
            description=description.value if description is not None else None,
        )
        return replace(draft, declaration=declaration, reads=frozenset(self._reads))

    def _prompt(self) -> tuple[str | None, Template | None]:
        part = self._part
        value = part.text("prompt")
        if value is None:
            if "prompt" not in part and not self._draft.declaration.foreign:
                part.findings.report(
                    "N3603",
                    f"Step `{shortened(self._draft.name)}` asks nothing.",
                    self._draft.location,
                    help='Add `prompt: "…"`, or the name of a prompt.',
                )
            return None, None
        if isinstance(value, BareWord):
            if value.value not in self._check.prompt_names:
                report_unknown_name(
                    "N3608",
                    "prompt",
                    value,
                    self._check.prompt_names,
                    part.source("prompt"),
                    part.findings,
                    otherwise="Put it in quotes if it is the text itself.",
                )
            return value.value, None
        part.report_missing_model(self._check.models, self._draft.location)
        return None, self._template(value, part.source("prompt"))

    def _template_of(self, key: str) -> Template | None:
        value = self._part.text(key)
        return self._template(value, self._part.source(key)) if value is not None else None

    def _template(
        self, value: String | BlockText | BareWord, source: Source, *, is_condition: bool = False
    ) -> Template | None:
        template = read_template(value, source, self._scope, self._part.findings, is_condition=is_condition)
        if template is not None:
            self._reads |= template.used - {"input"}
        return template

    def _condition(self) -> Template | bool:
        value = self._part.value("if")
        if isinstance(value, Boolean):
            return value.value
        if isinstance(value, String | BlockText | BareWord):
            return self._template(value, self._part.source("if"), is_condition=True) or True
        self._part.refuse("if", "a condition", "Write it like this: `if: \"{{ input.kind == 'long' }}\"`")
        return True

    def _retries(self) -> int:
        value = self._part.value("retry")
        if isinstance(value, Number) and isinstance(value.value, int) and 0 <= value.value <= _MOST_RETRIES:
            return value.value
        if value is not None:
            self._report_bad_number("retry", f"a whole number from 0 to {_MOST_RETRIES}")
        return 0

    def _timeout(self) -> float | None:
        value = self._part.value("timeout")
        if value is None:
            return None
        seconds: float | None = None
        if isinstance(value, Number):
            seconds = float(value.value)
        elif isinstance(value, String | BareWord):
            try:
                seconds = parse_duration(value.value)
            except ValueError:
                seconds = None
        if seconds is None or seconds <= 0:
            self._report_bad_number("timeout", "a duration such as 30s or 5m, or a number of seconds")
            return None
        return seconds

    def _report_bad_number(self, key: str, wanted: str) -> None:
        self._part.findings.report("N3611", f"{key} must be {wanted}.", self._part.place(key))

    # -- what a step passes to a prompt -----------------------------------------------------------------------

    def _inputs(self, prompt: str | None) -> dict[str, StepInput]:
        part, findings = self._part, self._part.findings
        layers = part.blocks("input")
        if part.value("input") is not None and not layers:
            part.refuse("input", "a map", 'Write `input: { text: "{{input.text}}" }`')
            return {}
        if layers and prompt is None:
            findings.report(
                "N3609",
                "Only a step that uses a prompt by name has an input.",
                part.key_place("input"),
                help="A text written in the step sees all names itself.",
            )
        inputs = Part("the input", layers, findings)
        found: dict[str, StepInput] = {}
        for key in inputs.keys_other_than(()):
            item = inputs.value(key)
            if item is not None:
                found[key] = self._data(item, inputs.source(key))
        declared = self._check.prompts.get(prompt) if prompt is not None else None
        if declared is not None:
            self._check_inputs(declared.input, found, inputs, declared.name)
        return found

    def _data(self, value: Value, source: Source) -> StepInput:
        if isinstance(value, String | BlockText | BareWord):
            template = self._template(value, source)
            return template if template is not None else value.value
        if isinstance(value, List):
            return [self._data(item, source) for item in value.items]
        if isinstance(value, Block):
            return {
                pair.key.text: self._data(pair.value, source)
                for pair in value.pairs()
                if pair.value is not None
            }
        if isinstance(value, Number | Boolean | Null):
            return value.value
        self._part.findings.report(
            "N3609",
            "A value belongs here: text, a number, true, false, a list or a map.",
            Location(source, value.span),
            help='Names of the chain stand in a template: `"{{input.text}}"`',
        )
        return None

    def _check_inputs(
        self, wanted: ObjectType, given: Mapping[str, StepInput], inputs: Part, prompt: str
    ) -> None:
        findings = self._part.findings
        meant: set[str] = set()
        for key in given:
            if wanted.get(key) is None:
                near = closest(key, [name for name in wanted.names if name not in given])
                meant.update(near)
                there = ", ".join(f"`{name}`" for name in wanted.names) or "none"
                findings.report(
                    "N3609",
                    f"Prompt `{shortened(prompt)}` has no input `{shortened(key)}`.",
                    inputs.key_place(key),
                    help=f"Did you mean `{near[0]}`?" if near else f"Its inputs: {there}.",
                )
        place = self._part.key_place("input") if "input" in self._part else self._draft.location
        for each in wanted.fields:
            if each.name in given:
                self._check_literal(each, given[each.name], inputs)
            elif each.is_required and each.name not in meant:
                findings.report(
                    "N3609",
                    f"Prompt `{shortened(prompt)}` needs `{shortened(each.name)}`, which is {describe_type(each.type)}.",
                    place,
                    help=f'Add `{each.name}: "{{{{…}}}}"` to the step\'s input.',
                )

    def _check_literal(self, wanted: Field, given: StepInput, inputs: Part) -> None:
        """Check what is known before anything runs: data without templates."""
        plain = _plain(given)
        if plain is _UNKNOWN:
            return
        for problem in fit(as_type(plain, wanted.type), wanted.type, f"`{wanted.name}`").problems:
            self._part.findings.report(
                "N3609", f"{problem[:1].upper()}{problem[1:]}.", inputs.place(wanted.name)
            )


_UNKNOWN = object()


def _plain(given: StepInput) -> Any:
    if isinstance(given, Template):
        return given.text if not given.used else _UNKNOWN
    if isinstance(given, list):
        items = [_plain(item) for item in given]
        return _UNKNOWN if any(item is _UNKNOWN for item in items) else items
    if isinstance(given, dict):
        pairs = {key: _plain(item) for key, item in given.items()}
        return _UNKNOWN if any(item is _UNKNOWN for item in pairs.values()) else pairs
    return given


def _foreign_keys(part: Part, place: Location, check: ChainCheck) -> tuple[str, ...]:
    """The keys of the wider language; one that is nearly a key of ours is a mistake."""
    foreign: list[str] = []
    for key in part.keys_other_than(STEP_KEYS):
        near = closest(key, STEP_KEYS)
        if near:
            part.report_unknown_key("N3607", key, STEP_KEYS, near[0])
            continue
        foreign.append(key)
        check.findings.report(
            "N3606",
            f"This version does not run steps with `{shortened(key)}`.",
            part.key_place(key),
            help="The rest of the file works; running this chain is an error.",
        )
    return tuple(foreign)


def _answer(
    part: Part, prompt_output: ValueType | None, outputs: ObjectType | None, check: ChainCheck
) -> tuple[ValueType | None, tuple[str, ...], bool]:
    """The type of a step's answer (None: text), the names it gets, and whether each field is a name."""
    if layers := part.blocks("output"):
        answer = read_object_type(layers, check.findings)
        return answer, (), True
    value = part.value("output")
    if value is None:
        return prompt_output, (), False
    if not isinstance(value, BareWord | String) or not _NAME.fullmatch(value.value) or value.value == "input":
        part.refuse("output", "a name, or a map of names and types", "Write `output: answer`")
        return prompt_output, (), False
    name = value.value
    wanted = outputs.get(name) if outputs is not None else None
    if prompt_output is None and wanted is not None and without_optional(wanted.type) != _TEXT:
        # Nothing else says what the answer must be, so the chain does.
        return without_optional(wanted.type), (name,), False
    return prompt_output, (name,), False
