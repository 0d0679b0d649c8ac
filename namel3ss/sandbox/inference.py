"""What every route that runs a model does first: find it, check what it can do, have it loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from namel3ss.sandbox.decoding import BadBodyError, JsonError, decode
from namel3ss.sandbox.engine import Limits
from namel3ss.sandbox.gojson import Literal, encode, quote
from namel3ss.sandbox.http import Failure
from namel3ss.sandbox.names import ConflictingSourceError, ModelReference, Source
from namel3ss.sandbox.schema_rules import check_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.sandbox.decoding import Record
    from namel3ss.sandbox.engine import Finish
    from namel3ss.sandbox.models import Model
    from namel3ss.sandbox.requests import ChatRequest, GenerateRequest, Think
    from namel3ss.sandbox.service import Service
    from namel3ss.sandbox.settings import RunOptions

__all__ = [
    "INVALID_NAME",
    "check_capabilities",
    "check_format",
    "check_top_logprobs",
    "installed",
    "limits_of",
    "metrics",
    "read_body",
    "reference",
    "refuse_cloud",
    "settled_think",
]

T = TypeVar("T")

INVALID_NAME: Final = "invalid model name"
_CLOUD_DISABLED: Final = "ollama cloud is disabled: "


def read_body(record: Record[T], body: bytes) -> T:
    """A native request. Raises Failure(400)."""
    try:
        return decode(record, body)
    except JsonError as fault:
        raise Failure(400, "missing request body" if str(fault) == "EOF" else str(fault)) from None
    except BadBodyError as fault:
        raise Failure(400, str(fault)) from None


def reference(text: str, *, missing: Failure, remote: str = "remote model is unavailable") -> ModelReference:
    """The model that a request means; `missing` is raised when it names none. Cloud models are not there."""
    try:
        found = ModelReference.parse(text)
    except ConflictingSourceError:
        raise Failure(400, f"use either :local or :cloud, not both: {quote(text.strip())}") from None
    if not found.original:
        raise missing
    if not found.name.is_valid:
        raise Failure(400, INVALID_NAME)
    if found.source is Source.CLOUD:
        raise Failure(403, _CLOUD_DISABLED + remote)
    return found


def refuse_cloud(text: str) -> None:
    """The other protocols refuse cloud models before anything else, in the native form. Raises Failure."""
    try:
        found = ModelReference.parse(text)
    except ConflictingSourceError:
        return
    if found.source is Source.CLOUD:
        raise Failure(403, _CLOUD_DISABLED + "remote model is unavailable")


def installed(service: Service, found: ModelReference, missing: Failure) -> Model:
    """The model a request is about; `missing` is raised when it is not installed."""
    model = service.library.find(found.name)
    if model is None:
        raise missing
    return model


def check_top_logprobs(number: int) -> None:
    """Raises Failure(400) for more alternatives than the server gives."""
    if not 0 <= number <= 20:
        raise Failure(400, "top_logprobs must be between 0 and 20")


def settled_think(
    model: Model, think: Think | None, sent_name: str, *, relaxed: bool = False
) -> Think | None:
    """Whether to think: a thinking model does unless told not to; another one refuses to."""
    if "thinking" in model.capabilities:
        return True if think is None else think
    if think:
        if relaxed:
            return None
        raise Failure(400, f"{quote(sent_name)} does not support thinking")
    return think


def check_capabilities(model: Model, wanted: Sequence[str], sent_name: str, action: str) -> None:
    """Raises Failure(400) for what the model cannot do; `action` is the verb of the route."""
    lacking = [each for each in wanted if each not in model.capabilities]
    if "completion" in lacking:
        raise Failure(400, f"{quote(sent_name)} does not support {action}")
    if lacking:
        raise Failure(400, f"{model.name.full} does not support " + "\n".join(lacking))


def limits_of(request: ChatRequest | GenerateRequest, options: RunOptions) -> Limits:
    """What a request says about the window and about extras; a prompt is cut and the window moved unless it says no."""
    return Limits(
        options,
        truncate=request.truncate is not False,
        shift=request.shift is not False,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
    )


def check_format(value: object) -> str | dict[str, object] | None:
    """The form that the answer must have, None for any. Raises Failure(500) and BadSchemaError."""
    if value is None or value == "":
        return None
    if value == "json":
        return "json"
    if isinstance(value, dict):
        check_schema(value)
        return value
    written = value.text if isinstance(value, Literal) else encode(value).decode()
    raise Failure(500, f'invalid format: {quote(written)}; expected "json" or a valid JSON Schema object')


def metrics(finish: Finish, total_ns: int, loaded_ns: int) -> dict[str, object]:
    """Durations and counts, those that are nothing left out."""
    values = {
        "total_duration": total_ns,
        "load_duration": loaded_ns,
        "prompt_eval_count": finish.prompt_tokens,
        "prompt_eval_duration": finish.prompt_ns,
        "eval_count": finish.tokens,
        "eval_duration": finish.eval_ns,
    }
    return {name: value for name, value in values.items() if value}
