"""How a provider declares its settings: once, with type, range, unit, meaning and default.

A config model is a pydantic model whose fields are made with `setting()`. The language reads it to check files,
the editor to complete and explain them, `namel3ss schema` to print them, and the provider to run: nothing else
lists a setting. Import this lazily; pydantic costs start-up time.
"""

from __future__ import annotations

import functools
import math
import re
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, Union, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, WithJsonSchema
from pydantic_core import PydanticUndefined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

__all__ = [
    "Advice",
    "Limit",
    "Place",
    "ProviderConfig",
    "Seconds",
    "SettingInfo",
    "form_of",
    "is_union",
    "parse_duration",
    "setting",
    "setting_infos",
    "without_none",
]

# Where a setting is usually written. "either": both blocks are usual.
Place: TypeAlias = Literal["config", "deployment_config", "either"]

# An upper bound that only keeps a number within what a machine can hold is not worth telling people beforehand.
MACHINE_BOUND: Final = 2**31 - 1


class ProviderConfig(BaseModel):
    """Base of every provider's config model: unknown keys are errors, values do not change afterwards.

    Types are strict: a whole number passes for a float, but text never for a number nor a number for a truth
    value. Text from the environment is read by the setting's type before it gets here.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
        hide_input_in_errors=True,
    )

    @classmethod
    def model_problem(cls, model: str) -> str | None:
        """Why no model of this provider can have that name, as a phrase; None where one can."""
        return None

    @classmethod
    def environment_values(
        cls, settings: Mapping[str, object], environ: Mapping[str, str]
    ) -> Mapping[str, tuple[str, object]]:
        """What variables say where a file says nothing: of each such setting the variable's name and the value.

        `settings` are those that the file writes.
        """
        return {}

    def advice(self, environ: Mapping[str, str]) -> tuple[Advice, ...]:
        """Warnings about these settings, made without contacting anybody."""
        return ()


@dataclass(frozen=True, slots=True)
class Advice:
    """Settings that are allowed but probably not meant. `setting` is the one to look at."""

    setting: str
    message: str
    suggestion: str | None = None
    code: str = "N3800"


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """What is known of one setting besides its pydantic type.

    `form` says in words what may be written ("a number from 0 to 2"). `unit` is a word for people ("tokens", "seconds",
    "layers"). `is_movable`: accepted in the other block too, with a hint. A `secret` may come only from the environment
    and is never printed. `default` holds when nobody writes the setting; where it is None, `placeholder` says what then
    holds ("the model's own"). `synonyms` are what people call it elsewhere; `holds` are keys that belong inside its
    map.
    """

    name: str
    description: str
    form: str
    place: Place
    unit: str | None
    secret: bool
    required: bool
    is_movable: bool
    default: object
    placeholder: str | None
    synonyms: tuple[str, ...]
    holds: tuple[str, ...]


def setting(
    default: Any = None,
    *,
    doc: str,
    form: str | None = None,
    place: Place = "config",
    unit: str | None = None,
    secret: bool = False,
    is_movable: bool = False,
    placeholder: str | None = None,
    synonyms: tuple[str, ...] = (),
    holds: tuple[str, ...] = (),
    **constraints: Any,
) -> Any:
    """A field of a config model; its parameters are described at `SettingInfo`.

    `doc` is one or two sentences for a hover. `form` is made from the type where it is not given. `constraints` are
    pydantic's: ``ge``, ``le``, ``gt``, ``lt``, ``min_length`` ….
    """
    extra: dict[str, Any] = {
        "form": form,
        "place": place,
        "unit": unit,
        "secret": secret,
        "is_movable": is_movable,
        "placeholder": placeholder,
        "synonyms": list(synonyms),
        "holds": list(holds),
    }
    return Field(default, description=doc, json_schema_extra=extra, **constraints)


@functools.cache
def setting_infos(model: type[BaseModel]) -> Mapping[str, SettingInfo]:
    """Every setting of a config model by name, in the order of the model. Made once for each model."""
    return types.MappingProxyType({name: _info(name, field) for name, field in model.model_fields.items()})


def _info(name: str, field: FieldInfo) -> SettingInfo:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    place = extra.get("place")
    default = field.get_default(call_default_factory=False)
    return SettingInfo(
        name=name,
        description=field.description or "",
        form=_text(extra.get("form")) or form_of(field.annotation, field.metadata),
        place=cast("Place", place) if place in get_args(Place) else "config",
        unit=_text(extra.get("unit")),
        secret=extra.get("secret") is True,
        required=field.is_required(),
        is_movable=extra.get("is_movable") is True,
        default=None if default is PydanticUndefined else default,
        placeholder=_text(extra.get("placeholder")),
        synonyms=_texts(extra.get("synonyms")),
        holds=_texts(extra.get("holds")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


# -- what may be written, in words ----------------------------------------------------------------------------

_FORMS: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    SecretStr: "text",
}
_PLURALS: dict[object, str] = {str: "texts", int: "whole numbers", float: "numbers"}


def is_union(annotation: object) -> bool:
    """Whether a type has alternatives."""
    return get_origin(annotation) in (Union, types.UnionType)


def without_none(annotation: object) -> object:
    """A type without its None: what may be written for a setting that may also be left out."""
    if not is_union(annotation):
        return annotation
    members = tuple(member for member in get_args(annotation) if member is not type(None))
    return members[0] if len(members) == 1 else Union[members]  # noqa: UP007  # built from a tuple


def form_of(annotation: object, metadata: list[Any] | tuple[Any, ...] = ()) -> str:
    """What values of a type look like, in words, with the range that `metadata` (annotated-types) gives."""
    plain = without_none(annotation)
    origin, arguments = get_origin(plain), get_args(plain)
    if origin is Annotated:
        return form_of(arguments[0], (*arguments[1:], *metadata))
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if is_union(plain):
        return " or ".join(form_of(member) for member in arguments)
    if origin is list:
        return f"a list of {_PLURALS.get(arguments[0], form_of(arguments[0]))}"
    if origin is dict or plain is dict:
        return "a map"
    return _FORMS.get(plain, getattr(plain, "__name__", str(plain))) + _range(metadata)


def _range(metadata: list[Any] | tuple[Any, ...]) -> str:
    bounds: dict[str, float] = {}
    for entry in metadata:
        for bound in ("ge", "gt", "le", "lt"):
            if isinstance(limit := getattr(entry, bound, None), int | float):
                bounds[bound] = limit
    low = bounds.get("ge")
    high = bounds.get("le")
    if high is not None and abs(high) >= MACHINE_BOUND:
        high = None
    if low is not None and abs(low) >= MACHINE_BOUND:
        low = None
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    words = []
    if low is not None:
        words.append(f"of at least {low:g}")
    if "gt" in bounds:
        words.append(f"above {bounds['gt']:g}")
    if high is not None:
        words.append(f"of at most {high:g}")
    if "lt" in bounds:
        words.append(f"below {bounds['lt']:g}")
    return f" {' and '.join(words)}" if words else ""


# -- durations ------------------------------------------------------------------------------------------------

_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds of a duration as Go writes it: ``300ms``, ``1.5h``, ``1h30m``, ``-1m``.

    Raises ValueError for anything else, with the reason in plain words; a number without a unit is such a case.
    """
    body = text.strip()
    sign = -1.0 if body.startswith("-") else 1.0
    body = body[1:] if body.startswith(("-", "+")) else body
    if body == "0":
        return 0.0
    position, seconds = 0, 0.0
    while match := _DURATION_PART.match(body, position):
        seconds += float(match[1]) * _SECONDS[match[2]]
        position = match.end()
    if position == 0 or position != len(body) or math.isinf(seconds):
        raise ValueError(f"{text!r} is not a duration; write a number with a unit, such as 30s, 5m or 1h30m")
    return sign * seconds


def _read_seconds(value: object) -> object:
    """A duration or a number of seconds, not negative, as seconds; anything else as it is, for pydantic to refuse."""
    seconds = parse_duration(value) if isinstance(value, str) else value
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds < 0:
        raise ValueError("a duration is not negative")
    return seconds


def _read_limit(value: object) -> object:
    return None if value == "none" else _read_seconds(value)


_SECONDS_SCHEMA = WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]})
# A length of time in seconds. Files write 5s, 1h30m, or a bare number of seconds.
Seconds: TypeAlias = Annotated[float, BeforeValidator(_read_seconds), _SECONDS_SCHEMA]
# The same for a wait that may also be unlimited: `none` in a file, None in Python.
Limit: TypeAlias = Annotated[
    float | None,
    BeforeValidator(_read_limit),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}, {"type": "null"}]}),
]
