"""The values in force as text that is itself a `.ai` file, and as JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeAlias

from namel3ss.declarations import EnvironmentValue
from namel3ss.declarations.part_provenance import ResolvedPart, Verbatim
from namel3ss.observability.logs import redact_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from namel3ss.declarations.provenance import Origin, ResolvedModel, ResolvedValue

__all__ = ["declaration_as_text", "value_as_json", "value_as_text", "values_as_json"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def declaration_as_text(declared: ResolvedModel | ResolvedPart) -> str:
    """A declaration with every value, each with its origin as a comment."""
    kind = declared.kind if isinstance(declared, ResolvedPart) else "ai model"
    values = list(declared.values.values())
    lines = [f"{kind} {_name(declared.name)} {{"]
    lines += _lines([value for value in values if not value.block], "    ")
    for block in dict.fromkeys(value.block for value in values if value.block):
        head = f"step {_name(block)}" if kind == "chain" else f"{block}:"
        inside = [value for value in values if value.block == block]
        lines += [f"    {head} {{", *_lines(inside, "        "), "    }"]
    return "\n".join([*lines, "}"])


def _name(name: str) -> str:
    return name if _NAME.match(name) else json.dumps(name, ensure_ascii=False)


def _lines(values: Iterable[ResolvedValue], indent: str) -> list[str]:
    rows = [
        (
            f"{indent}# {value.name}: {_asked(value.origin)}"
            if value.value is None
            else f"{indent}{value.name}: {_spelled(value.value)}",
            "" if value.value is None and value.origin.kind == "default" else _came_from(value.origin),
        )
        for value in values
    ]
    width = min(60, max((len(text) for text, origin in rows if origin), default=0))
    return [f"{text:<{width}}  # {origin}" if origin else text for text, origin in rows]


def _came_from(origin: Origin) -> str:
    words: list[str] = [origin.kind]
    if origin.place is not None:
        words.append(str(origin.place))
    if origin.note:
        words.append(f"({origin.note})")
    return " ".join(words)


def value_as_text(name: str, value: ResolvedValue) -> str:
    """One value, called `name`, with everything that was asked for it, weakest first; an arrow at what holds."""
    shown = [(origin, _asked(origin)) for origin in value.chain]
    width = min(60, max(len(text) for _, text in shown))
    kinds = max(len(origin.kind) for origin, _ in shown)
    head = _spelled(value.value) if value.value is not None else _asked(value.origin)
    lines = [f"{name} = {head}"]
    for origin, text in shown:
        sign = "->" if origin is value.origin else "  "
        place = str(origin.place) if origin.place is not None else ""
        note = f"({origin.note})" if origin.note and not _says_what_holds(origin) else ""
        details = " ".join(filter(None, (place, note)))
        lines.append(f"{sign} {origin.kind:<{kinds}}  {text:<{width}}  {details}".rstrip())
    return "\n".join(lines)


def values_as_json(declared: ResolvedModel | ResolvedPart) -> dict[str, Json]:
    """Every key and setting by name, each with its value and origin."""
    return {
        name: {"value": _json(value.value), **_origin(value.origin)}
        for name, value in declared.values.items()
    }


def value_as_json(value: ResolvedValue) -> dict[str, Json]:
    """One value and everything that was asked for it, weakest first."""
    return {
        "value": _json(value.value),
        **_origin(value.origin),
        "asked": [{"value": _json(origin.value), **_origin(origin)} for origin in value.chain],
    }


def _origin(origin: Origin) -> dict[str, Json]:
    found: dict[str, Json] = {"from": origin.kind, "note": origin.note or None}
    if origin.place is not None:
        source, span = origin.place
        line, column = source.position(span.start)
        found |= {"file": source.path, "line": line, "column": column}
    return found


def _asked(origin: Origin) -> str:
    """What a place gives: its value, `null` where it takes one away, or in words what holds when nothing is written."""
    return origin.note if _says_what_holds(origin) else _spelled(origin.value)


def _says_what_holds(origin: Origin) -> bool:
    return origin.kind == "default" and origin.value is None and bool(origin.note)


def _spelled(value: object) -> str:
    """A value as the language writes it, on one line."""
    if isinstance(value, EnvironmentValue):
        return _reference(value)
    if isinstance(value, Verbatim):
        return redact_text(value)
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(str(key))}: {_spelled(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_spelled, value))}]"
    return json.dumps(_json(value), ensure_ascii=False)


def _reference(value: EnvironmentValue) -> str:
    return f"{value} ?? {json.dumps(value.default)}" if value.has_default else str(value)


def _json(value: object) -> Json:
    if isinstance(value, EnvironmentValue):
        return _reference(value)
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact_text(str(value))
