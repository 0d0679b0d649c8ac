"""Prompts of a program, ready to be called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast, overload

from namel3ss.declarations.value_types import ObjectType, fit
from namel3ss.errors import UsageError
from namel3ss.runtime.asking import Question, ask, mend
from namel3ss.runtime.partial_json import PartialJson

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

    from pydantic import BaseModel

    from namel3ss.declarations.prompts import PromptDeclaration
    from namel3ss.declarations.value_types import ValueType
    from namel3ss.providers.base import ProviderResponse
    from namel3ss.runtime.asking import Answer
    from namel3ss.runtime.models import RunnableModel

__all__ = ["PromptResult", "PromptStream", "RunnablePrompt", "as_pydantic", "fit_inputs", "merge_inputs"]

ModelT = TypeVar("ModelT", bound="BaseModel")


@dataclass(frozen=True, slots=True)
class PromptResult:
    """The answer to one prompt.

    `output` is what the prompt declares: a dict for a map of fields, text where it declares none. `response` is the
    model's answer with its numbers; `repaired`: the first one did not fit, and this is the second.
    """

    output: Any
    response: ProviderResponse
    repaired: bool = False
    name: str = field(default="", repr=False)
    output_type: ValueType | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The answer as the model wrote it."""
        return self.response.output_text

    @overload
    def as_model(self) -> BaseModel: ...
    @overload
    def as_model(self, model: type[ModelT]) -> ModelT: ...
    def as_model(self, model: type[BaseModel] | None = None) -> BaseModel:
        """The output as a pydantic model: yours, or one made from the prompt's output."""
        return as_pydantic(self.output, self.output_type, self.name, model)


class RunnablePrompt:
    """A declared prompt with its model. Lives as long as its program. Calling it answers."""

    def __init__(
        self, declaration: PromptDeclaration, find_model: Callable[[str | None], RunnableModel]
    ) -> None:
        self.declaration = declaration
        self._find_model = find_model

    @property
    def name(self) -> str:
        return self.declaration.name

    async def __call__(self, inputs: Mapping[str, Any] | None = None, /, **more: Any) -> PromptResult:
        """Answer with these inputs, as one mapping or by name. See `run`."""
        return await self.run(merge_inputs(inputs, more, f"prompt {self.name!r}"))

    async def run(
        self, inputs: Mapping[str, Any], *, model: str | None = None, **overrides: Any
    ) -> PromptResult:
        """Answer with these inputs. `model` replaces the prompt's; `overrides` are settings of this call.

        Raises UsageError for inputs that do not fit, TemplateError where a template needs what they lack,
        StructuredOutputError for an answer that does not fit twice, and what the model raises.
        """
        return self._result(await ask(self.question(inputs, model=model, **overrides)))

    def stream(
        self, inputs: Mapping[str, Any] | None = None, /, *, model: str | None = None, **more: Any
    ) -> PromptStream:
        """The answer as it comes: pieces of text, or, where the prompt declares an output, all that is complete.

        Nothing is sent before the first `await`.
        """
        given = merge_inputs(inputs, more, f"prompt {self.name!r}")
        return PromptStream(self.question(given, model=model), self._result)

    def question(self, inputs: Mapping[str, Any], *, model: str | None = None, **overrides: Any) -> Question:
        """What the model will be asked: the templates with these inputs in them. Contacts nobody."""
        declared = self.declaration
        values = fit_inputs(inputs, declared.input, f"prompt {declared.name!r}")
        data = {**values, "input": values}
        return Question(
            model=self._find_model(model or declared.model),
            text=declared.template.render(data),
            system=declared.system.render(data) if declared.system is not None else None,
            wanted=declared.output,
            overrides=overrides,
        )

    def _result(self, answer: Answer) -> PromptResult:
        return PromptResult(
            answer.value, answer.response, answer.repaired, self.declaration.name, self.declaration.output
        )

    def __repr__(self) -> str:
        return f"<RunnablePrompt {self.name}({', '.join(self.declaration.input.names)})>"


class PromptStream:
    """A running answer to a prompt: an async iterator and an async context manager. Iterate it once.

    Each item is the next piece of text, or, where an output is declared, a new copy of all that is complete so far: an
    object with the fields that are there, a list with its complete items. `result` checks the whole. Leaving the context
    closes the connection.
    """

    def __init__(self, question: Question, finish: Callable[[Answer], PromptResult]) -> None:
        self._question = question
        self._finish = finish
        self._stream = question.stream()
        self._partial = PartialJson() if question.wanted is not None else None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while True:
            chunk = await anext(self._stream)
            if self._partial is None:
                if chunk.output_text:
                    return chunk.output_text
            elif self._partial.feed(chunk.output_text):
                return self._partial.value

    async def result(self) -> PromptResult:
        """The complete answer: reads what is left, checks it, and has it repaired once if need be."""
        return self._finish(await mend(self._question, await self._stream.result()))

    async def cancel(self) -> None:
        """Stop the answer. Idempotent."""
        await self._stream.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stream.__aexit__(exc_type, exc, traceback)


def merge_inputs(inputs: object, more: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """The inputs of a call, given as one mapping, by name, or both. Raises UsageError for anything else."""
    if inputs is None:
        return dict(more)
    if not isinstance(inputs, Mapping):
        raise UsageError(
            f"The inputs of {owner} are given by name or as one mapping, not as a value of type {type(inputs).__name__}.",
            suggestion='Write (name="…"), or ({"name": "…"}).',
        )
    return {**inputs, **more}


def fit_inputs(inputs: Mapping[str, Any], wanted: ObjectType, owner: str) -> dict[str, Any]:
    """The inputs as plain data of their types, defaults filled in. Raises UsageError that lists what does not fit."""
    fitted = fit(inputs, wanted, "the input")
    if fitted.problems:
        shown = "; ".join(fitted.problems[:5]).rstrip("?")
        raise UsageError(
            f"The input of {owner} does not fit: {shown}.",
            suggestion=f"It takes: {', '.join(wanted.names)}." if wanted.names else "It takes no input.",
        )
    return cast("dict[str, Any]", fitted.value)


def as_pydantic(
    output: Any, output_type: ValueType | None, name: str, model: type[BaseModel] | None
) -> BaseModel:
    """An output as a pydantic model. Raises UsageError where there are no fields to make one of."""
    if model is not None:
        return model.model_validate(output)
    if not isinstance(output_type, ObjectType):
        raise UsageError(
            f"The output of {name!r} has no fields to make a model of.",
            suggestion="Declare them: `output: { title: str }`, or pass a model of your own.",
        )
    from namel3ss.runtime.output_models import model_of

    return model_of(name, output_type).model_validate(output)
