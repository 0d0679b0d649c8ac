"""One question to one model, and the answer in the type that was asked for.

The type goes to the provider as a JSON Schema. What comes back is checked again here: a limit on the answer, or a
provider without schemas, may still break it. Then the model is told what is wrong, once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from namel3ss.declarations.value_types import (
    Fitted,
    fit,
    json_schema,
)
from namel3ss.providers.base import ProviderMessage, StructuredOutputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.value_types import ValueType
    from namel3ss.providers.base import ProviderResponse, ProviderStream
    from namel3ss.runtime.models import RunnableModel

__all__ = ["Answer", "Question", "ask", "mend"]

_FENCED: Final = re.compile(r"\s*```(?:json)?[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked. `wanted` is None where the answer is text; `system` None where the model's own holds."""

    model: RunnableModel
    text: str
    system: str | None = None
    wanted: ValueType | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of this call, the schema of the answer among them."""
        if self.wanted is None:
            return dict(self.overrides)
        return {**self.overrides, "format": json_schema(self.wanted)}

    def stream(self) -> ProviderStream:
        """The first answer piece by piece."""
        return self.model.stream(self.text, system=self.system, **self.settings)


@dataclass(frozen=True, slots=True)
class Answer:
    """`value` has the type that was asked for. `response` is the one it came from; `repaired`: it is the second."""

    value: Any
    response: ProviderResponse
    repaired: bool = False


async def ask(question: Question) -> Answer:
    """The answer, repaired once if need be. Raises ProviderError, StructuredOutputError among them."""
    response = await question.model.run(question.text, system=question.system, **question.settings)
    return await mend(question, response)


async def mend(question: Question, response: ProviderResponse) -> Answer:
    """The answer that a first response gives, or a second one after being told what is wrong with the first."""
    if question.wanted is None:
        return Answer(response.output_text, response)
    first = _read(response.output_text, question.wanted)
    if not first.problems:
        return Answer(first.value, response)
    conversation = [
        ProviderMessage("user", question.text),
        ProviderMessage("assistant", response.output_text),
        ProviderMessage("user", _complaint(first.problems)),
    ]
    second_response = await question.model.run(conversation, system=question.system, **question.settings)
    second = _read(second_response.output_text, question.wanted)
    if not second.problems:
        return Answer(second.value, second_response, repaired=True)
    raise _failure(question, second_response, second.problems)


def _read(text: str, wanted: ValueType) -> Fitted:
    fenced = _FENCED.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except RecursionError:
        return Fitted(None, ("the answer is nested too deeply",))
    except ValueError as error:
        reason = str(error)[:1].lower() + str(error)[1:]
        return Fitted(None, (f"the answer is no JSON ({reason})" if text.strip() else "the answer is empty",))
    return fit(value, wanted, "the answer")


def _complaint(problems: tuple[str, ...]) -> str:
    listed = "\n".join(f"- {problem}" for problem in problems)
    return f"This answer does not have the form that was asked for:\n{listed}\nAnswer again, as JSON of that form only."


def _failure(
    question: Question, response: ProviderResponse, problems: tuple[str, ...]
) -> StructuredOutputError:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    suggestion = "Ask for less at once, or use a model that follows schemas better."
    if response.finish_reason == "length":
        suggestion = "The answer was cut off: raise max_tokens or num_ctx, or ask for less at once."
    return StructuredOutputError(
        f"The answer of {question.model.model!r} does not have the form that was asked for, nor did a second one: "
        f"{problems[0]}{more}.",
        suggestion=suggestion,
        raw_text=response.output_text,
        problems=problems,
    )
