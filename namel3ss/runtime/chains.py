"""Chains of a program, ready to be called: steps run as soon as what they need is there."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, overload

from namel3ss.declarations.templates import Template
from namel3ss.declarations.value_types import as_type, fit
from namel3ss.errors import N3Error, ProgramError
from namel3ss.providers.base import ProviderError, StructuredOutputError
from namel3ss.runtime.asking import Question, ask
from namel3ss.runtime.prompts import as_pydantic, fit_inputs, merge_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from namel3ss.declarations.chains import ChainDeclaration, StepDeclaration, StepInput
    from namel3ss.declarations.value_types import ObjectType, ValueType
    from namel3ss.providers.base import ProviderResponse
    from namel3ss.runtime.asking import Answer
    from namel3ss.runtime.models import RunnableModel
    from namel3ss.runtime.prompts import RunnablePrompt

__all__ = [
    "ChainResult",
    "RunnableChain",
    "StepError",
    "StepEvent",
    "StepResult",
    "StepTimeoutError",
]

ModelT = TypeVar("ModelT", bound="BaseModel")


class StepError(N3Error):
    """A step of a chain failed; its `__cause__` is why. `location` is where the step stands in the file."""

    def __init__(
        self, message: str, *, suggestion: str | None = None, chain: str, step: str, location: str
    ) -> None:
        super().__init__(message, suggestion=suggestion)
        self.chain = chain
        self.step = step
        self.location = location


class StepTimeoutError(StepError, TimeoutError):
    """Every try of a step took longer than its `timeout`."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step. `output` is None where it was skipped; `tries` counts from 1; `seconds` are wall time."""

    name: str
    output: Any = None
    is_skipped: bool = False
    tries: int = 0
    seconds: float = 0.0
    response: ProviderResponse | None = None


@dataclass(frozen=True, slots=True)
class StepEvent:
    """Something that happened to a step: for progress. `error` is why it is tried again or has failed."""

    kind: Literal["started", "finished", "skipped", "retrying", "failed"]
    step: str
    seconds: float = 0.0
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class ChainResult:
    """What a chain gives: `output` has its declared fields, or every name a step gave; `steps` are in file order."""

    output: dict[str, Any]
    steps: Mapping[str, StepResult]
    name: str = field(default="", repr=False)
    output_type: ObjectType | None = field(default=None, repr=False)

    @overload
    def as_model(self) -> BaseModel: ...
    @overload
    def as_model(self, model: type[ModelT]) -> ModelT: ...
    def as_model(self, model: type[BaseModel] | None = None) -> BaseModel:
        """The output as a pydantic model: yours, or one made from the chain's output."""
        return as_pydantic(self.output, self.output_type, self.name, model)


class Resources(Protocol):
    """What a chain needs of its program."""

    def model(self, name: str | None = None) -> RunnableModel: ...
    def prompt(self, name: str) -> RunnablePrompt: ...


class RunnableChain:
    """A declared chain. Lives as long as its program. Calling it runs its steps."""

    def __init__(self, declaration: ChainDeclaration, resources: Resources) -> None:
        self.declaration = declaration
        self._resources = resources

    @property
    def name(self) -> str:
        return self.declaration.name

    async def __call__(self, inputs: Mapping[str, Any] | None = None, /, **more: Any) -> ChainResult:
        """Run with these inputs, as one mapping or by name. See `run`."""
        return await self.run(merge_inputs(inputs, more, f"chain {self.name!r}"))

    async def run(
        self, inputs: Mapping[str, Any], *, on_step: Callable[[StepEvent], None] | None = None
    ) -> ChainResult:
        """Run all steps; those that do not need each other run at the same time.

        `on_step` hears of every step as it happens. Cancelling cancels all running steps. Raises UsageError for inputs
        that do not fit, ProgramError for a chain this version cannot run, and StepError; the other steps are then
        cancelled.
        """
        declared = self.declaration
        self._check_runnable()
        values = fit_inputs(inputs, declared.input, f"chain {declared.name!r}")
        return await _Run(declared, self._resources, values, on_step).run()

    def _check_runnable(self) -> None:
        for step in self.declaration.steps:
            if step.foreign:
                raise ProgramError(
                    f"Chain {self.name!r} cannot be run: its step {step.name!r} ({step.location}) has "
                    f"`{step.foreign[0]}`, which this version does not run.",
                    suggestion="Write the step as a prompt, or take it out.",
                )
            if step.prompt is not None:
                self._resources.prompt(step.prompt)

    def __repr__(self) -> str:
        return f"<RunnableChain {self.name}: {len(self.declaration.steps)} steps>"


class _Run:
    """One run of a chain. `_results` are written once each, when a step has ended."""

    def __init__(
        self,
        declaration: ChainDeclaration,
        resources: Resources,
        inputs: Mapping[str, Any],
        on_step: Callable[[StepEvent], None] | None,
    ) -> None:
        self._declaration = declaration
        self._resources = resources
        self._inputs = inputs
        self._on_step = on_step
        self._results: dict[int, StepResult] = {}
        self._ended = [asyncio.Event() for _ in declaration.steps]

    async def run(self) -> ChainResult:
        try:
            async with asyncio.TaskGroup() as group:
                for position in range(len(self._declaration.steps)):
                    group.create_task(self._step(position))
        except BaseExceptionGroup as failures:
            # The first failure cancelled the others, so it is the one to tell.
            first = failures.exceptions[0]
            raise first from first.__cause__
        steps = {step.name: self._results[position] for position, step in enumerate(self._declaration.steps)}
        return ChainResult(
            self._output(), MappingProxyType(steps), self._declaration.name, self._declaration.output
        )

    async def _step(self, position: int) -> None:
        for needed in self._declaration.dependencies(position):
            await self._ended[needed].wait()
        step = self._declaration.steps[position]
        started = time.monotonic()
        try:
            self._results[position] = await self._result(step, started)
        except (N3Error, TimeoutError) as error:
            self._tell("failed", step, started, error)
            raise self._failure(step, error) from error
        self._ended[position].set()

    async def _result(self, step: StepDeclaration, started: float) -> StepResult:
        data = self._data(step)
        condition = step.condition
        if not (condition.value(data) if isinstance(condition, Template) else condition):
            self._tell("skipped", step, started)
            return StepResult(step.name, is_skipped=True)
        self._tell("started", step, started)
        question = self._question(step, data)
        answer, tries = await self._tried(step, question, started)
        seconds = time.monotonic() - started
        self._tell("finished", step, started)
        return StepResult(step.name, answer.value, False, tries, seconds, answer.response)

    async def _tried(self, step: StepDeclaration, question: Question, started: float) -> tuple[Answer, int]:
        for number in range(1, step.retries + 2):
            try:
                async with asyncio.timeout(step.timeout_s):
                    return await ask(question), number
            except (ProviderError, TimeoutError) as error:
                if number > step.retries:
                    raise
                self._tell("retrying", step, started, error)
        raise AssertionError("the last try returns or raises")

    def _question(self, step: StepDeclaration, data: Mapping[str, Any]) -> Question:
        system = step.system.render(data) if step.system is not None else None
        if step.template is not None:
            return Question(
                self._resources.model(step.model), step.template.render(data), system, step.answer_type
            )
        prompt = self._resources.prompt(step.prompt or "")
        types = {each.name: each.type for each in prompt.declaration.input.fields}
        inputs = {name: as_type(_filled(given, data), types[name]) for name, given in step.input.items()}
        asked = prompt.question(inputs, model=step.model)
        return Question(
            asked.model,
            asked.text,
            asked.system if system is None else system,
            step.answer_type,
            asked.overrides,
        )

    def _data(self, step: StepDeclaration) -> dict[str, Any]:
        """What the templates of a step see."""
        seen = {name: self._value(name, givers) for name, givers in step.needs.items()}
        return {**seen, "input": self._inputs}

    def _value(self, name: str, givers: tuple[int, ...]) -> Any:
        """The value of a name: of the last of these steps, in file order, that was not skipped."""
        for position in reversed(givers):
            result = self._results[position]
            if not result.is_skipped:
                gives_fields = self._declaration.steps[position].gives_fields
                return result.output[name] if gives_fields else result.output
        return None

    def _output(self) -> dict[str, Any]:
        steps, declared = self._declaration.steps, self._declaration.output
        givers: dict[str, tuple[int, ...]] = {}
        for position, step in enumerate(steps):
            for name in step.names:
                givers[name] = (*givers.get(name, ()), position)
        if declared is None:
            return {name: self._value(name, positions) for name, positions in givers.items()}
        output: dict[str, Any] = {}
        for each in declared.fields:
            value = self._value(each.name, givers[each.name])
            # A step that was skipped gives null, whatever the type.
            output[each.name] = None if value is None else self._fitted(each.name, value, each.type)
        return output

    def _fitted(self, name: str, value: Any, wanted: ValueType) -> Any:
        fitted = fit(as_type(value, wanted), wanted, f"`{name}`")
        if fitted.problems:
            raise StructuredOutputError(
                f"The output of chain {self._declaration.name!r} does not fit: {fitted.problems[0]}.",
                raw_text=json.dumps(value, ensure_ascii=False),
                problems=fitted.problems,
            )
        return fitted.value

    def _failure(self, step: StepDeclaration, error: N3Error | TimeoutError) -> StepError:
        chain, location = self._declaration.name, str(step.location)
        where = f"Step {step.name!r} of chain {chain!r} ({location})"
        if isinstance(error, N3Error):
            return StepError(
                f"{where} failed: {error.message}",
                suggestion=error.suggestion,
                chain=chain,
                step=step.name,
                location=location,
            )
        return StepTimeoutError(
            f"{where} took longer than its timeout of {step.timeout_s:g} s.",
            suggestion="Raise its `timeout`, or let it `retry`.",
            chain=chain,
            step=step.name,
            location=location,
        )

    def _tell(
        self,
        kind: Literal["started", "finished", "skipped", "retrying", "failed"],
        step: StepDeclaration,
        started: float,
        error: BaseException | None = None,
    ) -> None:
        if self._on_step is not None:
            self._on_step(StepEvent(kind, step.name, time.monotonic() - started, error))


def _filled(given: StepInput, data: Mapping[str, Any]) -> Any:
    """What a step passes on, its templates filled in."""
    if isinstance(given, Template):
        return given.value(data)
    if isinstance(given, dict):
        return {key: _filled(item, data) for key, item in given.items()}
    return [_filled(item, data) for item in given] if isinstance(given, list) else given
