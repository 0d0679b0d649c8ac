"""Functions that a model may call, and the conversation in which it does.

A tool is a plain or async function: its name, docstring and annotations become what the model is told, and what the
model sends is validated against the annotations before the function is called. What the model can put right (an unknown
tool, arguments that do not fit, a `ToolError`) goes back to it; any other exception is the program's own and ends the
run. `ToolConversation` knows the rules and does no I/O; who drives it calls the model and the functions.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_type_hints

from namel3ss.errors import N3Error, UsageError
from namel3ss.language.suggest import did_you_mean
from namel3ss.providers.base import ProviderMessage
from namel3ss.providers.call_parts import check_callable, check_count

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from pydantic import BaseModel

    from namel3ss.providers.base import ProviderResponse, ToolCall

__all__ = [
    "DEFAULT_MAX_ROUNDS",
    "Tool",
    "ToolConversation",
    "ToolError",
    "ToolResult",
    "ToolRoundsError",
    "ToolRun",
    "converse",
    "converse_blocking",
]

DEFAULT_MAX_ROUNDS: Final = 10
_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_MOST_PROBLEMS: Final = 5

Turn: TypeAlias = "ProviderMessage | Mapping[str, Any]"


class ToolError(Exception):
    """Raised by a tool to tell the model what went wrong. Its text is sent to the model, so put no secret into it."""


class ToolRoundsError(N3Error):
    """The model went on calling tools. `messages` is the conversation up to there."""

    def __init__(self, message: str, *, suggestion: str | None = None, messages: Sequence[Turn] = ()) -> None:
        super().__init__(message, suggestion=suggestion)
        self.messages = tuple(messages)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """One call and what the model was told of it; `is_error` where that says what went wrong."""

    call: ToolCall
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class ToolRun:
    """An answer that took tools. `messages` is the whole conversation, this answer included, without the system prompt."""

    response: ProviderResponse
    results: tuple[ToolResult, ...]
    messages: tuple[Turn, ...]

    @property
    def output_text(self) -> str:
        """The answer itself."""
        return self.response.output_text


class Tool:
    """A function as a model sees it. Raises UsageError for a function that cannot be described."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name: str = getattr(function, "__name__", "")
        if not self.name.isidentifier():
            raise UsageError(
                f"{function!r} has no name that a model could call.",
                suggestion="Give a function made with `def` or `async def`.",
            )
        self.description = inspect.cleandoc(function.__doc__ or "")
        self._arguments = _model_of_arguments(self.name, function)
        self._parameters = _described(self.name, self._arguments)

    @property
    def description_for_models(self) -> dict[str, Any]:
        """The tool in the form that providers take in `tools`."""
        function: dict[str, Any] = {"name": self.name, "parameters": self._parameters}
        if self.description:
            function["description"] = self.description
        return {"type": "function", "function": function}

    def read_arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments in the types of the function. Raises ToolError, for the model, where they do not fit."""
        from pydantic import ValidationError

        try:
            read = self._arguments.model_validate(dict(given))
        except ValidationError as error:
            problems = [
                f"{'.'.join(str(part) for part in each['loc']) or 'arguments'}: {each['msg']}"
                for each in error.errors(include_url=False, include_context=False)[:_MOST_PROBLEMS]
            ]
            raise ToolError(f"The arguments of {self.name} do not fit. {'; '.join(problems)}.") from error
        return {str(field.alias): getattr(read, name) for name, field in type(read).model_fields.items()}

    def __repr__(self) -> str:
        return f"<Tool {self.name}{inspect.signature(self.function)}>"


class ToolConversation:
    """A conversation in which tools are called. Lives for one question; does no I/O.

    Whoever drives it sends `messages` with `descriptions`, gives each answer to `take`, makes the calls that come back
    and notes what they gave, and stops when none come.
    """

    def __init__(
        self,
        messages: Sequence[Turn],
        tools: Iterable[Callable[..., Any] | Tool],
        *,
        max_rounds: int,
        on_call: Callable[[ToolResult], object] | None = None,
    ) -> None:
        self._tools = _by_name(tools)
        check_count(max_rounds, "max_rounds")
        check_callable(on_call, "on_call")
        self.messages: list[Turn] = list(messages)
        self.descriptions = [tool.description_for_models for tool in self._tools.values()]
        self._results: list[ToolResult] = []
        self._rounds_left = max_rounds
        self._max_rounds = max_rounds
        self._on_call = on_call

    def take(self, response: ProviderResponse) -> tuple[ToolCall, ...]:
        """The calls that an answer asks for; none where it is the last one. Raises ToolRoundsError."""
        self.messages.append(response.as_message())
        if response.tool_calls:
            if not self._rounds_left:
                raise ToolRoundsError(
                    f"The model still calls tools after {self._max_rounds} "
                    f"round{'' if self._max_rounds == 1 else 's'} of calls: {response.tool_calls[0].name}.",
                    suggestion="Raise max_rounds, or say in the system prompt when to stop.",
                    messages=self.messages,
                )
            self._rounds_left -= 1
        return response.tool_calls

    def read(self, call: ToolCall) -> tuple[Tool, dict[str, Any]]:
        """The tool that a call means and its arguments.

        Raises ToolError, to be noted, where there is none or they do not fit.
        """
        tool = self._tools.get(call.name)
        if tool is None:
            hint = did_you_mean(call.name, self._tools) or f"there are {', '.join(self._tools)}."
            raise ToolError(f"There is no tool {call.name!r}: {hint}")
        return tool, tool.read_arguments(call.arguments)

    def note(self, call: ToolCall, outcome: object) -> None:
        """Tell the model what a call gave: a value, or a ToolError."""
        if isinstance(outcome, ToolError):
            result = ToolResult(call, f"Error: {outcome}", is_error=True)
        else:
            result = ToolResult(call, _as_text(call.name, outcome))
        self._results.append(result)
        self.messages.append(
            ProviderMessage(
                "tool",
                result.text,
                tool_call_id=call.id,
                tool_name=call.name,
                is_error=result.is_error,
            )
        )
        if self._on_call is not None:
            self._on_call(result)

    def end(self, response: ProviderResponse) -> ToolRun:
        """What came of it, after the last answer."""
        return ToolRun(response, tuple(self._results), tuple(self.messages))


async def converse(
    conversation: ToolConversation, ask: Callable[[ToolConversation], Awaitable[ProviderResponse]]
) -> ToolRun:
    """Drive a conversation from asyncio. A plain function is called on a worker thread; calls run one after the other."""
    while calls := conversation.take(response := await ask(conversation)):
        for call in calls:
            conversation.note(call, await _outcome(conversation, call))
    return conversation.end(response)


def converse_blocking(
    conversation: ToolConversation,
    ask: Callable[[ToolConversation], ProviderResponse],
    wait_for: Callable[[Coroutine[Any, Any, Any]], Any],
) -> ToolRun:
    """Drive a conversation without asyncio: a plain function is called here, an async one by `wait_for`."""
    while calls := conversation.take(response := ask(conversation)):
        for call in calls:
            try:
                tool, arguments = conversation.read(call)
                outcome = tool.function(**arguments)
                if inspect.iscoroutine(outcome):
                    outcome = wait_for(outcome)
            except ToolError as error:
                outcome = error
            conversation.note(call, outcome)
    return conversation.end(response)


async def _outcome(conversation: ToolConversation, call: ToolCall) -> object:
    try:
        tool, arguments = conversation.read(call)
        if inspect.iscoroutinefunction(tool.function):
            return await tool.function(**arguments)
        return await _on_a_thread(functools.partial(tool.function, **arguments))
    except ToolError as error:
        return error


async def _on_a_thread(function: Callable[[], Any]) -> object:
    # A thread that ends with the call: those of the loop's own executor stay as long as the loop.
    executor = ThreadPoolExecutor(1, thread_name_prefix="namel3ss-tool")
    try:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(executor, context.run, function)
    finally:
        executor.shutdown(wait=False)


def _by_name(tools: Iterable[Callable[..., Any] | Tool]) -> dict[str, Tool]:
    if isinstance(tools, str | Mapping) or not isinstance(tools, Iterable):
        raise UsageError(
            f"tools must be a list of functions, not a value of type {type(tools).__name__}.",
            suggestion="Write [function], also where there is only one.",
        )
    found: dict[str, Tool] = {}
    for each in tools:
        tool = each if isinstance(each, Tool) else Tool(each)
        if tool.name in found:
            raise UsageError(
                f"Two tools are called {tool.name!r}.", suggestion="Rename one of the functions."
            )
        found[tool.name] = tool
    if not found:
        raise UsageError("There are no tools to call.", suggestion="Give functions, or use `run`.")
    return found


def _model_of_arguments(name: str, function: Callable[..., Any]) -> type[BaseModel]:
    """A pydantic model with a field for each parameter.

    The parameter's name is the field's alias, because `schema`, `json` and others are members of every pydantic model.
    """
    from pydantic import ConfigDict, Field, create_model
    from pydantic.errors import PydanticUserError

    try:
        types = get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
    except (NameError, TypeError, ValueError) as error:
        raise UsageError(f"The types of the tool {name!r} cannot be read: {error}.") from error
    fields: dict[str, Any] = {}
    for index, parameter in enumerate(parameters):
        if parameter.kind not in _NAMED or parameter.name.startswith("_"):
            raise UsageError(
                f"The parameter {str(parameter)!r} of the tool {name!r} cannot be given by name.",
                suggestion="A tool takes named parameters only.",
            )
        if parameter.name not in types:
            raise UsageError(
                f"The parameter {parameter.name!r} of the tool {name!r} has no type.",
                suggestion=f"Write one: def {name}({parameter.name}: str)",
            )
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[f"argument_{index}"] = (types[parameter.name], Field(default, alias=parameter.name))
    try:
        return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    except PydanticUserError as error:
        raise _indescribable(name, error) from error


def _described(name: str, arguments: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments."""
    from pydantic.errors import PydanticUserError

    try:
        schema = arguments.model_json_schema()
    except PydanticUserError as error:
        raise _indescribable(name, error) from error
    schema.pop("title", None)
    return {"properties": {}} | schema


def _indescribable(name: str, error: Exception) -> UsageError:
    why = str(error).partition("\n")[0].rstrip(".")
    return UsageError(
        f"The parameters of the tool {name!r} have a type that no JSON can have: {why}.",
        suggestion="Use text, numbers, lists, dicts, enums, dates, dataclasses or pydantic models.",
    )


def _as_text(name: str, value: object) -> str:
    """What a function returns, for the model: text as it is, everything else as JSON."""
    if isinstance(value, str):
        return value
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return json.dumps(to_jsonable_python(value), ensure_ascii=False)
    except PydanticSerializationError as error:
        raise UsageError(
            f"The tool {name!r} returned a value of type {type(value).__name__}, which is no JSON.",
            suggestion="Return text, numbers, lists, dicts, dataclasses or pydantic models.",
        ) from error
