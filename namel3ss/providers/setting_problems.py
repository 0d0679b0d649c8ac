"""What is wrong with settings, in words: one reading of them for files, for Python and for the environment.

pydantic finds the problems; this module says them as people need them, with the value, what may be written, the unit
and the nearest known name. A file's check puts them at their places, a provider raises them as one UsageError.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from namel3ss.errors import N3Error, UsageError
from namel3ss.providers.settings import MACHINE_BOUND, form_of, is_union, setting_infos, without_none

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from namel3ss.providers.settings import SettingInfo

__all__ = [
    "SettingProblem",
    "describe_value",
    "find_problems",
    "merge_places",
    "nearest_setting",
    "problems_of",
    "read_text",
    "same_value",
    "takes_any_items",
    "validate_settings",
]

ConfigT = TypeVar("ConfigT", bound=BaseModel)

_LONGEST_VALUE = 60
_MOST_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One thing wrong. `path` leads to it: the setting's name, then keys or indexes inside its value.

    `nearest` is the setting that an unknown key probably means.
    """

    kind: Literal["unknown", "missing", "value"]
    path: tuple[str | int, ...]
    message: str
    suggestion: str | None = None
    nearest: str | None = None


def validate_settings(model: type[ConfigT], values: Mapping[str, object], *, owner: str) -> ConfigT:
    """The config model of these settings.

    Raises UsageError, which names each bad setting of `owner`, its value and what may be written.
    """
    for key, value in values.items():
        if isinstance(value, str) and not _is_unicode(value):
            raise UsageError(f"{owner}: {key} holds half a surrogate pair, which is no text: {value!r:.80}.")
    # Only Python has tuples; to a file and to pydantic's strict types a list is a list.
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = _explain(model, values, error)
        first = problems[0]
        more = "".join(f"\n{problem.message}" for problem in problems[1:])
        raise UsageError(f"{owner}: {first.message}{more}", suggestion=first.suggestion) from None


def find_problems(model: type[BaseModel], values: Mapping[str, object]) -> tuple[SettingProblem, ...]:
    """Everything wrong with these settings, in their order; nothing when they are fine."""
    try:
        model.model_validate(dict(values))
    except ValidationError as error:
        return _explain(model, values, error)
    return ()


def merge_places(values: Mapping[str, object]) -> dict[str, object]:
    """Settings written flat, or nested under ``config`` and ``deployment_config``, as one flat dict.

    Raises UsageError where two places give one setting different values.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"The settings must be a map, not {describe_value(values)}.")
    merged: dict[str, object] = {}
    origin: dict[str, str] = {}
    nested = {place: values.get(place) for place in ("config", "deployment_config") if place in values}
    flat = {key: value for key, value in values.items() if key not in nested}
    for place, block in (("the settings", flat), *nested.items()):
        if block is None:
            continue
        if not isinstance(block, dict):
            raise UsageError(f"{place} must be a map of settings, not {describe_value(block)}.")
        for key, value in block.items():
            if key in merged and not same_value(merged[key], value):
                raise UsageError(
                    f"{key} has one value in {origin[key]} and another in {place}.",
                    suggestion=f"Keep one of the two {key} settings.",
                )
            merged[key] = value
            origin.setdefault(key, place)
    return merged


def _is_unicode(text: str) -> bool:
    """Whether `text` can be sent: pydantic fails in its own way on one that cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def same_value(left: object, right: object) -> bool:
    """Whether two written values agree; ``true`` is not ``1``."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def nearest_setting(key: str, infos: Mapping[str, SettingInfo]) -> str | None:
    """The setting that an unknown key probably means: by another tool's name for it, else by spelling."""
    wanted = key.lower().replace("-", "_")
    for name, info in infos.items():
        if wanted == name or wanted in info.synonyms:
            return name
    if len(wanted) > _LONGEST_VALUE:
        return None  # comparing takes quadratic time
    close = difflib.get_close_matches(wanted, infos, n=1, cutoff=0.65)
    return close[0] if close else None


def describe_value(value: object) -> str:
    """A value for a message: short, and as a file would write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return f'"{_shortened(value)}"'
    if isinstance(value, int | float):
        if isinstance(value, float) or abs(value) <= 10**18:
            return str(value)
        return f"{value:g}" if abs(value) < 10**300 else "a number of more than 300 digits"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list | tuple):
        return "a list"
    return f"a {type(value).__name__}"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


# -- pydantic's findings, said in words -----------------------------------------------------------------------


def _explain(
    model: type[BaseModel], values: Mapping[str, object], error: ValidationError
) -> tuple[SettingProblem, ...]:
    infos = setting_infos(model)
    found: dict[tuple[str | int, ...], SettingProblem] = {}
    for details in error.errors(include_url=False, include_input=False)[:_MOST_PROBLEMS]:
        problem = _problem(model, infos, values, details)
        found.setdefault(problem.path, problem)
    order = {key: position for position, key in enumerate(values)}
    meant = {problem.nearest for problem in found.values()}
    # A required setting under another name is one mistake.
    told = [each for each in found.values() if each.kind != "missing" or each.path[0] not in meant]
    return tuple(
        sorted(told, key=lambda problem: order.get(str(problem.path[0]) if problem.path else "", -1))
    )


def _problem(
    model: type[BaseModel],
    infos: Mapping[str, SettingInfo],
    values: Mapping[str, object],
    details: ErrorDetails,
) -> SettingProblem:
    path = details["loc"]
    key = str(path[0]) if path else ""
    if details["type"] == "extra_forbidden" and len(path) == 1:
        return _unknown(key, infos)
    info = infos.get(key)
    if info is None:
        return SettingProblem("value", path, details["msg"])
    if details["type"] == "missing" and len(path) == 1:
        return SettingProblem("missing", path, f"{key} is required.", f"Add: {key}: {info.form}")
    cause = details.get("ctx", {}).get("error")
    if is_union(without_none(model.model_fields[key].annotation)):
        path = path[:1]  # what follows names pydantic's alternatives, not a place in the value
    if isinstance(cause, N3Error):
        return SettingProblem("value", path, cause.message, cause.suggestion)
    return SettingProblem("value", path, _wrong_value(model, info, path, values.get(key), details))


def _unknown(key: str, infos: Mapping[str, SettingInfo]) -> SettingProblem:
    for name, info in infos.items():
        if key in info.holds:
            return SettingProblem(
                "unknown",
                (key,),
                f"{key} is not a setting of its own.",
                f"Write it inside {name}: `{name}: {{ {key}: … }}`",
            )
    nearest = nearest_setting(key, infos)
    hint = f"Did you mean `{nearest}`?" if nearest else f"Known settings: {', '.join(infos)}."
    return SettingProblem("unknown", (key,), f"Unknown setting `{_shortened(key)}`.", hint, nearest)


def _wrong_value(
    model: type[BaseModel],
    info: SettingInfo,
    path: tuple[str | int, ...],
    value: object,
    details: ErrorDetails,
) -> str:
    form, shown = info.form, value
    annotation = without_none(model.model_fields[info.name].annotation)
    for step in path[1:]:
        if get_origin(annotation) not in (list, dict):
            return f"{_dotted(path)}: {details['msg']}."
        annotation = without_none(get_args(annotation)[-1])
        form = form_of(annotation)
        shown = _inside(shown, step)
    form += _machine_limit(form, model.model_fields[info.name], details)
    unit = f" ({info.unit})" if info.unit and len(path) == 1 and info.unit not in form else ""
    got = "" if info.secret else f", not {describe_value(shown)}"
    return f"{_dotted(path)} must be {form}{unit}{got}."


def _machine_limit(form: str, field: FieldInfo, details: ErrorDetails) -> str:
    """The bound that a form leaves out because nobody comes near it, for somebody who has gone beyond."""
    for kind, words in (("le", "of at most"), ("ge", "of at least")):
        for bound in (getattr(entry, kind, None) for entry in field.metadata):
            if kind in details.get("ctx", {}) and isinstance(bound, int) and abs(bound) >= MACHINE_BOUND:
                return f"{' and' if ' of at ' in form else ''} {words} {bound}"
    return ""


def _inside(value: object, step: str | int) -> object:
    if isinstance(value, dict):
        return value.get(step)
    return value[step] if isinstance(value, list) and isinstance(step, int) else value


def _dotted(path: tuple[str | int, ...]) -> str:
    first, *rest = path
    return str(first) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)


# -- text from the environment --------------------------------------------------------------------------------

_NUMBER = re.compile(r"[+-]?(\d{1,30})(\.\d{1,30})?([eE][+-]?\d{1,3})?", re.ASCII)


def read_text(model: type[BaseModel], path: tuple[str | int, ...], text: str) -> object:
    """The value that the setting at `path` takes from a text of the environment: read by the setting's type.

    The text itself where text is taken; else the number, truth value or comma-separated list it spells. Where any
    type will do, it is read as a bare word of a file. A text that fits nothing is returned as it is, for the check
    to refuse with its usual words.
    """
    name = str(path[0])
    if len(path) > 1:
        return _readings(text)[-2] if takes_any_items(model, name) else text
    return next((value for value in _readings(text) if not problems_of(model, name, value)), text)


def takes_any_items(model: type[BaseModel], name: str) -> bool:
    """Whether the map or list of that setting may hold anything, null included."""
    field = model.model_fields.get(name)
    arguments = get_args(without_none(field.annotation)) if field is not None else ()
    return not arguments or arguments[-1] is Any


def _readings(text: str) -> list[object]:
    """The text, what it spells as a bare word, and the list it may be."""
    word = text.strip()
    readings: list[object] = [text]
    if word in ("true", "false"):
        readings.append(word == "true")
    elif match := _NUMBER.fullmatch(word):
        readings.append(float(word) if match[2] or match[3] else int(word))
    readings.append([part.strip() for part in word.split(",") if part.strip()])
    return readings


def problems_of(model: type[BaseModel], name: str, value: object) -> tuple[SettingProblem, ...]:
    """What is wrong with one setting, whatever else the model requires."""
    problems = find_problems(model, {name: value})
    return tuple(problem for problem in problems if problem.path and problem.path[0] == name)
